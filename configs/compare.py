"""Any label-to-image system, small: all of them under one budget at 64 px.

    bash launch/gallery.sh [FOLDER [BRATS]]

trains each and draws the same label maps with all. Words after a colon, separated by
commas:
    system=spade      a system of configs/SYSTEM_brats.py, or platscher-spade
    runlocal          seconds on a CPU
"""

import importlib

from configs import common, quickstart

# Half or a quarter of the published channels. Kernels start large enough to move within
# hundreds of steps.
SMALL = {"ngf": 16, "ndf": 16, "kernel_init": "normal"}
OWN = {
    "samr": {"segmenter_ngf": 8, "downs": 3, "blocks": 4, "widest": 128},
    "sean": {"encoder_ngf": 16, "style_dim": 64},
    "borde": {"hidden": 32},
    "pix2pixhd": {"downs": 3, "blocks": 4},
    "cyclegan": {"blocks": 4},
}


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg, system="spade")
    name, _, generator = words.system.partition("-")
    module = importlib.import_module(f"configs.{name}_brats")
    config = module.get_config(f"generator={generator}" if generator else "")
    config.system.update({**SMALL, **OWN.get(name, {})})
    config.data = quickstart.get_config().data
    config.data.prepare.fractions = (0.75, 0.0, 0.25)
    config.train.update({"steps": 300, "epochs": 0, "batch_size": 4})
    config.train.update({"sample_every": 0, "log_every": 100, "checkpoint_every": 300})
    if words.runlocal:
        common.shrink(config)
        config.system.update({"ngf": 4, "ndf": 4})
    return config
