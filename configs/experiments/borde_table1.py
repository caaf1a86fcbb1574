"""Does BORDE's synthetic data help a U-Net on BraTS more than SPADE's or SEAN's?

Table I of Chaparro-Cruz and Montoya-Zegarra 2022 (BORDE), paper 000.

    python -m jaxsyn.main --config=configs/experiments/borde_table1.py \
        --config.datasets.brats.source_dir=DIR --workdir=DIR

Words after a colon, separated by commas:
    runlocal  minutes on a CPU, on a small phantom, with SPADE alone
"""

from configs import common, datasets
from configs.experiments import base
from configs.judge_borde_brats import REGIONS

# Dice, then sensitivity, of ET, WT and TC.
PRINTED = {
    "no augmentation": ((0.69, 0.85, 0.79), (0.59, 0.88, 0.84)),
    "classical": ((0.73, 0.89, 0.88), (0.69, 0.91, 0.89)),
    "SPADE": ((0.75, 0.89, 0.89), (0.67, 0.90, 0.90)),
    "SEAN": ((0.82, 0.92, 0.88), (0.77, 0.94, 0.91)),
    "BORDE": ((0.88, 0.91, 0.91), (0.87, 0.92, 0.94)),
    "leaderboard": ((0.93, 0.94, 0.95), (0.96, 0.99, 0.96)),
}
GENERATORS = ("SPADE", "SEAN", "BORDE")
ABOUT = """A U-Net is trained to find enhancing tumour (ET), whole tumour (WT) and
tumour core (TC): on real images, with classical augmentation, and with as many
synthetic cases besides, which a generator drew on the training patients' own label
maps. The last row is the best of the challenge's public list. The paper gives neither
its division of patients nor the size of its U-Net."""


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg)
    config = experiment("Table I of BORDE: synthetic images on BraTS 2020", ABOUT)
    names = GENERATORS[:1] if words.runlocal else GENERATORS
    for name in names:
        config.jobs[name.lower()] = base.train(
            name.lower(), "brats", local=words.runlocal
        )
    config.arms = (
        arm("no augmentation", row={"augment": "none"}),
        arm("classical", row={}),
        *(arm(name, generator=name.lower()) for name in names),
        base.arm("leaderboard", printed=printed(PRINTED["leaderboard"])),
    )
    return base.shrink(config) if words.runlocal else config


def experiment(title, about):
    """What Tables I, IV and V share: data, U-Net and baseline."""
    config = base.experiment(title, about, baseline="classical")
    config.compared = ("dice", "sensitivity")
    config.datasets.brats = datasets.get("brats")
    names = ("dice", "sensitivity", "hd95")
    config.judges.unet = base.judge("000", "brats", regions=REGIONS, names=names)
    # As the generators: 100 epochs of some 38,000 slices of 295 patients, in eights.
    config.judges.unet.train.steps = 475_000
    return config


def arm(name, values=PRINTED, generator="", row=None):
    """A row of Table I, IV or V; by default of real and as many synthetic cases."""
    row = {"synthetic": 1.0} if row is None else row
    return base.arm(name, row=row, generator=generator, printed=printed(values[name]))


def printed(values):
    """A row's printed values, by region and metric."""
    dice, sensitivity = values
    return base.printed(REGIONS, dice=dice, sensitivity=sensitivity)
