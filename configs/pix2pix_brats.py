"""pix2pix on BraTS, at 256 px, with the paper's losses and optimisers.

    python -m jaxsyn.main --config=configs/pix2pix_brats.py \
        --config.data.source_dir=DIR --workdir=DIR

Words after a colon, separated by commas:
    lambda=100        weight of the distance from the true image, or lambda=10
    generator=unet    or resnet, with nine blocks
    runlocal          seconds on a CPU, on a small phantom
"""

from configs import common


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg, generator="unet", **{"lambda": "100"})
    config = common.base()
    config.system.name = "pix2pix"
    config.system.generator = words.generator
    config.system.l1 = float(words["lambda"])
    for network in ("generator", "discriminator"):
        config.optimizers[network] = common.adam(2e-4, 0.5, 0.999, decay_from=0.5)
    config.data.augment.update(common.JITTER)
    config.train.update({"epochs": 200, "batch_size": 1})
    if words.runlocal:
        common.shrink(config)
        config.system.update({"ngf": 4, "ndf": 4, "blocks": 1})
    return config
