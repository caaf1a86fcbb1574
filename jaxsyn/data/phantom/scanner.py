"""Scanners: from what is in a head to an image of it.

An image is the mixture of its tissues' signals, shaded by the coil, blurred by the
scanner's resolution and under Rician noise (Gudbjartsson & Patz, MRM 1995).
"""

from collections.abc import Mapping
import math

import numpy as np
from scipy import ndimage

from jaxsyn.data.phantom.anatomy import Tissue
from jaxsyn.data.phantom.fields import Field, Grid
from jaxsyn.data.phantom.modalities import Modality

_HEALTHY = ("csf", "grey", "white")
_HEALTHY_SD, _LESION_SD = 0.02, 0.08  # Of a patient's log signals.
_PATCHY = {"necrosis": 0.1, "enhancing": 0.1, "oedema": 0.02, "infarct": 0.05}


def acquire(
    modality: Modality,
    tissue: Tissue,
    lesion: Mapping[str, np.ndarray],
    grid: Grid,
    rng: np.random.Generator,
) -> np.ndarray:
    """Takes an image of a head.

    Args:
      modality: Of what kind.
      tissue: The brain on `grid`.
      lesion: By component, the share of tissue that it replaced, on `grid`.
      grid: Where.
      rng: Decides the scanner, and the patient's own signals.

    Returns:
      An image of the grid's shape and the modality's dtype, positive in the brain
      and exactly 0 outside.
    """
    log_gain = rng.uniform(*np.log(modality.gain))
    noise, blur_mm = rng.uniform(*modality.noise), rng.uniform(*modality.blur_mm)
    shading = rng.uniform(0, modality.shading) * Field.random(rng, 60.0).on(grid)
    image = _mixture(modality, tissue, lesion, grid, rng) * np.exp(shading)
    sigma = [blur_mm / abs(step) for step in grid.step]
    image = ndimage.gaussian_filter(image, sigma, truncate=3)[tissue.brain]
    real, imaginary = noise * rng.standard_normal((2, image.size), np.float32)
    image = np.hypot(image + real, imaginary) * math.exp(log_gain)
    stored = np.zeros(grid.shape, modality.dtype)
    if stored.dtype.kind == "i":  # Zero means outside, in files like these.
        image = np.clip(np.rint(image), 1, np.iinfo(stored.dtype).max)
    stored[tissue.brain] = image
    return stored


def _mixture(modality, tissue, lesion, grid, rng) -> np.ndarray:
    """The signal of each voxel's tissues, fluid all around: float32."""
    shares = {name: getattr(tissue, name) for name in _HEALTHY}
    seen = {name: share for name, share in lesion.items() if name in modality.signals}
    left = 1 - sum(seen.values()) if seen else 1
    shares = {name: share * left for name, share in shares.items()} | seen
    shares["csf"] = np.where(tissue.brain, shares["csf"], 1)
    patches = Field.random(rng, 3.5).on(grid)
    image = np.zeros(grid.shape, np.float32)
    for name, share in shares.items():
        sd = _HEALTHY_SD if name in _HEALTHY else _LESION_SD
        mean = modality.signals[name] * math.exp(sd * np.clip(rng.normal(), -2, 2))
        rough = modality.texture + _PATCHY.get(name, 0)
        image += share * mean * np.exp(rough * patches)
    return image
