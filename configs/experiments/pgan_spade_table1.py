"""Do label maps and images that are synthetic, both, help a U-Net on gliomas?

Table 1 of Foroozandeh and Eklund 2020, https://arxiv.org/abs/2009.05946, paper 001.

    python -m jaxsyn.main --config=configs/experiments/pgan_spade_table1.py \
        --config.datasets.brats18_001.source_dir=HGG --workdir=DIR

HGG is the folder of high-grade gliomas of BraTS 2018, to which
`python -m jaxsyn.data.tissues HGG` has added tissues.

Words after a colon, separated by commas:
    split=patient  or slice, as in the paper, which has patients on both sides
    runlocal       minutes on a CPU, on a small phantom without tissues
"""

from configs import common, datasets
from configs.experiments import base

TISSUES = ("white", "grey", "csf")
SLICES = 155  # Of a case.
TRAINED = {"patient": 168, "slice": 210}  # Patients with training slices, of 210.
SHARES = ("all", "fifth")
SPADE_EPOCHS = {"all": 50, "fifth": 250}  # As many images for both.
# Real and synthetic training slices, and the error with 7, 4 and 2 classes: 100 times
# the weighted Dice loss on the test slices.
PRINTED = {
    (26040, 0): (10.94, 6.62, 2.49),
    (26040, 8960): (10.92, 6.65, 2.48),
    (26040, 23960): (10.90, 6.42, 2.53),
    (0, 26040): (42.76, 39.11, 24.14),
    (5208, 0): (16.80, 12.90, 6.16),
    (5208, 4792): (16.44, 12.51, 6.14),
    (5208, 20832): (16.18, 12.11, 5.80),
}
ABOUT = """PGAN draws label maps, filters take out the oddest, and SPADE draws images on
the others. A U-Net is trained on real and synthetic slices in seven mixtures, with
seven classes, with the tumour's four and with two. The loss that it is trained with,
the weighted Dice loss, is shown for the test patients as in the paper, which calls it
Dice error; Dice itself stands beside it, and can be compared between columns. The paper
shows its networks T1 with contrast alone, here they see all four sequences. It divides
slices, so that patients are in training and test, and takes a fifth of them; here
patients are divided, unless split=slice is chosen, and the fifth are patients. Every
U-Net has as many steps; the paper's have as many epochs."""


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg, split="patient")
    config = base.experiment("PGAN and SPADE: mixtures of slices", ABOUT)
    source = add_data(config, words)
    for share in SHARES:
        config.jobs[f"pgan_{share}"] = pgan(source, share, words)
        config.jobs[f"spade_{share}"] = _spade(source, share, words)
        config.jobs[f"cases_{share}"] = _synthesis(source, share, words)
    config.curves = {f"pgan_{share}": "swd" for share in SHARES}
    views = _views(("brain",) if words.runlocal else TISSUES)
    mixtures = list(PRINTED)
    if words.runlocal:
        views, mixtures = {v: views[v] for v in ("seven", "two")}, mixtures[::3]
    for view, merge in views.items():
        config.judges[view] = _judge(source, merge)
    config.arms = tuple(_arm(m, view, words) for view in views for m in mixtures)
    config.baseline = _name(mixtures[0])
    return base.shrink(config) if words.runlocal else config


def add_data(config, words):
    """Adds the data set, without any augmentation; returns its name."""
    source = "brats" if words.runlocal else "brats18_001"
    config.datasets[source] = datasets.get(source)
    config.datasets[source].augment = {"flip": 0.0}
    config.datasets[source].prepare.split = words.split
    return source


def pgan(source, share, words):
    """PGAN on the label maps of some patients, without those that are empty."""
    config = base.train("pgan", source, local=words.runlocal)
    tissues = ("brain",) if words.runlocal else TISSUES
    config.data.holding = (*common.TUMOUR, *tissues)
    return _of_share(config, share, words)


def _spade(source, share, words):
    config = base.train("spade", source, local=words.runlocal)
    if not words.runlocal:
        config.train.epochs = SPADE_EPOCHS[share]
    return _of_share(config, share, words)


def _of_share(config, share, words):
    """Limits a job to a fifth of the patients, if it is to see no more."""
    if share == "fifth":
        config.data.patients = _fifth(words)
    return config


def _synthesis(source, share, words):
    """As many cases as the mixtures ask for, of as many slices as real ones have.

    Label maps are filtered by how much they are like those that PGAN was shown.
    """
    config = base.synthesis(
        "generated",
        source,
        generator=f"spade_{share}",
        cases=max(_cases(m) for m in PRINTED if _share(m) == share),
        slices=SLICES,
    )
    config.masks.update({"generator": f"cell:pgan_{share}", "folder": "best"})
    config.filters.z_score = 500.0
    return _of_share(config, share, words)


def _views(tissues):
    """The classes that are several labels, by judge."""
    return {
        "seven": {},
        "four": {"background": tissues},
        "two": {"background": tissues, "tumour": common.TUMOUR},
    }


def _judge(source, merge):
    config = base.judge("001", source, names=("dice",), loss=True)
    config.merge = merge
    config.train.steps = 488_250  # 150 epochs of 26,040 slices, in eights.
    return config


def _arm(mixture, view, words):
    real, synthetic = mixture
    patients = {26040: -1, 5208: _fifth(words), 0: 0}[real]
    error = PRINTED[mixture][list(_views(())).index(view)]
    return base.arm(
        _name(mixture),
        column=f"{view} classes",
        judge=view,
        row={
            "augment": "001",
            "patients": patients,
            "synthetic_cases": _cases(mixture),
        },
        export=f"cases_{_share(mixture)}" if synthetic else "",
        printed={"": {"loss": round(error / 100, 4)}},
    )


def _name(mixture):
    return "{:,} real + {:,} synthetic".format(*mixture)


def _share(mixture):
    return "fifth" if mixture[0] == 5208 else "all"


def _cases(mixture):
    return round(mixture[1] / SLICES)


def _fifth(words):
    return round(0.2 * TRAINED[words.split])
