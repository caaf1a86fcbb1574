"""Does BORDE's synthetic data help a U-Net on perfusion maps of stroke?

Table II of Chaparro-Cruz and Montoya-Zegarra 2022 (BORDE), paper 000: ISLES 2018.

    python -m jaxsyn.main --config=configs/experiments/borde_table2.py \
        --config.datasets.isles2018.source_dir=DIR --workdir=DIR

Words after a colon, separated by commas:
    runlocal  minutes on a CPU, on a small phantom, with BORDE alone
"""

from configs import common, datasets
from configs.experiments import base

# Dice, precision and recall, which is the sensitivity.
PRINTED = {
    "no augmentation": (0.60, 0.63, 0.66),
    "classical": (0.68, 0.68, 0.75),
    "SPADE": (0.70, 0.69, 0.80),
    "SEAN": (0.73, 0.73, 0.81),
    "BORDE": (0.75, 0.76, 0.83),
    "leaderboard": (0.90, 0.94, 1.00),
}
METRICS = ("dice", "precision", "sensitivity")
ABOUT = """A U-Net is trained to find the core of a stroke in four perfusion maps: on
real images, with classical augmentation, and with as many synthetic cases besides,
which a generator drew on the training patients' own label maps. The last row is the
best of the challenge's public list. Few patients are tested, so differences of a few
points may be chance: see the intervals."""


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg)
    config = base.experiment(
        "Table II of BORDE: synthetic images on ISLES 2018", ABOUT, baseline="classical"
    )
    config.compared = METRICS
    config.datasets.isles2018 = datasets.get("isles2018")
    config.judges.unet = base.judge(
        "000", "isles2018", regions={"lesion": ("lesion",)}, names=METRICS
    )
    # 100 epochs of some 400 slices of 75 cases, in eights.
    config.judges.unet.train.steps = 5000
    names = ("BORDE",) if words.runlocal else ("SPADE", "SEAN", "BORDE")
    for name in names:
        config.jobs[name.lower()] = base.train(
            name.lower(), "isles2018", local=words.runlocal
        )
    config.arms = (
        _arm("no augmentation", row={"augment": "none"}),
        _arm("classical", row={}),
        *(_arm(name, row={"synthetic": 1.0}, generator=name.lower()) for name in names),
        _arm("leaderboard"),
    )
    return base.shrink(config) if words.runlocal else config


def _arm(name, **others):
    values = dict(zip(METRICS, PRINTED[name], strict=True))
    return base.arm(name, printed={"lesion": values}, **others)
