"""SPADE on BraTS, at 256 px, with the published code's losses and optimisers.

    python -m jaxsyn.main --config=configs/spade_brats.py \
        --config.data.source_dir=DIR --workdir=DIR

Words after a colon, separated by commas:
    vae       style from an encoder, drawn at random in generation
    runlocal  seconds on a CPU, on a small phantom
"""

from configs import common


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg, vae=False)
    config = common.base()
    config.system.name = "spade"
    config.system.vae = words.vae
    config.optimizers.generator = common.adam(1e-4, 0.0, 0.9)
    config.optimizers.discriminator = common.adam(4e-4, 0.0, 0.9)
    if words.vae:
        config.optimizers.encoder = common.adam(1e-4, 0.0, 0.9)
    config.train.epochs = 50
    if words.runlocal:
        common.shrink(config)
        config.system.update({"ngf": 4, "ndf": 4})
    return config
