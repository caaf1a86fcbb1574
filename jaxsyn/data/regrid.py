"""A whole case on another voxel grid."""

import dataclasses

from jaxtyping import Num
import numpy as np

from jaxsyn.data.cases import CaseVolumes
from jaxsyn.data.native import Native, resample


def regrid(
    volumes: CaseVolumes,
    shape: tuple[int, int, int],
    affine: Num[np.ndarray, "4 4"],
    transform: Num[np.ndarray, "4 4"] | None = None,
) -> CaseVolumes:
    """Resamples images linearly, labels and brain to the nearest voxel.

    Args:
      volumes: The case; what its files' grid is, it remembers in `native`.
      shape: Of the new grid.
      affine: Of the new grid, from voxel indices to its millimetres.
      transform: From these to the case's own millimetres; nothing, if left out.
    """
    transform = np.eye(4) if transform is None else transform
    here = {"affine": volumes.affine, "shape": shape, "to_affine": transform @ affine}
    native = volumes.native or Native(
        shape=volumes.label.shape, affine=_tuples(volumes.affine)
    )
    images = [
        resample(image, **here, order="linear", fill=float(image.min()))
        for image in volumes.images
    ]
    return dataclasses.replace(
        volumes,
        images=tuple(images),
        label=resample(volumes.label, **here, order="nearest"),
        brain=resample(volumes.brain.view(np.uint8), **here, order="nearest") > 0,
        affine=np.asarray(affine, float),
        native=dataclasses.replace(
            native, transform=_tuples(np.asarray(native.transform) @ transform)
        ),
    )


def _tuples(matrix):
    return tuple(map(tuple, np.asarray(matrix, float).tolist()))
