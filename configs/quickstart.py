"""BORDE at 64 px on the phantom: minutes on two cores.

    bash launch/quickstart.sh

The word `runlocal` after a colon makes it seconds.
"""

from configs import common


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg)
    config = common.base()
    config.system.name = "borde"
    # What the paper leaves open, set so that minutes suffice: a discriminator whose
    # features see intensities, and kernels that start large enough to move at once.
    config.system.update({"ngf": 16, "hidden": 32, "ndf": 16})
    config.system.update({"discriminator": "multiscale", "feature_matching": 10.0})
    config.system.kernel_init = "normal"
    config.optimizers.generator = common.adam(5e-4, 0.0, 0.9)
    config.optimizers.discriminator = common.adam(5e-4, 0.0, 0.9)
    config.data.phantom.update(
        {"patients": 24, "shape": (80, 80, 52), "spacing_mm": 3.0}
    )
    config.data.prepare.update(
        {"image_size": 64, "fit": "resize", "crop": "brain", "min_foreground": 0.2}
    )
    config.data.prepare.fractions = (0.75, 0.25, 0.0)
    config.train.update({"steps": 800, "epochs": 0, "sample_every": 200})
    config.train.ema = {"generator": 0.99}
    if words.runlocal:
        common.shrink(config)
        config.system.update({"ngf": 4, "ndf": 4, "hidden": 8})
    return config
