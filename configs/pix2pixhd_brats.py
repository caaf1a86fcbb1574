"""pix2pixHD on BraTS, at 256 px, with the published losses and optimisers.

    python -m jaxsyn.main --config=configs/pix2pixhd_brats.py \
        --config.data.source_dir=DIR --workdir=DIR

Words after a colon, separated by commas:
    enhancer  the global generator at 128 px, and a local enhancer around it
    runlocal  seconds on a CPU, on a small phantom
"""

from configs import common


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg, enhancer=False)
    config = common.base()
    config.system.name = "pix2pixhd"
    config.system.enhancer = words.enhancer
    networks = ("generator",)
    if words.enhancer:
        networks = ("global", "enhancer")
        # Some 25 and 10 epochs; BraTS 2020 has 38,000 slices of 295 patients.
        config.system.update({"global_steps": 1_000_000, "enhancer_warmup": 400_000})
    for name in (*networks, "discriminator"):
        config.optimizers[name] = common.adam(2e-4, 0.5, 0.999, decay_from=0.5)
    config.train.update({"epochs": 200, "batch_size": 1})
    if words.runlocal:
        common.shrink(config)
        config.system.update({"ngf": 4, "ndf": 4, "downs": 2, "blocks": 1})
        if words.enhancer:
            config.system.update({"global_steps": 1, "enhancer_warmup": 1})
    return config
