"""What configurations share: the keys there are, and how a run is shrunk."""

from ml_collections import ConfigDict

# The label groups that BORDE injects one after another, by row of Table IV of the
# paper. `boundary` and `foreground` are made of the label map; the rest are labels.
TUMOUR = ("necrotic", "oedema", "enhancing")
BORDE_REGIONS = {
    "semantic": (("background", *TUMOUR, "brain"),),
    "b+semantic": (("boundary",), ("background", *TUMOUR, "brain")),
    "b+2": (("boundary",), ("foreground",), TUMOUR),
    "b+3": (("boundary",), ("foreground",), ("oedema",), ("enhancing", "necrotic")),
    "b+4": (
        ("boundary",),
        ("foreground",),
        ("oedema",),
        ("enhancing",),
        ("necrotic",),
    ),
}


def parse(arg: str | None, **choices) -> ConfigDict:
    """Reads the words after a configuration's colon: `runlocal,regions=b+2`.

    Args:
      arg: The words, separated by commas.
      **choices: The words there are, with their defaults; a word whose default is
        False is switched on by naming it.

    Raises:
      ValueError: A word is none of them.
    """
    words = ConfigDict({"runlocal": False, **choices})
    for word in filter(None, (arg or "").split(",")):
        key, _, value = word.partition("=")
        if key not in words:
            raise ValueError(f"{key!r} is none of: {', '.join(sorted(words))}.")
        words[key] = value if value else True
    return words


def base() -> ConfigDict:
    """Every key that a training has; what a method is, its own file adds."""
    config = ConfigDict()
    config.job = "train"
    config.seed = 0
    config.data = brats()
    config.depth = 0  # Slices of a volume, for networks in 3D; 0: slices alone.
    config.system = ConfigDict()
    config.optimizers = ConfigDict()
    config.train = ConfigDict(
        {
            "steps": 0,  # Give steps or epochs.
            "epochs": 100,
            "batch_size": 8,  # Over all devices.
            "accumulate": 1,  # Micro-batches per update.
            "steps_per_dispatch": 1,  # More, where steps are shorter than a call.
            "dtype": "float32",  # Or bfloat16; parameters stay float32.
            "shard": "none",  # Or optimizer, all: split over the devices.
            "ema": {},  # Decay by network, e.g. {"generator": 0.999}.
            "log_every": 50,
            "sample_every": 1000,
            "checkpoint_every": 1000,
            "keep_checkpoints": 2,
            "best": "",  # swd: keep the best snapshot of a generator of label maps.
            "best_of": 1024,  # Label maps that are compared.
            "on_alarm": "warn",  # Or stop, ignore; see jaxsyn/health.py.
            "rollbacks": 0,  # How often a loss that is no number is forgiven.
        }
    )
    return config


def brats() -> ConfigDict:
    """BraTS folders, sliced axially at 256 px, split by patient."""
    return ConfigDict(
        {
            "source": "brats",  # A module of jaxsyn/data/sources.
            "source_dir": "",  # Where the cases are.
            "prepared_dir": "",  # Prepared sets; beside the workdir if empty.
            "on_bad_case": "error",  # Or skip.
            "cache": "memory",  # mmap: larger than memory; device: on the GPU.
            "jobs": 0,  # Processes that prepare; 0 for one a core.
            "beam": "",  # Or an Apache Beam runner's options prepare: --runner=…
            "holding": (),  # Train only where one of these labels occurs.
            "patients": 0,  # Of the training part; part of any larger number's.
            "prepare": {
                "image_size": 256,
                "fit": "pad",  # Or resize.
                "crop": "none",  # Or brain.
                "plane": "axial",  # Or coronal, sagittal.
                "steps": (),  # Before slicing; see jaxsyn/data/steps.
                "foreground": "nonzero",  # Where there is no mask; or otsu, all.
                "intensity": "range",  # Or zscore, window.
                "min_foreground": 0.01,  # Least share of brain in a slice kept.
                "split": "patient",  # slice: as the papers that leaked did.
                "fractions": (0.8, 0.1, 0.1),  # Train, validation, test.
                "split_seed": 0,
            },
            "augment": {"flip": 0.5},
            "phantom": {  # Used where source_dir is empty and patients > 0.
                "patients": 0,
                "kind": "tumour",
                "seed": 0,
                "shape": (240, 240, 155),
                "spacing_mm": 1.0,
            },
        }
    )


def shrink(config: ConfigDict) -> ConfigDict:
    """Makes any training one of seconds on a CPU, on a small phantom.

    A source_dir that is given is still used instead of the phantom.
    """
    shrink_data(config)
    config.train.update(
        {
            "steps": 4,
            "epochs": 0,
            "batch_size": 4,
            "log_every": 2,
            "sample_every": 4,
            "checkpoint_every": 4,
        }
    )
    return config


# The papers' evaluators. 000 and 002 leave widths open; classic ones are taken.
# 001 writes its bridge as one convolution; 004's counts need biases before norms.
UNETS = {
    "000": {"widths": (64, 128, 256, 512, 1024), "loss": "cross_entropy"},
    "001": {
        "widths": (64, 128, 256, 512, 1024),
        "bridge_convs": 1,
        "up_kernel": 3,
        "use_bias": True,
        "loss": "weighted_dice",
    },
    "002": {"network": "pix2pix", "kernel_init": "normal", "loss": "cross_entropy"},
    "003": {
        "widths": (64, 128, 256, 512, 1024),
        "transitions": True,
        "loss": "soft_dice",
    },
    "004": {  # For volumes: config.depth = 32.
        "widths": (16, 32, 64, 128, 256),
        "norms": "up",
        "use_bias": True,
        "dropout": 0.02,
        "loss": "dice_cross_entropy",
    },
}


def unet(paper: str) -> ConfigDict:
    """The system of a paper's evaluator."""
    return ConfigDict({"name": "unet", **UNETS[paper]})


def judge(paper: str) -> ConfigDict:
    """What configurations of the judge share, with a paper's U-Net."""
    config = ConfigDict()
    config.job = "judge"
    config.seeds = (0, 1, 2)
    config.generator = ""  # The workdir of a training.
    config.data = brats()
    del config.data.augment  # Each row has its own.
    config.data.prepare.fractions = (0.6, 0.2, 0.2)
    config.depth = 32 if paper == "004" else 0  # Slices of a volume; 0: slices alone.
    config.synthetic = ConfigDict(
        {
            "seed": 0,
            "warp": "classical",
            "export": "",  # The workdir of a synthesis job, instead of a generator.
            "dir": "",  # Where judges share what is rendered; the workdir if empty.
        }
    )
    config.rows = ()
    config.system = unet(paper)
    config.class_weights = "balanced" if paper == "001" else "none"
    config.optimizers = ConfigDict({"segmenter": adam(1e-4, 0.9, 0.999)})
    config.train = ConfigDict(
        {
            "steps": 20000,
            "batch_size": 8,
            "accumulate": 1,
            "dtype": "float32",
            "ema": {},
            "log_every": 50,
            "checkpoint_every": 1000,
        }
    )
    config.selection = ConfigDict(
        {"by": "best", "looks": 20, "patience": 0, "last": 5}  # Or last, mean_last.
    )
    config.metrics = ConfigDict(
        {
            "regions": {},  # Each label by itself, unless regions are declared.
            "names": ("dice", "sensitivity", "hd95"),
            "empty": "nan",
            "reduce": "volume",
            "loss": False,  # Also the training's loss of the test part.
        }
    )
    # Classes of several labels: {"tumour": ("necrotic", "oedema", "enhancing")}.
    config.merge = ConfigDict()
    config.paper = ConfigDict()
    return config


def shrink_data(config: ConfigDict) -> None:
    """Slices of 32 px; of three tiny phantoms, unless there is a source_dir."""
    if "phantom" in config.data:
        config.data.phantom.update(
            {"patients": 3, "shape": (60, 60, 38), "spacing_mm": 4.0}
        )
    config.data.prepare.update({"image_size": 32, "fit": "resize", "crop": "brain"})
    config.data.prepare.fractions = (0.6, 0.2, 0.2)
    config.data.jobs = 1


def shrink_judge(config: ConfigDict) -> ConfigDict:
    """Makes any judge one of seconds on a CPU, on a small phantom."""
    shrink_data(config)
    config.seeds = (0,)
    config.depth = min(config.depth, 16)
    config.system.update({"widths": (4, 8, 8, 8, 8), "ngf": 4})
    config.train.update({"steps": 4, "batch_size": 4, "log_every": 2})
    config.selection.update({"looks": 2, "last": 1})
    return config


def adam(learning_rate: float, b1: float, b2: float, **others: float) -> ConfigDict:
    """An optimiser's settings, which are those of `jaxsyn.engine.optimizers.Adam`."""
    return ConfigDict({"learning_rate": learning_rate, "b1": b1, "b2": b2, **others})


# pix2pix's and CycleGAN's jitter: enlarged from 256 to 286 px, and cut at random.
JITTER = {"zoom": (286 / 256, 286 / 256), "shift": 15 / 256}
