"""Lesions found and missed, each counted once whatever its size.

A lesion is a connected component of a mask. What exactly is counted:

1. Voxels that share a face, an edge or a corner belong to one lesion (in 2D: a side or
   a corner), unless a smaller connectivity is asked for.
2. Lesions smaller than the minimal volume are taken out of both masks first. A lesion
   predicted where only such a small one was is therefore a false one.
3. Two lesions match if they overlap: by any voxel, or by an IoU of at least the given
   one. A reference lesion that matches a predicted one is found; a predicted one that
   matches none is false. Several predicted lesions may match one, and the reverse.
4. F1 = 2 found / (2 found + missed + false).

The BraTS challenges from 2023 on, in addition, join reference lesions that lie close
by dilation; that is not done here.
"""

from collections.abc import Sequence
import dataclasses
import math

import numpy as np
from scipy import ndimage

from jaxsyn.errors import UsageError
from jaxsyn.metrics import masks
from jaxsyn.metrics.overlap import ratio


@dataclasses.dataclass(frozen=True, kw_only=True)
class LesionSettings:
    """What is a lesion, and when it is found.

    Attributes:
      min_iou: Intersection over union from which two lesions match; 0: any overlap.
      min_volume_mm3: Smaller lesions are left out; in 2D an area, in mm2.
      connectivity: Along how many axes at once neighbours may differ, 1 to 3; in 2D
        at most 2 are used.
    """

    min_iou: float = 0.0
    min_volume_mm3: float = 0.0
    connectivity: int = 3

    def __post_init__(self):
        if not (
            0 <= self.min_iou <= 1
            and 0 <= self.min_volume_mm3 < math.inf
            and self.connectivity in (1, 2, 3)
        ):
            raise UsageError(
                f"{self} makes no sense.",
                hint="min_iou lies between 0 and 1, min_volume_mm3 is 0 or more,"
                " connectivity is 1, 2 or 3.",
            )


DEFAULT = LesionSettings()


@dataclasses.dataclass(frozen=True, kw_only=True)
class LesionCounts:
    """Lesions of a prediction and a reference.

    Attributes:
      reference: Lesions there are.
      prediction: Lesions that were predicted.
      found: Reference lesions that match a predicted one.
      false: Predicted lesions that match none.
    """

    reference: int
    prediction: int
    found: int
    false: int

    @property
    def f1(self) -> float:
        """Lesion-wise F1, in [0, 1]; NaN if there are no lesions at all."""
        return ratio(2 * self.found, self.reference + self.found + self.false)


def count_lesions(
    prediction: np.ndarray,
    reference: np.ndarray,
    *,
    spacing: Sequence[float],
    settings: LesionSettings = DEFAULT,
) -> LesionCounts:
    """Counts the lesions of two boolean masks [H, W] or [X, Y, Z].

    Args:
      prediction: Boolean mask.
      reference: Boolean mask of the same shape.
      spacing: Distance of neighbouring voxels along each axis, in mm.
      settings: What is a lesion, and when it is found.

    Raises:
      DataError: They are not boolean masks of one shape, or the spacing does not fit.
    """
    masks.check_masks(prediction, reference)
    voxel_mm3 = math.prod(masks.check_spacing(spacing, reference.ndim))
    box = masks.joint_box(prediction, reference)
    predicted, predicted_sizes = _components(prediction[box], voxel_mm3, settings)
    there, sizes = _components(reference[box], voxel_mm3, settings)
    both = (predicted > 0) & (there > 0)
    pairs = predicted[both].astype(np.int64) * len(sizes) + there[both]
    pairs, overlap = np.unique(pairs, return_counts=True)
    p, r = np.divmod(pairs, len(sizes))
    match = overlap / (predicted_sizes[p] + sizes[r] - overlap) >= settings.min_iou
    count_predicted = int(np.count_nonzero(predicted_sizes))
    return LesionCounts(
        reference=int(np.count_nonzero(sizes)),
        prediction=count_predicted,
        found=len(np.unique(r[match])),
        false=count_predicted - len(np.unique(p[match])),
    )


def _components(mask, voxel_mm3, settings):
    """Numbered lesions, 0 for none, and their sizes, 0 for those left out."""
    connectivity = min(settings.connectivity, mask.ndim)
    structure = ndimage.generate_binary_structure(mask.ndim, connectivity)
    lesions, _ = ndimage.label(mask, structure)
    sizes = np.bincount(lesions.ravel(), minlength=1)
    sizes[0] = 0
    sizes[sizes * voxel_mm3 < settings.min_volume_mm3] = 0
    return np.where(sizes[lesions] > 0, lesions, 0), sizes
