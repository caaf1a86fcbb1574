"""The same label maps, drawn by every trained generator of a folder.

    python -m jaxsyn.main --config=configs/gallery.py \
        --config.generators=DIR --workdir=DIR

`launch/gallery.sh` trains the generators of all systems first.
"""

from configs import compare


def get_config(arg=None):
    """The configuration; `arg` are those of `compare`."""
    config = compare.get_config(arg)
    for key in ("system", "optimizers", "train", "depth"):
        del config[key]
    config.job = "gallery"
    config.generators = ""  # A folder whose sub-folders are workdirs of trainings.
    config.part = "test"
    config.count = 10
    config.modality = "flair"
    config.seed = 0
    return config
