"""The average brain: the MNI152 2009 tissue maps.

The maps (T1, grey and white matter, 1 mm; Fonov et al., NeuroImage 2011) ship with
nilearn, so nothing is downloaded.
"""

import dataclasses
import functools

import numpy as np
from scipy import ndimage

# Sulci up to twice this wide count as brain, as skull-stripping leaves them.
_SULCUS_MM = 4.0
_DEPTH_STRIDE = 2


@dataclasses.dataclass(frozen=True)
class Template:
    """The average brain, as arrays that are cheap to send to another process.

    Attributes:
      grey: Probability of grey matter times 255, uint8 [x, y, z] at 1 mm, RAS.
      white: The same of white matter.
      depth: Distance below the brain's surface, negative outside, in mm; float32
        at every second voxel.
      origin: MNI coordinates of voxel [0, 0, 0], in mm.
    """

    grey: np.ndarray
    white: np.ndarray
    depth: np.ndarray
    origin: tuple[float, float, float]

    def averaged(self, spacing_mm: tuple[float, float, float]) -> "Template":
        """The template to sample at larger steps: as voxels of that size see it."""
        excess = np.square(spacing_mm) - 1.0
        if not np.any(excess > 0):
            return self
        sigma = 0.5 * np.sqrt(np.maximum(excess, 0))

        def blur(tissue):
            return ndimage.gaussian_filter(tissue, sigma, output=np.float32, truncate=3)

        return dataclasses.replace(
            self,
            grey=np.rint(blur(self.grey)).astype(np.uint8),
            white=np.rint(blur(self.white)).astype(np.uint8),
        )

    def sample(self, name: str, mni: np.ndarray) -> np.ndarray:
        """Map `name` at MNI coordinates [3, ...] in mm, linearly: float32 [...]."""
        origin = np.asarray(self.origin, np.float32).reshape(3, *(1,) * (mni.ndim - 1))
        stride = _DEPTH_STRIDE if name == "depth" else 1
        return ndimage.map_coordinates(
            getattr(self, name),
            (mni - origin) / stride,
            output=np.float32,
            order=1,
            cval=-_SULCUS_MM if name == "depth" else 0.0,
        )


@functools.cache
def load_template() -> Template:
    """Reads the maps from the installed nilearn; about 3 s, once per process."""
    # Importing nilearn costs two seconds, which worker processes save.
    from nilearn import datasets

    t1 = datasets.load_mni152_template(resolution=1)
    grey = datasets.load_mni152_gm_template(resolution=1)
    white = datasets.load_mni152_wm_template(resolution=1)
    stride = slice(None, None, _DEPTH_STRIDE)
    brain = np.asarray(t1.dataobj)[stride, stride, stride] > 0
    grown = ndimage.distance_transform_edt(~brain) * _DEPTH_STRIDE <= _SULCUS_MM
    depth = ndimage.distance_transform_edt(grown) - ndimage.distance_transform_edt(
        ~grown
    )
    return Template(
        grey=np.rint(np.asarray(grey.dataobj) * 255).astype(np.uint8),
        white=np.rint(np.asarray(white.dataobj) * 255).astype(np.uint8),
        depth=(depth * _DEPTH_STRIDE - _SULCUS_MM).astype(np.float32),
        origin=tuple(t1.affine[:3, 3].tolist()),
    )
