"""Can synthetic images of stroke add to clinical ones, or replace them?

Table I of Platscher et al. 2020, https://arxiv.org/abs/2010.02745, paper 004.

    python -m jaxsyn.main --config=configs/experiments/stroke_table1.py \
        --config.datasets.stroke.source_dir=DIR/stroke \
        --config.datasets.normal.source_dir=DIR/normal \
        --config.datasets.all.source_dir=DIR \
        --config.datasets.stroke.prepare.split_file=FILE \
        --config.datasets.normal.prepare.split_file=FILE \
        --config.datasets.all.prepare.split_file=FILE --workdir=DIR

The paper's databases are not public; the source `dwi_stroke` says how cases of your own
are named. `stroke` holds patients with a lesion, and those without one who are tested.
FILE divides the patients of both folders, so that images are learnt from nobody who is
tested: {"unit": "patient", "train": [...], "validation": [...], "test": [...]}.

Words after a colon, separated by commas:
    runlocal  minutes on a CPU, on a small phantom of tumours, with one generator
"""

from configs import common, datasets
from configs.experiments import base
from jaxsyn.data.sources import dwi_stroke

GENERATORS = {
    "Pix2Pix10": ("lambda=10",),
    "Pix2Pix100": ("lambda=100",),
    "SPADE": ("generator=spade",),
}
NORMAL_CASES = 2027
CLINICAL_CASES = 310  # Trained on; 55 others are the validation.
BATCH_SIZE = 5
METRICS = ("dice", "relative_volume", "hd", "assd", "precision", "sensitivity")
# Dice in per cent.
CLINICAL = {"clinical": 63.2, "10 clinical": 2.9, "50 clinical": 12.5}
PRINTED = {
    "clinical + synthetic": (70.8, 70.3, 62.9),
    "synthetic": (55.7, 57.1, 47.3),
    "synthetic, then 10 clinical": (62.9, 62.3, 51.0),
    "synthetic, then 50 clinical": (66.4, 66.8, 56.4),
}
ABOUT = """A GAN draws lesions in 3D, which are put into the label maps of people
without stroke, and three generators draw diffusion-weighted images on the result. A
U-Net in 3D is trained on patients, on patients and synthetic cases, on synthetic cases
alone, and on these first and then on 10 or 50 patients. What training on so few alone
gives is from the paper's text. Its values are means over the last 100 epochs; here the
weights are taken that are best on validation, and training ends early where these do
not improve."""


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg)
    config = experiment("Table I: generators for stroke", ABOUT, words.runlocal)
    names = list(GENERATORS)[: 1 if words.runlocal else None]
    for name in names:
        add_generator(config, name, words.runlocal)
        config.jobs[f"cases_{name}"] = injected(
            "normal", name, NORMAL_CASES, words.runlocal
        )
    config.arms = (
        _clinical("clinical", -1),
        _clinical("10 clinical", 10),
        _clinical("50 clinical", 50),
        *(arm for name in names for arm in _arms(name)),
    )
    return base.shrink(config) if words.runlocal else config


def experiment(title, about, local, baseline="clinical", others=()):
    """What both tables share: data, lesions, U-Net and baseline."""
    source = "brats" if local else "dwi_stroke"
    config = base.experiment(title, about, baseline=baseline)
    for name in ("stroke", "normal", "all", *others):
        config.datasets[name] = datasets.get(source)
        # 365 of 439 patients are trained on, of whom 15 % are the validation.
        config.datasets[name].prepare.fractions = (0.7, 0.13, 0.17)
    config.jobs.lesions = base.on(
        base.train("wgan3d", source, local=local),
        "stroke",
        holding=datasets.DATA[source].lesions,
    )
    config.judges.unet = base.judge(
        "004",
        "stroke",
        regions={"lesion": datasets.DATA[source].lesions},
        names=METRICS,
        hd="mean",
    )
    # 300 epochs of 310 clinical and 2027 synthetic volumes.
    config.judges.unet.train.update({"steps": 140_000, "batch_size": BATCH_SIZE})
    config.judges.unet.selection.update({"looks": 100, "patience": 30})
    return config


def add_generator(config, name, local):
    """A training on the slices of both databases."""
    source = "brats" if local else "dwi_stroke"
    job = base.train("platscher", source, *GENERATORS[name], local=local)
    config.jobs[name] = base.on(job, "all")


def injected(data, generator, cases, local):
    """Cases with lesions drawn in 3D, in the anatomies of a data set."""
    config = base.synthesis("injected", data, generator=generator, cases=cases)
    config.masks.generator = "cell:lesions"
    config.masks.injection.parenchyma = ("brain",) if local else dwi_stroke.PARENCHYMA
    return config


def _clinical(name, patients):
    cases = patients if patients > 0 else CLINICAL_CASES
    row = {"augment": "004-geometric", "patients": patients}
    row["steps"] = steps(500, cases)
    return base.arm(name, column="clinical", row=row, printed=_dice(CLINICAL[name]))


def _arms(generator):
    """A generator's column."""
    place = list(GENERATORS).index(generator)
    rows = {
        "clinical + synthetic": {"synthetic_cases": NORMAL_CASES},
        "synthetic": {"patients": 0, "synthetic_cases": NORMAL_CASES},
        "synthetic, then 10 clinical": _tuned(10),
        "synthetic, then 50 clinical": _tuned(50),
    }
    for name, row in rows.items():
        yield base.arm(
            name,
            column=generator,
            row={"augment": "004-geometric", **row},
            export=f"cases_{generator}" if "synthetic_cases" in row else "",
            printed=_dice(PRINTED[name][place]),
        )


def _tuned(patients):
    own = {"patients": patients, "steps": steps(150, patients)}
    return {"start_from": "synthetic", **own}


def steps(epochs, cases):
    """A U-Net's steps in so many epochs."""
    return epochs * cases // BATCH_SIZE


def _dice(per_cent):
    return {"lesion": {"dice": round(per_cent / 100, 3)}}
