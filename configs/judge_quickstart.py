"""What the quickstart's generator is worth, on the phantom: minutes on two cores.

    bash launch/quickstart.sh
    python -m jaxsyn.main --config=configs/judge_quickstart.py \
        --config.generator=runs/quickstart --workdir=runs/judge

The phantom's patients that the quickstart looked at without training on them are the
test patients. The word `runlocal` after a colon makes it seconds.
"""

from configs import common, judge_borde_brats, quickstart


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg)
    config = judge_borde_brats.get_config()
    config.data = quickstart.get_config().data
    del config.data.augment  # Each row has its own.
    config.data.prepare.fractions = (0.75, 0.0, 0.25)
    config.seeds = (0, 1)
    config.paper = {}
    config.system.widths = (16, 32, 64, 128)
    config.optimizers.segmenter.learning_rate = 1e-3
    config.train.update({"steps": 400, "checkpoint_every": 200})
    config.selection.update({"by": "last", "looks": 1, "last": 1})
    if words.runlocal:
        common.shrink_judge(config)
        config.data.prepare.fractions = (0.6, 0.2, 0.2)
    return config
