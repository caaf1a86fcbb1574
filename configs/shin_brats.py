"""Shin et al. 2018 on BraTS, at 256 px: pix2pix on labels and tissue maps.

    python -m jaxsyn.main --config=configs/shin_brats.py \
        --config.data.source_dir=DIR --workdir=DIR

BraTS has no tissue labels: the brain around the tumour is the only tissue.

Words after a colon, separated by commas:
    runlocal  seconds on a CPU, on a small phantom
"""

from configs import common


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg)
    config = common.base()
    config.system.name = "shin"
    for network in ("generator", "discriminator"):
        config.optimizers[network] = common.adam(2e-4, 0.5, 0.999, decay_from=0.5)
    config.train.update({"epochs": 200, "batch_size": 1})
    if words.runlocal:
        common.shrink(config)
        config.system.update({"ngf": 4, "ndf": 4})
    return config
