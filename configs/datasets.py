"""Data sets: where cases come from, and how the papers prepare them.

`get(NAME)` is `config.data` with the word `data=NAME` of configs/train.py and
configs/judge.py. What a paper leaves open is set so that it can be run; every key can
be changed on the command line.
"""

import dataclasses

from configs import common

_ALL_SLICES = {"min_foreground": 0.0}
_BODY = {"foreground": "otsu", "fit": "resize"}
_WHOLE_RANGE = {"intensity": "range", "low_percentile": 0.0, "high_percentile": 100.0}
# Vu et al. 2025 (003), section 4.4 and Table 1; U-PRO, its sixth set, is private. The
# text speaks of augmentation for two sets, the table for all, with flips for some.
_VU = _ALL_SLICES | {"intensity": "zscore", "fractions": (0.6, 0.2, 0.2)}
_SHAKEN = {"flip": 0.0, "rotate": 1.0, "shift": 0.05, "zoom": (0.9, 1.1)}


@dataclasses.dataclass(frozen=True)
class Data:
    """A data set.

    Attributes:
      source: The module of jaxsyn/data/sources that reads it.
      prepare: What differs in `config.data.prepare` from `common.brats`.
      augment: All of `config.data.augment`.
      phantom: The kind of phantom that can stand in for it; none where there is none.
      lesions: Names of the labels that are lesions; where there are none, all labels
        are looked at alike.
    """

    source: str
    prepare: dict = dataclasses.field(default_factory=dict)
    augment: dict = dataclasses.field(default_factory=lambda: {"flip": 0.5})
    phantom: str = ""
    lesions: tuple[str, ...] = ()


DATA = {
    # 000 gives neither normalisation nor division.
    "brats": Data("brats", phantom="tumour", lesions=common.TUMOUR),
    "isles2018": Data(
        "isles2018",
        {"min_foreground": 0.005},
        phantom="stroke-ctp",
        lesions=("lesion",),
    ),
    # 001: gliomas of high grade (name the folder HGG) with tissues.
    "brats18_001": Data(
        "brats_tissues", {"min_foreground": 0.0}, lesions=common.TUMOUR
    ),
    # 002: registered, 15 slices; the mean over the training set is the atlas.
    "five_sequences": Data(
        "five_sequences", _ALL_SLICES, lesions=("oedema", "cavity", "tumour")
    ),
    # 003.
    "brats20_003": Data(
        "brats",
        _VU | {"steps": ("n4",)},
        _SHAKEN | {"flip": 0.5},
        phantom="tumour",
        lesions=common.TUMOUR,
    ),
    "kits19": Data("kits19", _VU | _BODY, _SHAKEN, lesions=("tumour",)),
    # Native slices of 256 px have square pixels in this plane alone.
    "ibsr18": Data("ibsr18", _VU | {"plane": "coronal"}, _SHAKEN | {"flip": 0.5}),
    "heart": Data("msd", _VU | _BODY, _SHAKEN),
    "spleen": Data("msd", _VU | _BODY | _WHOLE_RANGE, _SHAKEN),
    # 004: in the space of MNI, 32 slices, in its own division by split_file.
    "dwi_stroke": Data(
        "dwi_stroke",
        _ALL_SLICES | {"image_size": 128, "fit": "resize", "high_percentile": 99.5},
        {
            "flip": 0.5,
            "flip_vertical": 0.5,
            "rotate": 5.0,
            "shift": 0.02,
            "zoom": (0.95, 1.05),
            "stretch": 0.05,
            "shear": 0.03,
        },
        lesions=("lesion",),
    ),
    # Others.
    "isles2015": Data("isles2015", lesions=("lesion",)),
    "msd_brain_tumour": Data("msd_brain_tumour", lesions=common.TUMOUR),
    "oasis_tissues": Data("oasis_tissues"),
    "open_ms": Data("open_ms", lesions=("lesion",)),
    "hippocampus": Data(
        "msd",
        _ALL_SLICES | {"foreground": "all", "image_size": 64},
        {"flip": 0.0},
    ),
    "msd": Data("msd", _BODY),
    # Your own.
    "nnunet_raw": Data("nnunet_raw", {"fit": "resize"}),
    "bids": Data("bids", {"fit": "resize"}),
    "table": Data("table", {"fit": "resize"}),
    "pairs": Data(
        "pairs", _ALL_SLICES | {"fit": "resize", "foreground": "all"}, {"flip": 0.0}
    ),
}


def get(name: str):
    """`config.data` of the data set called `name`.

    Raises:
      ValueError: There is none.
    """
    if name not in DATA:
        raise ValueError(f"{name!r} is none of: {', '.join(sorted(DATA))}.")
    known, config = DATA[name], common.brats()
    config.source = known.source
    config.prepare.update(known.prepare)
    config.augment = known.augment
    if known.phantom:
        config.phantom.kind = known.phantom
    else:
        del config.phantom
    return config
