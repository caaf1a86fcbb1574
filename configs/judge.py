"""Does synthetic data help a U-Net on any data set?

    python -m jaxsyn.main --config=configs/judge.py:data=table \
        --config.generator=WORKDIR --config.data.source_dir=DIR --workdir=DIR

WORKDIR is a finished training's on the same data, divided alike (its fractions and
split_seed). Or, in --config.synthetic.export, that of a synthesis job.

Words after a colon, separated by commas:
    data=brats  a data set of configs/datasets.py
    paper=000   whose U-Net: 000 to 003, or 004, which segments volumes
    real        the rows without synthetic data, which need no generator
    runlocal    seconds on a CPU
"""

from configs import common, datasets
from configs.judge_borde_brats import ROWS


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg, data="brats", paper="000", real=False)
    config = common.judge(words.paper)
    config.data = datasets.get(words.data)
    del config.data.augment  # Each row has its own.
    config.rows = ROWS[:2] if words.real else ROWS
    if words.runlocal:
        common.shrink_judge(config)
    return config
