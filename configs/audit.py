"""Whether a generator repeats the patients it was trained on: a privacy audit.

    python -m jaxsyn.main --config=configs/audit.py \
        --config.generator=WORKDIR --config.data.source_dir=DIR --workdir=DIR

The data are those of the training, prepared alike, with patients left out of it: at
least six, better twenty. Words after a colon, separated by commas:
    data=brats  a data set of configs/datasets.py
    runlocal    on a small phantom
"""

from ml_collections import ConfigDict

from configs import common, datasets


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg, data="brats")
    config = ConfigDict()
    config.job = "audit"
    config.generator = ""  # The workdir of a training.
    config.export = ""  # Or of a synthesis job.
    config.slices = 8  # Of each unseen patient, and of as many training patients.
    config.samples = 1024  # Of a generator that makes label maps.
    config.features = "auto"  # Or inception, unet, orientations.
    config.segmenter = ""  # A folder in the cells of a judge, for the U-Net.
    config.seed = 0
    config.data = datasets.get(words.data)
    del config.data.augment
    if words.runlocal:
        common.shrink_data(config)
    return config
