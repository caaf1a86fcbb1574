"""A case's own voxel grid, where steps of the preparation have left it.

Numpy only: this runs in worker processes, which start faster without JAX.
"""

import dataclasses
from typing import Any

from jaxtyping import Num, Shaped
import numpy as np
from scipy import ndimage

from jaxsyn.data.grid import Order

Matrix = tuple[tuple[float, ...], ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Native:
    """The grid of a case's files.

    Attributes:
      shape: Voxels along each axis.
      affine: 4×4, from voxel indices to RAS+ millimetres.
      transform: 4×4, from the prepared volume's millimetres to these.
    """

    shape: tuple[int, int, int]
    affine: Matrix
    transform: Matrix = tuple(map(tuple, np.eye(4).tolist()))

    def carry(
        self,
        volume: Num[np.ndarray, "x y z"],
        affine: Num[np.ndarray, "4 4"],
        *,
        order: Order,
        fill: float = 0,
    ) -> Num[np.ndarray, "a b c"]:
        """Brings a prepared volume with this affine to the grid of the files."""
        to_prepared = np.linalg.inv(self.transform) @ np.asarray(self.affine)
        return resample(volume, affine, self.shape, to_prepared, order=order, fill=fill)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Native":
        """Reads what `dataclasses.asdict` gave, after a trip through JSON."""
        return cls(
            shape=tuple(data["shape"]),
            affine=tuple(map(tuple, data["affine"])),
            transform=tuple(map(tuple, data["transform"])),
        )


def resample(
    volume: Num[np.ndarray, "x y z"],
    affine: Num[np.ndarray, "4 4"],
    shape: tuple[int, int, int],
    to_affine: Num[np.ndarray, "4 4"],
    *,
    order: Order,
    fill: float = 0,
) -> Shaped[np.ndarray, "a b c"]:
    """Takes a volume's values at the voxels of another grid.

    Args:
      volume: Where values come from.
      affine: Its own.
      shape: Of the other grid.
      to_affine: Of the other grid, to the same millimetres.
      order: "linear" for images (then float32), smoothed along axes on which the
        other grid is coarser; "nearest" for labels.
      fill: What voxels beyond the volume hold.
    """
    index = np.linalg.inv(affine) @ to_affine
    if order == "linear":
        volume = _smooth(volume.astype(np.float32), index)
    return ndimage.affine_transform(
        volume,
        index[:3, :3],
        index[:3, 3],
        output_shape=tuple(shape),
        order=1 if order == "linear" else 0,
        mode="grid-constant",
        cval=fill,
    )


def _smooth(volume, index):
    """As much as sampling with these steps needs (Cardoso et al. 2015).

    https://doi.org/10.1007/978-3-319-24571-3_81
    """
    steps = np.linalg.norm(index[:3, :3], axis=1)
    sigmas = np.sqrt(np.maximum(steps**2 - 1.0, 0.0)) / np.sqrt(8.0 * np.log(2.0))
    if sigmas.max() < 0.1:
        return volume
    return ndimage.gaussian_filter(volume, sigmas, mode="nearest")
