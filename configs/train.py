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

from configs import common, datasets

# Options that name labels of BraTS, for labels of any name.
ANY_LABELS = {
    "borde": {"regions": (("boundary",), ("foreground",), ("labels",))},
    "wgan3d": {"lesion": ()},
}


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    given = dict.fromkeys(filter(None, (arg or "").split(",")))
    chosen = {"system": "spade", "data": "brats"}
    for word in list(given):
        key, _, value = word.partition("=")
        if key in chosen:
            chosen[key] = value
            del given[word]
    module = importlib.import_module(f"configs.{chosen['system']}_brats")
    config = module.get_config(",".join(given))
    before, config.data = config.data, datasets.get(chosen["data"])
    # What a network needs rather than a data set, and what `runlocal` shrank.
    for key in ("image_size", "fit", "crop"):
        if before.prepare[key] != common.brats().prepare[key]:
            config.data.prepare[key] = before.prepare[key]
    if "runlocal" in given:
        common.shrink_data(config)
    if datasets.DATA[chosen["data"]].tumour:
        config.data.holding = before.holding
    elif options := ANY_LABELS.get(config.system.name):
        config.system.update(options)
    return config
