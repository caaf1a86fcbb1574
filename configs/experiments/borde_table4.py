"""What should BORDE's blocks inject: the label map at once, or region by region?

Table IV of Chaparro-Cruz and Montoya-Zegarra 2022 (BORDE), paper 000.

    python -m jaxsyn.main --config=configs/experiments/borde_table4.py \
        --config.datasets.brats.source_dir=DIR --workdir=DIR

Words after a colon, separated by commas:
    runlocal  minutes on a CPU, on a small phantom, with two of the five
"""

from configs import common
from configs.experiments import base
from configs.experiments import borde_table1 as table1

# The word `regions` of configs/borde_brats.py, by row.
REGIONS = {
    "label map": "semantic",
    "boundary, label map": "b+semantic",
    "boundary, 2 regions": "b+2",
    "boundary, 3 regions": "b+3",
    "boundary, 4 regions": "b+4",
}
# Dice, then sensitivity, of ET, WT and TC.
PRINTED = {
    "label map": ((0.77, 0.89, 0.89), (0.72, 0.89, 0.89)),
    "boundary, label map": ((0.78, 0.89, 0.90), (0.75, 0.89, 0.89)),
    "boundary, 2 regions": ((0.85, 0.88, 0.89), (0.77, 0.90, 0.90)),
    "boundary, 3 regions": ((0.87, 0.91, 0.91), (0.87, 0.93, 0.94)),
    "boundary, 4 regions": ((0.83, 0.90, 0.92), (0.84, 0.91, 0.95)),
}
ABOUT = """Five generators are told where the tumour is in different ways, and a U-Net
is trained on the real and on as many of their synthetic cases. Those with regions
inject the brain, then the tumour or its parts, one after another. All are compared with
three regions, which the paper prefers; Table I prints slightly other values for the
same generator."""


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg)
    config = table1.experiment("Table IV of BORDE: what its blocks inject", ABOUT)
    config.baseline = "boundary, 3 regions"
    rows = tuple(REGIONS)[:: 3 if words.runlocal else 1]
    for name in rows:
        config.jobs[_job(name)] = base.train(
            "borde", "brats", f"regions={REGIONS[name]}", local=words.runlocal
        )
    config.arms = tuple(table1.arm(name, PRINTED, _job(name)) for name in rows)
    return base.shrink(config) if words.runlocal else config


def _job(name):
    return f"borde_{REGIONS[name].replace('+', '')}"
