"""How real a generator's images of BraTS look: FID, KID and more, by modality.

    python -m jaxsyn.metrics.inception --get
    python -m jaxsyn.main --config=configs/quality_brats.py \
        --config.generator=WORKDIR --config.data.source_dir=DIR --workdir=DIR

Words after a colon, separated by commas:
    runlocal  on a small phantom
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg)
    config = ConfigDict()
    config.job = "quality"
    config.generator = ""  # The workdir of a training.
    config.export = ""  # Or of a synthesis job; without the metric ssim.
    config.segmenter = ""  # A folder in the cells of a judge, for fd_unet.
    config.seed = 0
    config.part = "test"  # Whose label maps and images: train, validation or test.
    config.metrics = ("fid", "kid", "manifold", "swd", "histogram", "ssim")
    config.data = common.brats()
    del config.data.augment
    if words.runlocal:
        common.shrink_data(config)
    return config
