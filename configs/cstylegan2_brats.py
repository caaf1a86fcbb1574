"""C-SG, StyleGAN2 conditioned on label maps, on BraTS, at 256 px.

    python -m jaxsyn.main --config=configs/cstylegan2_brats.py \
        --config.data.source_dir=DIR --workdir=DIR

Words after a colon, separated by commas:
    condition=one_hot  the label map as a channel a label, or index, as one
    preset=auto256     or f, or half, as in configs/stylegan2_brats.py
    ada                adaptive augmentation, for small sets
    runlocal           seconds on a CPU, on a small phantom
"""

from configs import common
from configs.stylegan2_brats import stylegan2


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg, condition="one_hot", preset="auto256", ada=False)
    config = stylegan2("cstylegan2", words)
    config.system.condition = words.condition
    return config
