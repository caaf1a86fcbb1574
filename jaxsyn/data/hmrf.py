"""Fluid, grey and white matter, by a hidden Markov random field. It needs dipy."""

from collections.abc import Sequence
from types import ModuleType

from jaxtyping import Bool, Float, Num, UInt8
import numpy as np
from scipy import ndimage

from jaxsyn.errors import DataError, UsageError

_OUTSIDE = -9.0  # Far from all intensities, which lie in [0, 1].
_SMOOTHNESS = 0.1  # Weight of a neighbour, against the log likelihood.
_SWEEPS = 2
_FIELD_MM = 10.0  # Detail of the field of coil sensitivities.
_FIELD_ROUNDS = 5
_BINS = 256


def find_tissues(
    image: Num[np.ndarray, "x y z"],
    brain: Bool[np.ndarray, "x y z"],
    spacing_mm: Sequence[float] = (1.0, 1.0, 1.0),
) -> UInt8[np.ndarray, "x y z"]:
    """Finds cerebrospinal fluid (1), grey (2) and white matter (3) of a T1 image.

    The hidden Markov random field of Zhang et al. 2001,
    https://doi.org/10.1109/42.906424, solved by dipy's iterated conditional modes.
    Unlike there, all classes have one variance: fluid with its own would take grey
    matter's darker half. Means and variance, and the smooth field by which the coils'
    sensitivity varies, are found beforehand by k-means.

    Args:
      image: T1-weighted, best without contrast agent.
      brain: Where to look: without skull and without lesions.
      spacing_mm: Distance of neighbouring voxels.

    Returns:
      The map; 0 outside `brain`.

    Raises:
      DataError: There is no brain, or there are fewer than three tissues in it.
      UsageError: dipy is not installed.
    """
    mrf = import_dipy()
    if not brain.any():
        raise DataError("There is no brain without lesion.", hint="Check the files.")
    (box,) = ndimage.find_objects(brain.astype(np.uint8))
    inside = brain[box]
    unit = image[box].astype(np.float32)
    unit = np.clip(unit / np.percentile(unit[inside], 99.5), 0.0, 1.0)
    unit = np.clip(unit / _field(unit, inside, spacing_mm), 0.0, 1.0)
    means, variance = _k_means(unit[inside])
    energies = mrf.ConstantObservationModel().negloglikelihood(
        np.where(inside, unit, _OUTSIDE).astype(float),
        np.array([_OUTSIDE, *means]),
        np.full(4, variance),
        4,
    )
    modes = mrf.IteratedConditionalModes()
    found = modes.initialize_maximum_likelihood(energies)
    for _ in range(_SWEEPS):
        found, _ = modes.icm_ising(energies, _SMOOTHNESS, found)
    result = np.zeros(image.shape, np.uint8)
    result[box] = found
    return result


def import_dipy() -> ModuleType:
    """The part of dipy that is used; UsageError if it is not installed."""
    try:
        from dipy.segment import mrf  # Only here: it is optional.
    except ImportError as error:
        raise UsageError(
            "Tissues are found with dipy, which is not installed.",
            hint='Install it: pip install "jaxsyn[prep]"',
        ) from error
    return mrf


def _field(
    unit: Float[np.ndarray, "x y z"],
    brain: Bool[np.ndarray, "x y z"],
    spacing_mm: Sequence[float],
) -> Float[np.ndarray, "x y z"]:
    """How bright each place is for its tissue: 1 on average, and smooth."""
    coarse = (slice(None, None, 2),) * 3  # Detail is not needed.
    seen, inside = unit[coarse], brain[coarse]
    sigma = _FIELD_MM / (2 * np.asarray(spacing_mm))

    def smooth(values):
        return ndimage.gaussian_filter(values, sigma, mode="constant") + 1e-6

    field = np.ones_like(seen)
    for _ in range(_FIELD_ROUNDS):
        corrected = np.clip(seen / field, 0.0, 1.0)
        means, _ = _k_means(corrected[inside])
        nearest = np.abs(corrected[..., None] - means).argmin(axis=-1)
        expected = np.where(inside, means[nearest], 0.0).astype(np.float32)
        field = smooth(seen * expected) / smooth(expected**2)
        field /= field[inside].mean()
    for axis, side in enumerate(unit.shape):
        field = np.repeat(field, 2, axis).take(range(side), axis)
    return field


def _k_means(values: Float[np.ndarray, " n"]) -> tuple[np.ndarray, float]:
    """Three means of values in [0, 1] in rising order, and the variance about them."""
    counts, edges = np.histogram(values, _BINS, (0.0, 1.0))
    centres = (edges[:-1] + edges[1:]) / 2
    means = np.interp((0.1, 0.45, 0.85), np.cumsum(counts) / counts.sum(), centres)
    for _ in range(50):
        nearest = np.abs(centres[:, None] - means).argmin(axis=1)
        sizes = np.bincount(nearest, counts, minlength=3)
        if not sizes.all():
            raise DataError(
                "There are fewer than three tissues in the brain.",
                hint="Check the image: its values are nearly all alike.",
            )
        means = np.bincount(nearest, counts * centres) / sizes
    spread = np.square(centres - means[nearest])
    return means, float((counts * spread).sum() / counts.sum()) + 1e-6
