"""Growth of lesions: the Fisher-Kolmogorov reaction-diffusion equation.

Swanson, Alvord & Murray, "A quantitative model for differential motility of gliomas
in grey and white matter", Cell Proliferation 2000: ∂u/∂t = ∇·(D∇u) + ρ u (1 − u),
with a D that is larger in white than in grey matter and zero in fluid.
"""

import numpy as np

# The largest D for which the explicit scheme is stable in three dimensions.
MAX_DIFFUSIVITY = 1 / 6


def grow(
    density: np.ndarray,
    diffusivity: np.ndarray,
    rate: np.ndarray,
    cells: float,
    max_steps: int = 400,
) -> tuple[np.ndarray, np.ndarray]:
    """Lets a density grow until it fills a volume.

    Args:
      density: u at the start, float32 [x, y, z] in [0, 1].
      diffusivity: D in cells² per step, in [0, MAX_DIFFUSIVITY]; nothing crosses
        between two cells of which one has 0.
      rate: ρ per step, in [0, 1].
      cells: Growth stops when u exceeds one half in so many cells.
      max_steps: Growth stops after so many steps in any case.

    Returns:
      The density at the end, and its integral over the steps: how long each cell
      has been full.
    """
    u = density.astype(np.float32)
    age = np.zeros_like(u)
    faces = [
        np.sqrt(_ahead(diffusivity, i) * _behind(diffusivity, i)) for i in range(3)
    ]
    for _ in range(max_steps):
        if np.count_nonzero(u > 0.5) >= cells:
            break
        change = rate * u * (1 - u)
        for axis, d in enumerate(faces):
            flux = d * (_ahead(u, axis) - _behind(u, axis))
            _behind(change, axis)[...] += flux
            _ahead(change, axis)[...] -= flux
        u = np.clip(u + change, 0, 1)  # Keeps large steps from overshooting.
        age += u
    return u, age


def _ahead(array: np.ndarray, axis: int) -> np.ndarray:
    """View of all but the first element along an axis."""
    return np.moveaxis(np.moveaxis(array, axis, 0)[1:], 0, axis)


def _behind(array: np.ndarray, axis: int) -> np.ndarray:
    """View of all but the last element along an axis."""
    return np.moveaxis(np.moveaxis(array, axis, 0)[:-1], 0, axis)
