"""Where the pixels of prepared cases lie, and label maps carried from one to another.

Slices of all cases are shown upright, so that their axes are parallel: places are three
rows of millimetres, of slices, rows and columns, from the middle of the whole image.
"""

from collections.abc import Sequence

from jaxtyping import Float, UInt8
import numpy as np

from jaxsyn.data.preprocess import CaseInfo

Places = tuple[
    Float[np.ndarray, " d"], Float[np.ndarray, " h"], Float[np.ndarray, " w"]
]

_REACH = 0.51  # Of the distance of pixels: no pixel in between is out of reach.


def places_of(info: CaseInfo) -> Places:
    """Millimetres of a case's slices, rows and columns from the middle of its image."""
    grid = info.grid
    window = (np.arange(grid.size) + 0.5) * grid.side / grid.size - 0.5
    voxels = np.array(info.kept), grid.top + window, grid.left + window
    sides = np.linalg.norm(np.array(info.affine)[:3, :3], axis=0)
    return tuple(
        (voxel - (grid.shape[axis] - 1) / 2) * sides[axis]
        for voxel, axis in zip(voxels, grid.axes, strict=True)
    )


def middle(mask: np.ndarray, places: Places) -> Float[np.ndarray, " 3"]:
    """Where the middle of the box around a mask [D, H, W] is; 0 if it is empty."""
    if not mask.any():
        return np.zeros(3)
    found = []
    for axis, place in enumerate(places):
        others = tuple(i for i in range(3) if i != axis)
        seen = place[mask.any(axis=others)]
        found.append((seen.min() + seen.max()) / 2)
    return np.array(found)


def carry(
    label: UInt8[np.ndarray, "d h w"],
    places: Places,
    onto: Places,
    spacing_mm: Sequence[float],
) -> UInt8[np.ndarray, "e k l"]:
    """What a label map holds at other places; 0 where it has no pixel.

    Args:
      label: The label map.
      places: Of its pixels.
      onto: The other places.
      spacing_mm: Distance of its slices, rows and columns; where they have gaps,
        nothing fills them.
    """
    made = label
    for axis, (ours, theirs, spacing) in enumerate(
        zip(places, onto, spacing_mm, strict=True)
    ):
        nearest = np.abs(ours - theirs[:, None]).argmin(axis=1)
        near = np.abs(ours[nearest] - theirs) <= _REACH * spacing
        shape = [-1 if i == axis else 1 for i in range(3)]
        made = np.where(near.reshape(shape), made.take(nearest, axis), 0)
    return made.astype(label.dtype)
