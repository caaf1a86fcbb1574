"""Distances between the borders of two masks, in mm.

A mask's border is its voxels of which a neighbour by a face (in 2D: by a side) lies
outside: the mask without its erosion, as MedPy and MONAI have it. What is beyond the
array is outside. Borders are sets of voxel centres, and all border voxels count alike.
"""

from collections.abc import Sequence
import dataclasses
import math

import numpy as np
from scipy.spatial import cKDTree

from jaxsyn.errors import UsageError
from jaxsyn.metrics import masks
from jaxsyn.metrics.overlap import ratio


@dataclasses.dataclass(frozen=True, kw_only=True)
class SurfaceSettings:
    """Which of the definitions in use is meant.

    Attributes:
      hd: Of the two directed Hausdorff distances take the "max", the usual definition
        and the default, or the "mean".
      hd95: The 95th percentile of the "pooled" distances of both directions (MedPy),
        the default, or the "max" of the two directions' percentiles (MONAI; also
        surface-distance, which weights them by area).
      assd: The mean of the "pooled" distances of both directions (MedPy from 0.5,
        MONAI), the default, or the "mean" of the two directions' means (MedPy 0.4).
        They differ where one border has more voxels.
      tolerance_mm: Up to where a border voxel counts as right for NSD.
    """

    hd: str = "max"
    hd95: str = "pooled"
    assd: str = "pooled"
    tolerance_mm: float = 1.0

    def __post_init__(self):
        known = {
            "hd": ("max", "mean"),
            "hd95": ("pooled", "max"),
            "assd": ("pooled", "mean"),
        }
        for name, values in known.items():
            if getattr(self, name) not in values:
                raise UsageError(
                    f"{name}={getattr(self, name)!r} is no definition of it.",
                    hint=f"There are: {', '.join(values)}.",
                )
        if not 0 <= self.tolerance_mm < math.inf:
            raise UsageError(
                f"A tolerance of {self.tolerance_mm} mm makes no sense.",
                hint="It is 0 or more, e.g. how far two readers' outlines are apart.",
            )


DEFAULT = SurfaceSettings()


@dataclasses.dataclass(frozen=True)
class SurfaceDistances:
    """How far every border voxel of each mask is from the other mask's border.

    All methods are symmetric in the two masks. Distances are NaN if a mask is empty.

    Attributes:
      to_reference: From the prediction's border, float64 in mm, one a border voxel;
        infinite if the reference is empty.
      to_prediction: From the reference's border, in the same way.
    """

    to_reference: np.ndarray
    to_prediction: np.ndarray

    @property
    def defined(self) -> bool:
        """Whether both masks have a border."""
        return bool(self.to_reference.size and self.to_prediction.size)

    def hd(self, settings: SurfaceSettings = DEFAULT) -> float:
        """Hausdorff distance in mm."""
        directed = self._directed(np.max)
        return max(directed) if settings.hd == "max" else sum(directed) / 2

    def hd95(self, settings: SurfaceSettings = DEFAULT) -> float:
        """95th percentile of the distances in mm, linear between ranks."""

        def percentile(distances):
            return np.percentile(distances, 95)

        if settings.hd95 == "max":
            return max(self._directed(percentile))
        return self._pooled(percentile)

    def assd(self, settings: SurfaceSettings = DEFAULT) -> float:
        """Average symmetric surface distance in mm."""
        if settings.assd == "mean":
            return sum(self._directed(np.mean)) / 2
        return self._pooled(np.mean)

    def nsd(self, settings: SurfaceSettings = DEFAULT) -> float:
        """Normalised surface Dice at a tolerance, in [0, 1]; NaN if both are empty.

        The share of border voxels, of both masks together, that are at most the
        tolerance away from the other border (Nikolov et al. 2018,
        https://arxiv.org/abs/1809.04430). Here each border voxel counts once, as in
        MONAI. The authors' surface-distance weights surface elements, which lie
        between voxels, by their area: with anisotropic spacing, and for
        small masks, its values differ from these.
        """
        right = sum(
            np.count_nonzero(distances <= settings.tolerance_mm)
            for distances in (self.to_reference, self.to_prediction)
        )
        return ratio(float(right), self.to_reference.size + self.to_prediction.size)

    def _directed(self, statistic):
        if not self.defined:
            return math.nan, math.nan
        return float(statistic(self.to_reference)), float(statistic(self.to_prediction))

    def _pooled(self, statistic):
        if not self.defined:
            return math.nan
        return float(statistic(np.concatenate([self.to_reference, self.to_prediction])))


def surface_distances(
    prediction: np.ndarray, reference: np.ndarray, *, spacing: Sequence[float]
) -> SurfaceDistances:
    """Measures two boolean masks [H, W] or [X, Y, Z] in one pass.

    Args:
      prediction: Boolean mask.
      reference: Boolean mask of the same shape.
      spacing: Distance of neighbouring voxels along each axis, in mm.

    Returns:
      Exact Euclidean distances.

    Raises:
      DataError: They are not boolean masks of one shape, or the spacing does not fit.
    """
    masks.check_masks(prediction, reference)
    mm = masks.check_spacing(spacing, reference.ndim)
    box = masks.joint_box(prediction, reference)
    borders = [
        np.argwhere(border(np.ascontiguousarray(mask[box]))) * mm
        for mask in (prediction, reference)
    ]
    if not all(map(len, borders)):
        return SurfaceDistances(*(np.full(len(points), np.inf) for points in borders))
    # Borders in voxel order make poor use of sorting: cells cut at their middle are
    # built in half the time that balanced ones take, and are searched as fast.
    trees = [cKDTree(points, balanced_tree=False) for points in borders]
    return SurfaceDistances(
        trees[1].query(borders[0])[0], trees[0].query(borders[1])[0]
    )


def border(mask: np.ndarray) -> np.ndarray:
    """The voxels of a boolean mask that touch what is outside, by a face."""
    inner = mask.copy()
    for axis in range(mask.ndim):
        whole, within = np.moveaxis(mask, axis, 0), np.moveaxis(inner, axis, 0)
        within[1:] &= whole[:-1]
        within[:-1] &= whole[1:]
        within[:1] = within[-1:] = False
    return mask & ~inner
