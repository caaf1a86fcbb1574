"""Does BORDE's synthetic data help a U-Net on BraTS? Table I of paper 000.

    python -m jaxsyn.main --config=configs/judge_borde_brats.py \
        --config.generator=WORKDIR --config.data.source_dir=DIR --workdir=DIR

WORKDIR is a finished training's, of any system. The data must be divided as that
training's were: the same fractions and split_seed, or
--config.data.prepare.split_file=PREPARED/split.json.

Words after a colon, separated by commas:
    paper=000     whose U-Net: 000 to 003, or 004, which segments volumes
    real          the rows without synthetic data, which need no generator
    runlocal      seconds on a CPU, on a small phantom
"""

from configs import common

REGIONS = {
    "ET": ("enhancing",),
    "WT": ("necrotic", "oedema", "enhancing"),
    "TC": ("necrotic", "enhancing"),
}
# What a row is trained on. Training cases are real unless said otherwise.
ROWS = (
    {"name": "none"},
    {"name": "classical", "augment": "classical"},
    {"name": "real+synthetic", "augment": "classical", "synthetic": 1.0},
    {"name": "synthetic", "augment": "classical", "patients": 0, "synthetic": 1.0},
)
# Dice and sensitivity of ET, WT and TC, as printed.
PRINTED = {
    "none": ((0.69, 0.85, 0.79), (0.59, 0.88, 0.84)),
    "classical": ((0.73, 0.89, 0.88), (0.69, 0.91, 0.89)),
    "real+synthetic": ((0.88, 0.91, 0.91), (0.87, 0.92, 0.94)),
}


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg, paper="000", real=False)
    config = common.judge(words.paper)
    config.rows = ROWS[:2] if words.real else ROWS
    config.metrics.regions = REGIONS
    config.paper = {
        row: {
            region: {"dice": dice, "sensitivity": sensitivity}
            for region, dice, sensitivity in zip(REGIONS, *printed, strict=True)
        }
        for row, printed in PRINTED.items()
        if row in [shown["name"] for shown in config.rows]
    }
    # The division that the training of the generator used.
    config.data.prepare.fractions = (0.8, 0.1, 0.1)
    if words.runlocal:
        common.shrink_judge(config)
    return config
