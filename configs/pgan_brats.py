"""PGAN on BraTS: label maps of 256 px, with the published schedule.

    python -m jaxsyn.main --config=configs/pgan_brats.py \
        --config.data.source_dir=DIR --workdir=DIR

As in paper 001 the state is kept whose label maps are closest to the real ones by SWD;
with --config.data.source=brats_tissues they have that paper's seven classes.

Words after a colon, separated by commas:
    codec=one_hot  a channel a label, instead of one for all
    runlocal       seconds on a CPU, on a small phantom
"""

from configs import common

IMAGES = 12_000_000  # Over all sizes; 7,200,000 until 256 px is faded in.


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg, codec="index")
    config = common.base()
    config.system.name = "pgan"
    config.system.codec = words.codec
    config.optimizers.generator = common.adam(1e-3, 0.0, 0.99)
    config.optimizers.critic = common.adam(1e-3, 0.0, 0.99)
    config.train.update({"batch_size": 8, "steps": IMAGES // 8, "epochs": 0})
    config.train.ema = {"generator": 0.999}
    config.train.update({"best": "swd", "sample_every": 5000})
    if words.runlocal:
        common.shrink(config)
        config.system.update({"fmap_base": 64, "fmap_max": 16, "latent": 16})
        config.system.update({"first_size": 16, "most_batch": 8})
        config.system.update({"fade_images": 8, "stable_images": 16})
        config.train.steps = 8  # 32 images: 2 steps at 16 px and 4 at 32 px.
    return config
