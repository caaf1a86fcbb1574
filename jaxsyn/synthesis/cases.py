"""A synthetic case on its way from a label map to files."""

from collections.abc import Sequence
import dataclasses
from typing import Any

from jaxtyping import Float, Float32, UInt8
import numpy as np

from jaxsyn.data.grid import Grid
from jaxsyn.data.preprocess import CaseInfo
from jaxsyn.spec import DataSpec

# Of the brain's intensities, as a share of their range, and where no label tells it.
_DARKEST = 1e-3
_NEARLY_BLACK = 0.02


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class SyntheticCase:
    """A case, and where it comes from.

    Attributes:
      name: Unique in the set; begins with `syn_`.
      label: Indices into the label table, slice by slice as in a prepared set.
      info: Where the slices are in a volume, and the range of its intensities.
      lineage: What it was made of, as JSON: at least "patients", those behind it.
      image: [-1, 1]; None until it is rendered.
    """

    name: str
    label: UInt8[np.ndarray, "d h w"]
    info: CaseInfo
    lineage: dict[str, Any]
    image: Float[np.ndarray, "d h w c"] | None = None


def plain_info(
    name: str,
    spec: DataSpec,
    depth: int,
    spacing_mm: Sequence[float],
) -> CaseInfo:
    """Where the slices of a case are that belongs to no real volume.

    Args:
      name: Of the case.
      spec: Whose size and typical intensities it has.
      depth: How many slices it has.
      spacing_mm: Distance of slices, rows and columns.
    """
    side = spec.image_size
    across, down, along = spacing_mm[2], spacing_mm[1], spacing_mm[0]
    # Columns run to the patient's left, rows to the back, slices upwards.
    affine = np.diag([-across, -down, along, 1.0])
    return CaseInfo(
        case=name,
        patient=name,
        kept=tuple(range(depth)),
        intensities=spec.intensities,
        grid=Grid(
            shape=(side, side, depth),
            axes=(2, 1, 0),
            flips=(False, False, False),
            top=0,
            left=0,
            side=side,
            size=side,
        ),
        affine=tuple(map(tuple, affine.tolist())),
    )


def label_volume(case: SyntheticCase) -> UInt8[np.ndarray, "x y z"]:
    """Its label map on its volume's grid."""
    return case.info.volume(case.label, "nearest")


def image_volumes(
    case: SyntheticCase, spec: DataSpec, *, stripped: bool = True
) -> list[Float32[np.ndarray, "x y z"]]:
    """Its images on their volume's grid, in that volume's intensities.

    They are blank outside the brain and nowhere in it, as skull-stripped images are:
    that is how the brain is told again. Where no label says what is brain, it is what
    is not nearly black in all of them.

    Args:
      case: With its images.
      spec: What they mean.
      stripped: Whether blank is 0, or else the darkest intensity there is.
    """
    unit = [
        case.info.volume((case.image[..., c] + 1.0) / 2.0, "linear")
        for c in range(case.image.shape[-1])
    ]
    if covers_brain(spec):
        outside = label_volume(case) == 0
    else:
        outside = np.all([volume < _NEARLY_BLACK for volume in unit], axis=0)
    volumes = []
    for volume, scale in zip(unit, case.info.intensities, strict=True):
        bright = np.where(outside, 0.0, np.maximum(volume, _DARKEST))
        made = scale.invert(2.0 * bright - 1.0)
        volumes.append(np.where(outside, np.float32(0), made) if stripped else made)
    return volumes


def covers_brain(spec: DataSpec) -> bool:
    """Whether all of the brain has labels: its own, lesions' or tissues'."""
    return any(not label.values or label.tissue for label in spec.labels)
