"""Do images of StyleGAN2, with their label maps, help a U-Net if data are few?

Table 2 of Vu et al. 2025 (conditional StyleGAN2 for small data sets), paper 003; its
Table 3, the signs of all pairs, is part of the report's ranking.

    python -m jaxsyn.main --config=configs/experiments/stylegan_table2.py \
        --config.datasets.brats20_003.source_dir=DIR --workdir=DIR

Words after a colon, separated by commas:
    data=brats20_003  or kits19, ibsr18, heart, spleen
    patients=all      or so many to train on, of all
    runlocal          minutes on a CPU, on a small phantom, with one count
"""

from configs import common, datasets
from configs.experiments import base

COUNTS = (20, 50, 100, 200, 400, 500)  # Of synthetic cases.
# By data set: slices of a case, some of them on average, and the steps of a U-Net: 70
# epochs of 60 % of the patients (150, where these are few) in batches of 64.
SIZES = {
    "brats20_003": (155, 37_500),
    "kits19": (216, 29_800),
    "ibsr18": (128, 3_300),
    "heart": (115, 3_200),
    "spleen": (89, 5_200),
}
# A method's score, by data set: the pairs it wins less those it loses. Of BL, B-SG and
# MC-SG without augmentation, then with it.
SCORES = {
    "brats20_003": (1, 4, 3, 3, 4, 0, 0, 4, 1, 1, -12, 0, -16)
    + (1, 3, 4, 4, 4, -7, 0, 4, 3, 3, 0, 0, -12),
    "ibsr18": (10, 10, 10, 6, 2, -14, -20, 9, 6, 2, 3, -16, -6)
    + (10, 10, 8, 5, -12, -6, -12, 6, 5, 3, -5, -10, -4),
}
ABOUT = """Two ways to make cases that nobody has: StyleGAN2 draws images and their
label maps together (B-SG), or it draws label maps (M-SG) and another one, conditioned
on these, the images (MC-SG). A U-Net is trained on the real patients (BL) and on 20 to
500 synthetic ones besides, without augmentation and with it: 26 methods. They are
ranked on each case and class by Friedman's test, and pairs compared by Nemenyi's. The
paper prints for each method the pairs it wins less those it loses, its score: other
than 0 on BraTS with 369 patients and on IBSR18 alone, of eighteen sets. It says neither
how long its GANs are trained nor what it takes for a sample. Where it draws patients
for a smaller set, and divides them, here fewer are trained on and all test patients are
kept. FID is measured of the conditional generator."""


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg, data="brats20_003", patients="all")
    config = base.experiment("Table 2 of conditional StyleGAN2", ABOUT)
    config.datasets[words.data] = datasets.get(words.data)
    counts = COUNTS[:1] if words.runlocal else COUNTS
    _add_jobs(config, words, max(counts))
    config.judges.unet = base.judge("003", words.data, names=("dice",))
    config.judges.unet.train.update({"steps": SIZES[words.data][1], "batch_size": 64})
    config.judges.unet.selection.by = "last"
    config.arms = tuple(
        _arm(system, count, augment, words)
        for augment in ("none", "003")
        for system, chosen in {"BL": (0,), "B-SG": COUNTS, "MC-SG": COUNTS}.items()
        for count in chosen
        if count <= max(counts)
    )
    if words.patients == "all" and not words.runlocal:
        for arm, score in zip(config.arms, SCORES.get(words.data, ()), strict=False):
            arm["score"] = score
    config.baseline = config.arms[0]["name"]
    config.quality = (
        {"name": "B-SG", "job": "quality_b_sg"},
        {"name": "MC-SG", "job": "quality_mc_sg"},
        {"name": "C-SG, on real label maps", "job": "quality_c_sg"},
    )
    return base.shrink(config) if words.runlocal else config


def _add_jobs(config, words, cases):
    """Three generators, the cases of two ways, and how real they look."""
    trainings = {
        "b_sg": ("stylegan2", "makes=pairs"),
        "m_sg": ("stylegan2", "makes=masks"),
        "c_sg": ("cstylegan2",),
    }
    for name, (system, *others) in trainings.items():
        job = base.train(system, words.data, *others, local=words.runlocal)
        job.data.patients = 0 if words.patients == "all" else int(words.patients)
        config.jobs[name] = job
    for name, labels, images in (("b_sg", "b_sg", ""), ("mc_sg", "m_sg", "c_sg")):
        config.jobs[f"cases_{name}"] = base.synthesis(
            "generated",
            words.data,
            generator=images,
            cases=cases,
            slices=SIZES[words.data][0],
        )
        config.jobs[f"cases_{name}"].masks.generator = f"cell:{labels}"
    for name in ("b_sg", "mc_sg"):
        config.jobs[f"quality_{name}"] = base.quality(
            f"cases_{name}", words.data, "fid", export=True
        )
    config.jobs.quality_c_sg = base.quality("c_sg", words.data, "fid")


def _arm(system, count, augment, words):
    export = f"cases_{system.lower().replace('-', '_')}" if count else ""
    with_it = "w.o." if augment == "none" else "w."
    return base.arm(
        f"{system} {with_it}" + f" + {count}" * bool(count),
        row={
            "augment": augment,
            "patients": -1 if words.patients == "all" else int(words.patients),
            "synthetic_cases": count,
        },
        export=export,
    )
