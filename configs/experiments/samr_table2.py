"""Do images drawn on manipulated lesions help a U-Net on operated gliomas?

Table 2 of Guo et al. 2020, https://arxiv.org/abs/2006.14761, paper 002 (SAMR).

    python -m jaxsyn.main --config=configs/experiments/samr_table2.py \
        --config.datasets.five_sequences.source_dir=DIR --workdir=DIR

The paper's cases are not public; the source `five_sequences` reads cases of your own.

Words after a colon, separated by commas:
    runlocal  minutes on a CPU, on a small phantom, with pix2pix and one ablation
"""

from configs import common, datasets
from configs.experiments import base

# Rows of Exp. 1 and of the ablation: system and words of its configuration.
GENERATORS = {
    "pix2pix": ("pix2pix",),
    "pix2pixHD": ("pix2pixhd",),
    "Shin": ("shin",),
    "SAMR": ("samr",),
    "without stretch-out": ("samr", "row=no-stretch-out"),
    "without label-wise D": ("samr", "row=no-label-wise"),
    "without atlas": ("samr", "row=no-atlas"),
    "without consistency": ("samr", "row=no-consistency"),
}
METRICS = ("dice", "hd95", "sensitivity", "specificity")
# Of oedema, cavity and tumour.
PRINTED = """
real                 .646 .613 .673  8.816  7.856  7.078  .661 .576 .687  .996 .999 .998
pix2pix              .589 .459 .562 13.180 21.003 10.139  .626 .419 .567  .995 .998 .999
pix2pixHD            .599 .527 .571 17.406  8.606 10.369  .630 .494 .570  .996 .998 .999
Shin                 .731 .688 .772  7.306  6.290  6.294  .701 .662 .785  .997 .999 .999
SAMR                 .794 .813 .821  6.049  1.568  2.293  .789 .807 .841  .997 .999 .999
pix2pix, half        .602 .502 .569 10.706  9.431 10.147  .640 .463 .579  .995 .999 .998
pix2pixHD, half      .634 .514 .663 17.754  9.512  9.061  .670 .472 .671  .996 .999 .999
Shin, half           .673 .643 .708 14.835  7.798  6.688  .664 .602 .733  .997 .999 .998
SAMR, half           .745 .780 .772  8.779  6.757  4.735  .760 .788 .805  .997 .999 .999
without stretch-out  .684 .713 .705  6.592  5.059  4.002  .708 .699 .719  .997 .999 .999
without label-wise D .753 .797 .785  7.844  2.570  2.719  .735 .780 .783  .998 .999 .999
without atlas        .677 .697 .679 13.909 11.481  7.123  .691 .689 .723  .997 .999 .998
without consistency  .728 .795 .771  8.604  3.024  3.233  .738 .777 .777  .997 .999 .999
"""
REGIONS = {"oedema": ("oedema",), "cavity": ("cavity",), "tumour": ("tumour",)}
LOCAL_REGIONS = REGIONS | {"cavity": ("necrotic",), "tumour": ("enhancing",)}
ALL, HALF = {"synthetic": 1.0}, {"synthetic": 0.5}
CASES = 72  # Training patients, 80 % of 90.
ABOUT = """Lesions of training patients are mirrored, grown, shrunk, moved or exchanged,
and generators draw images in five sequences on the label maps that result. A U-Net is
trained on real cases and on as many synthetic ones (Exp. 1), half as many (Exp. 2: the
rows called half), or none (Exp. 3). Exp. 4 leaves out one part of SAMR at a time. The
paper repeats SAMR's row there with a specificity of 0.998 for oedema, and prints one
Dice without its decimal point."""


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg)
    source = "brats" if words.runlocal else "five_sequences"
    regions = LOCAL_REGIONS if words.runlocal else REGIONS
    config = base.experiment("Table 2 of SAMR", ABOUT, baseline="real")
    config.compared = ("dice", "sensitivity")
    config.datasets[source] = datasets.get(source)
    config.datasets[source].prepare.fractions = (0.8, 0.0, 0.2)
    config.judges.unet = _judge(source, regions)
    names = ("pix2pix", "without atlas") if words.runlocal else tuple(GENERATORS)
    for name in names:
        system, *others = GENERATORS[name]
        config.jobs[_job(name)] = base.train(
            system, source, *others, local=words.runlocal
        )
        config.jobs[f"cases_{_job(name)}"] = _synthesis(name, source)
    halves = [name for name in names if f"{name}, half" in _printed()]
    config.arms = (
        _arm("real", {"augment": "none"}),
        *(_arm(name, ALL, name) for name in names),
        *(_arm(f"{name}, half", HALF, name) for name in halves),
    )
    return base.shrink(config) if words.runlocal else config


def _judge(source, regions):
    """200 epochs of 1080 real and 1080 synthetic slices, in sixteens."""
    config = base.judge("002", source, regions=regions, names=METRICS)
    config.optimizers.segmenter = common.adam(2e-4, 0.9, 0.999, decay_from=0.5)
    config.train.update({"steps": 27_000, "batch_size": 16})
    config.selection.by = "last"
    return config


def _synthesis(name, source):
    """Cases with other lesions, changed in any of the paper's ways."""
    job = _job(name)
    config = base.synthesis("manipulated", source, generator=job, cases=CASES)
    config.masks.manipulation.lesion = datasets.DATA[source].lesions
    return config


def _arm(name, row, generator=""):
    values = _printed()[name]
    return base.arm(
        name,
        row={"augment": "none", **row},
        export=generator and f"cases_{_job(generator)}",
        printed=base.printed(REGIONS, **values),
    )


def _printed():
    """By row, three values a metric."""
    found = {}
    for line in PRINTED.strip().splitlines():
        values = list(map(float, line[20:].split()))
        by_metric = zip(*[iter(values)] * 3, strict=True)
        found[line[:20].strip()] = dict(zip(METRICS, by_metric, strict=True))
    return found


def _job(name):
    return name.lower().replace(" ", "_").replace("-", "_")
