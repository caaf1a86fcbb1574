"""CycleGAN on BraTS, at 256 px, with the published losses and optimisers.

    python -m jaxsyn.main --config=configs/cyclegan_brats.py \
        --config.data.source_dir=DIR --workdir=DIR

Words after a colon, separated by commas:
    runlocal  seconds on a CPU, on a small phantom
"""

from configs import common

NETWORKS = ("labels_to_image", "image_to_labels", "critic_image", "critic_labels")


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg)
    config = common.base()
    config.system.name = "cyclegan"
    for name in NETWORKS:
        config.optimizers[name] = common.adam(2e-4, 0.5, 0.999, decay_from=0.5)
    config.data.augment.update(common.JITTER)
    config.train.update({"epochs": 200, "batch_size": 1})
    if words.runlocal:
        common.shrink(config)
        config.system.update({"ngf": 4, "ndf": 4, "blocks": 1, "pool_size": 2})
    return config
