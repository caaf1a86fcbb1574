"""Any system on any data set.

    python -m jaxsyn.main --config=configs/train.py:system=spade,data=isles2018 \
        --config.data.source_dir=DIR --workdir=DIR

Words after a colon, separated by commas:
    system=spade  a system of configs/SYSTEM_brats.py
    data=brats    a data set of configs/datasets.py: one of the papers', or your own as
                  table (a CSV of paths), nnunet_raw, bids or pairs
    runlocal      seconds on a CPU; without a source_dir on a small phantom, where there
                  is one for that data set
and those of the system's own configuration, such as codec=one_hot for pgan.
"""

import importlib
from pathlib import Path

from configs import common, datasets

# BORDE's injections, for labels of any name.
REGIONS = (("boundary",), ("foreground",), ("labels",))


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    given = dict.fromkeys(filter(None, (arg or "").split(",")))
    chosen = {"system": "spade", "data": "brats"}
    for word in list(given):
        key, _, value = word.partition("=")
        if key in chosen:
            chosen[key] = value
            del given[word]
    module = _config_of(chosen["system"])
    config = module.get_config(",".join(given))
    before, config.data = config.data, datasets.get(chosen["data"])
    if config.data.augment == common.brats().augment:
        config.data.augment = (
            before.augment
        )  # A system's own, such as pix2pix's jitter.
    # What a network needs rather than a data set, and what `runlocal` shrank.
    for key in ("image_size", "fit", "crop"):
        if before.prepare[key] != common.brats().prepare[key]:
            config.data.prepare[key] = before.prepare[key]
    if "runlocal" in given:
        common.shrink_data(config)
    lesions = datasets.DATA[chosen["data"]].lesions
    if before.holding:
        config.data.holding = lesions
    if config.system.name in ("samr", "wgan3d"):
        config.system.lesion = lesions
    if config.system.name == "borde" and lesions != common.TUMOUR:
        config.system.regions = REGIONS
    return config


def _config_of(system):
    configs = {
        path.stem.removesuffix("_brats"): importlib.import_module(
            f"configs.{path.stem}"
        )
        for path in sorted(Path(__file__).parent.glob("*_brats.py"))
    }
    known = [name for name in configs if configs[name].get_config().job == "train"]
    if system not in known:
        raise ValueError(f"{system!r} is none of: {', '.join(known)}.")
    return configs[system]
