"""Voxels of another size."""

from collections.abc import Sequence
import dataclasses

from nibabel import orientations
import numpy as np

from jaxsyn.data.cases import CaseVolumes
from jaxsyn.data.regrid import regrid
from jaxsyn.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Step:
    """Resamples a case along its own axes; images linearly, labels to the nearest.

    Attributes:
      spacing_mm: Distance of voxels along right-left, back-front and up-down, or one
        for all three; 0 leaves an axis as it is.
    """

    spacing_mm: float | Sequence[float] = 1.0

    def __post_init__(self):
        if len(self._spacing) != 3 or min(self._spacing) < 0:
            raise UsageError(
                f"config.data.prepare: resample has spacing_mm={self.spacing_mm}.",
                hint="Give one distance in mm, or three; 0 leaves an axis as it is.",
            )

    @property
    def _spacing(self):
        spacing = np.asarray(self.spacing_mm, float)
        return np.repeat(spacing, 3) if spacing.ndim == 0 else spacing

    def __call__(self, volumes: CaseVolumes) -> CaseVolumes:
        """The case with such voxels; the case itself if it has them."""
        affine = volumes.affine
        own = np.linalg.norm(affine[:3, :3], axis=0)
        # The world's axis that each of the volume's own runs along.
        world = orientations.io_orientation(affine)[:, 0].astype(int)
        wanted = np.where(self._spacing[world] > 0, self._spacing[world], own)
        scale = wanted / own
        if np.allclose(scale, 1.0, atol=1e-4):
            return volumes
        shape = np.maximum(np.rint(np.array(volumes.label.shape) / scale), 1)
        # The corner stays where it was, not the corner voxel's centre.
        index = np.diag([*scale, 1.0])
        index[:3, 3] = (scale - 1.0) / 2.0
        return regrid(volumes, tuple(shape.astype(int)), affine @ index)
