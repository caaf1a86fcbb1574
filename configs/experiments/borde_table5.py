"""Which parts of BORDE's generator matter?

Table V of Chaparro-Cruz and Montoya-Zegarra 2022 (BORDE), paper 000.

    python -m jaxsyn.main --config=configs/experiments/borde_table5.py \
        --config.datasets.brats.source_dir=DIR --workdir=DIR

Words after a colon, separated by commas:
    runlocal  minutes on a CPU, on a small phantom, with the last two
"""

from configs import borde_brats, common
from configs.experiments import base
from configs.experiments import borde_table1 as table1

# By the word `row` of configs/borde_brats.py: Dice, then sensitivity, of ET, WT and TC.
PRINTED = {
    "blocks": ((0.80, 0.88, 0.90), (0.77, 0.88, 0.89)),
    "multi_task": ((0.83, 0.89, 0.89), (0.79, 0.90, 0.92)),
    "residual": ((0.85, 0.87, 0.90), (0.85, 0.91, 0.93)),
    "noise": ((0.87, 0.91, 0.91), (0.87, 0.93, 0.94)),
}
ABOUT = """Four generators, each with one part more than the one above it: blocks that
inject the boundary and three regions; a second task, to draw the boundary; residual
connections; noise. A U-Net is trained on the real and on as many synthetic cases of
each. All are compared with the last, the complete generator, for which Table I prints
slightly other values."""


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg)
    config = table1.experiment("Table V of BORDE: parts of its generator", ABOUT)
    config.baseline = borde_brats.ROWS[-1]
    rows = borde_brats.ROWS[-2:] if words.runlocal else borde_brats.ROWS
    for row in rows:
        config.jobs[f"borde_{row}"] = base.train(
            "borde", "brats", f"row={row}", local=words.runlocal
        )
    config.arms = tuple(table1.arm(row, PRINTED, f"borde_{row}") for row in rows)
    return base.shrink(config) if words.runlocal else config
