"""A GAN of tumours as volumes, on BraTS, at 128 x 128 px and 32 slices.

    python -m jaxsyn.main --config=configs/wgan3d_brats.py \
        --config.data.source_dir=DIR --workdir=DIR

The paper trains it on stroke lesions; its Adam is not printed.

Words after a colon, separated by commas:
    runlocal  seconds on a CPU, on a small phantom
"""

from configs import common


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg)
    config = common.base()
    config.depth = 32
    config.data.prepare.update({"image_size": 128, "fit": "resize", "crop": "brain"})
    config.data.holding = common.TUMOUR  # Blocks without a lesion are left out.
    config.system.update({"name": "wgan3d", "lesion": common.TUMOUR})
    config.optimizers.generator = common.adam(2e-4, 0.5, 0.9)
    config.optimizers.critic = common.adam(2e-4, 0.5, 0.9)
    config.train.epochs = 500
    if words.runlocal:
        common.shrink(config)
        config.depth = 16
        config.system.update({"ngf": 4, "ndf": 2, "num_layers": 1})
    return config
