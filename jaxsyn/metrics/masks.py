"""Pairs of masks or label maps: that they fit each other, and where they are."""

from collections.abc import Sequence
import itertools
import math

import numpy as np

from jaxsyn.errors import DataError

AFFINE_TOLERANCE_MM = 1e-3


def check_pair(prediction: np.ndarray, reference: np.ndarray) -> None:
    """Raises DataError unless both are 2D or 3D, alike in shape, and whole numbers."""
    if prediction.shape != reference.shape or prediction.ndim not in (2, 3):
        raise DataError(
            f"A prediction of shape {prediction.shape} was given for a reference of"
            f" shape {reference.shape}; both must have the same 2 or 3 axes.",
            hint="Resample the prediction to the reference's grid, by nearest.",
        )
    for what, array in (("prediction", prediction), ("reference", reference)):
        if array.dtype.kind not in "bui":
            raise DataError(
                f"The {what} has values of type {array.dtype}; labels are integers,"
                " masks are booleans.",
                hint="Threshold probabilities, or cast labels that are whole floats.",
            )


def check_masks(prediction: np.ndarray, reference: np.ndarray) -> None:
    """Raises DataError unless both are boolean, 2D or 3D, and alike in shape."""
    check_pair(prediction, reference)
    if prediction.dtype != bool or reference.dtype != bool:
        raise DataError(
            f"Masks of type {prediction.dtype} and {reference.dtype} were given;"
            " boolean ones were expected.",
            hint="Take the mask of a region: jaxsyn.metrics.regions.Region.mask.",
        )


def check_spacing(spacing: Sequence[float], ndim: int) -> tuple[float, ...]:
    """The distances of neighbours along each axis, in mm; DataError if not that."""
    given = tuple(map(float, spacing))
    if len(given) != ndim or not all(0 < mm < math.inf for mm in given):
        raise DataError(
            f"The spacing {given} does not fit {ndim} axes.",
            hint="It is one positive number in mm for each axis, in the arrays' order.",
        )
    return given


def check_affines(
    prediction: np.ndarray, reference: np.ndarray, shape: Sequence[int]
) -> None:
    """Raises DataError if two 4x4 affines put a voxel over 1e-3 mm apart.

    The voxels that lie farthest apart are corners of the grid, of shape `shape`.
    """
    corners = np.array(list(itertools.product(*((0, side - 1) for side in shape))))
    moved = np.subtract(prediction, reference)
    apart = np.linalg.norm(
        corners @ moved[:3, : len(shape)].T + moved[:3, 3], axis=1
    ).max()
    if not apart <= AFFINE_TOLERANCE_MM:
        raise DataError(
            f"The affines of prediction and reference put voxels {apart:.3g} mm apart;"
            f" at most {AFFINE_TOLERANCE_MM} mm was expected.",
            hint="Resample the prediction to the reference's grid, by nearest.",
        )


def joint_box(first: np.ndarray, second: np.ndarray) -> tuple[slice, ...]:
    """The smallest box that holds what is True in either of two masks.

    Its slices have no extent if both are empty.
    """
    box = []
    for axis in range(first.ndim):
        others = tuple(other for other in range(first.ndim) if other != axis)
        found = np.flatnonzero(first.any(axis=others) | second.any(axis=others))
        box.append(slice(found[0], found[-1] + 1) if found.size else slice(0))
    return tuple(box)
