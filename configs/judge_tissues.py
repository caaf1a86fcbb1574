"""A U-Net that segments cerebrospinal fluid, grey and white matter in T1 images.

    python -m jaxsyn.main --config=configs/judge_tissues.py \
        --config.data.source_dir=DIR --workdir=DIR

Two thirds of the patients are trained on and the others tested; there is nothing
synthetic, unless --config.rows says so.

Words after a colon, separated by commas:
    runlocal  seconds on a CPU
"""

from configs import common


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg)
    config = common.judge("000")
    config.data.source = "oasis_tissues"
    config.data.prepare.update({"image_size": 128, "fit": "resize", "crop": "brain"})
    config.data.prepare.fractions = (2 / 3, 0.0, 1 / 3)
    config.rows = ({"name": "real", "augment": "classical"},)
    config.system.widths = (32, 64, 128, 256, 256)
    config.selection.by = "last"
    config.metrics.names = ("dice", "hd95", "assd")
    if words.runlocal:
        common.shrink_judge(config)
    return config
