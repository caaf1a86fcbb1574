"""Which generator's images are the most real, and which teach a U-Net the most?

All label-to-image systems of this library, on one data set, divided once, each trained
on as many images (with its own batches, losses and optimisers) and judged by one U-Net.

    python -m jaxsyn.metrics.inception --get
    python -m jaxsyn.main --config=configs/experiments/contest.py \
        --config.datasets.brats.source_dir=DIR --workdir=DIR

Words after a colon, separated by commas:
    data=brats     a data set of configs/datasets.py
    size=64        side of the images, in pixels
    images=400000  how many every generator is trained on
    systems=all    or some of them, as spade+borde
    small          a quarter of the channels, batches of four, U-Nets of 600 steps:
                   hours on two cores
    runlocal       minutes on a CPU, on a small phantom, with two systems
SAMR takes part where it is known which labels are lesions.
"""

from configs import common, compare, datasets
from configs.experiments import base
from configs.judge_borde_brats import REGIONS

SYSTEMS = ("spade", "sean", "borde", "pix2pix", "pix2pixhd", "shin", "cyclegan")
SYSTEMS += ("samr", "platscher", "cstylegan2")
LOCAL = ("spade", "pix2pix")
# Where it is not as in configs/compare.py.
SMALL = {
    "cstylegan2": {"fmap_base": 2048, "fmap_max": 128, "r1_gamma": 1.0},
    "pgan": {
        "fmap_base": 1024,
        "fmap_max": 64,
        "fade_images": 3000,
        "stable_images": 3000,
        "most_batch": 32,
    },
}
ABOUT = """Every generator learns to draw images on label maps of the same training
patients, from the same number of images. On the label maps of patients whom none has
seen they draw images, which are compared with the real ones; and a U-Net is trained on
real cases and as many synthetic ones, and tested on these patients. How much better it
is than with classical augmentation alone is what a generator is worth. An audit asks
whether it repeats the patients it was trained on."""


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(
        arg, data="brats", size="64", images="400000", systems="all", small=False
    )
    config = base.experiment("A contest of generators", ABOUT, baseline="classical")
    config.datasets[words.data] = _data(words.data, int(words.size))
    config.judges.unet = judge(words, "dice", "hd95")
    systems = _systems(words)
    for name in systems:
        config.jobs[name] = _train(name, words)
        config.jobs[f"quality_{name}"] = base.quality(
            name, words.data, "fid", "kid", "swd", "manifold"
        )
        config.jobs[f"audit_{name}"] = base.audit(name, words.data)
    config.quality = tuple({"name": name, "job": f"quality_{name}"} for name in systems)
    config.audits = tuple({"name": name, "job": f"audit_{name}"} for name in systems)
    config.arms = (
        base.arm("none", row={"augment": "none"}),
        base.arm("classical", row={}),
        *(base.arm(name, row={"synthetic": 1.0}, generator=name) for name in systems),
    )
    return base.shrink(config) if words.runlocal else config


def _systems(words):
    if words.systems != "all":
        return tuple(words.systems.split("+"))
    if words.runlocal:
        return LOCAL
    lesions = datasets.DATA[words.data].lesions
    return tuple(name for name in SYSTEMS if lesions or name != "samr")


def _data(name, size):
    config = datasets.get(name)
    config.prepare.update({"image_size": size, "fit": "resize", "crop": "brain"})
    config.prepare.fractions = (0.6, 0.2, 0.2)
    return config


def _train(name, words):
    config = base.train(name, words.data, local=words.runlocal)
    if "prepare" in config.data:  # One size for all.
        del config.data.prepare
    if words.small:
        make_small(config, name)
    if not words.runlocal:
        steps = int(words.images) // config.train.batch_size
        config.train.update({"steps": steps, "epochs": 0})
    return config


def make_small(config, system):
    """A quarter of a system's channels, or about so many, and batches of four."""
    channels = SMALL.get(system) or compare.SMALL | compare.OWN.get(system, {})
    config.system.update(channels)
    if system != "pgan":  # Whose batches grow smaller as images grow larger.
        config.train.batch_size = 4


def judge(words, *metrics):
    """The U-Net of paper 000, with half of its channels; or an eighth, if small."""
    regions = REGIONS if words.data == "brats" else {}
    config = base.judge("000", words.data, regions=regions, names=metrics)
    config.system.widths = (32, 64, 128, 256, 512)
    config.optimizers.segmenter.decay_from = 0.5  # The last weights are to be settled.
    if words.small:
        config.system.widths = (16, 32, 64, 128)
        config.optimizers.segmenter.learning_rate = 1e-3
        config.train.steps = 600
        config.selection.by = "last"
    return config
