"""What is measured: every system as its paper has it, or with narrower networks."""

import dataclasses
import importlib
from typing import Any

from jaxsyn import systems

# Configurations of configs/, with their words, by the names that tables use.
CONFIGS = {
    "spade": "spade_brats",
    "sean": "sean_brats",
    "borde": "borde_brats",
    "pix2pix": "pix2pix_brats",
    "shin": "shin_brats",
    "pix2pixhd": "pix2pixhd_brats",
    "cyclegan": "cyclegan_brats",
    "samr": "samr_brats",
    "platscher": "platscher_brats:generator=pix2pix",
    "platscher_spade": "platscher_brats:generator=spade",
    "pgan": "pgan_brats",
    "stylegan2": "stylegan2_brats:makes=masks",
    "cstylegan2": "cstylegan2_brats",
    "wgan3d": "wgan3d_brats",
    "unet": "judge_borde_brats",
}
MODULATED = ("spade", "sean", "borde")  # On one CPU their modulation is sparse.
WIDTHS = ("published", "small", "tiny")
BATCH_SIZES = {32: 4, 64: 8, 128: 4, 256: 1}  # By side of the images, in pixels.
NARROWER = 4  # What `small` divides channels by,
CHANNELS = (  # which are these options.
    *("ngf", "ndf", "encoder_ngf", "segmenter_ngf", "hidden", "style_dim"),
    *("widest", "fmap_base", "fmap_max", "widths"),
)


def load(name: str, widths: str = "published") -> dict[str, Any]:
    """Everything that both sides of a comparison have to know; JSON.

    Args:
      name: One of `CONFIGS`.
      widths: `published`, the configuration's; `small`, a quarter of its channels; or
        `tiny`, those of its word `runlocal`.

    Returns:
      "system", all options of the system, those that the configuration leaves at their
      defaults, too; "optimizers" by network; "depth", whether it works on volumes.
    """
    module, _, words = CONFIGS[name].partition(":")
    if widths == "tiny":
        words = ",".join(filter(None, (words, "runlocal")))
    module = importlib.import_module(f"configs.{module}")
    config = module.get_config(words or None).to_dict()
    options = config["system"]
    options = _defaults(systems.find(options["name"])) | options
    if widths == "small":
        narrow = {key: _narrow(options[key]) for key in CHANNELS if key in options}
        options |= narrow
    return {
        "system": options,
        "optimizers": config["optimizers"],
        "depth": bool(config["depth"]),
    }


def depth(case: dict[str, Any], size: int) -> int:
    """Slices of the case's volumes of `size` px; 0 if it works on slices."""
    return max(size // 4, 16) if case["depth"] else 0


def _defaults(system):
    found = {}
    for field in dataclasses.fields(system):
        if field.init and field.default is not dataclasses.MISSING:
            found[field.name] = field.default
        elif field.init and field.default_factory is not dataclasses.MISSING:
            found[field.name] = field.default_factory()
    return found


def _narrow(channels):
    if isinstance(channels, int):
        return max(channels // NARROWER, 1)
    return [_narrow(each) for each in channels]
