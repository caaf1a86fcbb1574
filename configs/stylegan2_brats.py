"""StyleGAN2 of noise on BraTS, at 256 px: label maps, or images with label maps.

    python -m jaxsyn.main --config=configs/stylegan2_brats.py \
        --config.data.source_dir=DIR --workdir=DIR

Paper 003 does not say how it trains M-SG and B-SG. The default is what ADA's code takes
for images of 256 px ("auto"), which for a batch of 32 are two GPUs.

Words after a colon, separated by commas:
    makes=masks     or pairs, images and label maps that belong together, or images
    preset=auto256  or f, configuration F of StyleGAN2's paper, or half, the same with
                    half of its channels (configuration E)
    ada             adaptive augmentation, for small sets
    runlocal        seconds on a CPU, on a small phantom
"""

from configs import common

BATCH_SIZE = 32
IMAGES = 25_000_000
HALF_LIFE = 10_000  # Images after which an average has forgotten half.
PATH_EVERY, R1_EVERY = 4, 16
# A preset's options and learning rate.
PRESETS = {
    "auto256": ({"fmap_base": 16384, "mapping_layers": 2, "r1_gamma": 0.0}, 2.5e-3),
    "f": ({"fmap_base": 32768, "mapping_layers": 8, "r1_gamma": 10.0}, 2e-3),
    "half": ({"fmap_base": 16384, "mapping_layers": 8, "r1_gamma": 10.0}, 2e-3),
}


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg, makes="masks", preset="auto256", ada=False)
    config = stylegan2("stylegan2", words)
    config.system.makes = words.makes
    return config


def stylegan2(name, words):
    """What those with and without a condition share."""
    config = common.base()
    options, rate = PRESETS[words.preset]
    config.system.update({"name": name, "ada": 0.6 if words.ada else 0.0, **options})
    config.system.update({"path_every": PATH_EVERY, "r1_every": R1_EVERY})
    config.optimizers.mapping = lazy_adam(rate, PATH_EVERY)
    config.optimizers.synthesis = lazy_adam(rate, PATH_EVERY)
    config.optimizers.discriminator = lazy_adam(rate, R1_EVERY)
    steps = IMAGES // BATCH_SIZE
    config.train.update({"batch_size": BATCH_SIZE, "steps": steps, "epochs": 0})
    decay = 0.5 ** (BATCH_SIZE / HALF_LIFE)
    config.train.ema = {"mapping": decay, "synthesis": decay}
    if words.runlocal:
        common.shrink(config)
        config.system.update({"fmap_base": 128, "fmap_max": 8, "mapping_layers": 2})
        config.system.update({"latent": 8, "style_dim": 8})
    return config


def lazy_adam(rate, every):
    """Adam for a network that is updated once more at every so many steps.

    StyleGAN2's appendix B: rate and decays are such that in these steps and one it
    moves, and forgets, as far as it would in the steps alone.
    """
    share = every / (every + 1)
    return common.adam(rate * share, 0.0, 0.99**share)
