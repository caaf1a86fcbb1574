"""Paper 004's image-to-image translation on BraTS, at 128 px.

    python -m jaxsyn.main --config=configs/platscher_brats.py \
        --config.data.source_dir=DIR --workdir=DIR

Words after a colon, separated by commas:
    generator=pix2pix  or spade
    lambda=100         weight of the distance from the true image, or lambda=10
    runlocal           seconds on a CPU, on a small phantom
"""

from configs import common


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg, generator="pix2pix", **{"lambda": "100"})
    config = common.base()
    config.data.prepare.update({"image_size": 128, "fit": "resize"})
    config.system.name = "platscher"
    config.system.generator = words.generator
    config.system.l1 = float(words["lambda"])
    for network in ("generator", "discriminator"):
        config.optimizers[network] = common.adam(2e-4, 0.5, 0.999)
    config.train.update({"epochs": 100, "batch_size": 8})
    if words.runlocal:
        common.shrink(config)
        config.system.update({"ngf": 4, "ndf": 4})
    return config
