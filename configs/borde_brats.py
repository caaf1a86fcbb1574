"""BORDE on BraTS, at 256 px: the paper's generator, losses and optimiser.

    python -m jaxsyn.main --config=configs/borde_brats.py \
        --config.data.source_dir=DIR --workdir=DIR

Words after a colon, separated by commas:
    regions=b+3   the row of Table IV: semantic, b+semantic, b+2, b+3 or b+4
    row=noise     the row of Table V: blocks, multi_task, residual or noise
    adam=paper    or momentum (0.5, 0.999), or ttur (0, 0.9) with 1e-4 and 4e-4
    runlocal      seconds on a CPU, on a small phantom
"""

from configs import common

# Each row of Table V adds one to the rows before.
ROWS = ("blocks", "multi_task", "residual", "noise")
ADAM = {
    "paper": (common.adam(1e-4, 0.0, 0.999), common.adam(1e-4, 0.0, 0.999)),
    "momentum": (common.adam(1e-4, 0.5, 0.999), common.adam(1e-4, 0.5, 0.999)),
    "ttur": (common.adam(1e-4, 0.0, 0.9), common.adam(4e-4, 0.0, 0.9)),
}


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg, regions="b+3", row="noise", adam="paper")
    config = common.base()
    config.system.name = "borde"
    config.system.regions = common.BORDE_REGIONS[words.regions]
    for i, flag in enumerate(ROWS[1:], start=1):
        config.system[flag] = i <= ROWS.index(words.row)
    generator, discriminator = ADAM[words.adam]
    config.optimizers.generator = generator
    config.optimizers.discriminator = discriminator
    if words.runlocal:
        common.shrink(config)
        config.system.update({"ngf": 4, "ndf": 4, "hidden": 8})
    return config
