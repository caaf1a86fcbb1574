"""SEAN on BraTS, at 256 px, with the paper's losses, optimisers and schedule.

    python -m jaxsyn.main --config=configs/sean_brats.py \
        --config.data.source_dir=DIR --workdir=DIR

Words after a colon, separated by commas:
    shared    one style layer for all labels in each normalisation
    runlocal  seconds on a CPU, on a small phantom
"""

from configs import common


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg, shared=False)
    config = common.base()
    config.system.name = "sean"
    config.system.style_layers = "shared" if words.shared else "per_label"
    config.optimizers.generator = common.adam(1e-4, 0.0, 0.9)
    config.optimizers.encoder = common.adam(1e-4, 0.0, 0.9)
    config.optimizers.discriminator = common.adam(4e-4, 0.0, 0.9)
    for optimizer in config.optimizers.values():
        optimizer.decay_from = 0.5
    config.train.epochs = 100
    config.train.batch_size = 32
    if words.runlocal:
        common.shrink(config)
        config.system.update({"ngf": 4, "ndf": 4, "encoder_ngf": 4, "style_dim": 16})
    return config
