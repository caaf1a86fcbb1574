"""The Fréchet distance between two sets of features."""

import dataclasses

from jaxtyping import Float
import numpy as np

from jaxsyn.errors import UsageError


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrechetDistance:
    """A distance and what it rests on.

    Attributes:
      value: Squared distance, in squared units of the features; 0 is equal.
      n_real: Real samples.
      n_fake: Synthetic samples.
      dims: Features of each.
      warning: What makes the value unsafe, or nothing.
    """

    value: float
    n_real: int
    n_fake: int
    dims: int
    warning: str = ""


def frechet_distance(
    real: Float[np.ndarray, "n d"], fake: Float[np.ndarray, "m d"]
) -> FrechetDistance:
    """Between the normal distributions that have the sets' means and covariances.

    Dowson and Landau 1982, https://doi.org/10.1016/0047-259X(82)90077-X; of Inception
    features it is the FID of Heusel et al. 2017, https://arxiv.org/abs/1706.08500.

    The trace of (C_real C_fake)^(1/2) is the sum of the singular values of A B^T,
    where A^T A and B^T B are the covariances: no matrix root is taken, and what is
    not finite or not real cannot arise. Covariances divide by n - 1.

    Args:
      real: Features of real images.
      fake: Features of synthetic images.

    Raises:
      UsageError: The sets do not fit each other, have fewer than two samples, or
        hold what is not finite.
    """
    real, fake = check_features(real, fake)
    difference = real.mean(0) - fake.mean(0)
    a, b = _root(real), _root(fake)
    cross = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    value = difference @ difference + (a**2).sum() + (b**2).sum() - 2.0 * cross
    (n_real, dims), n_fake = real.shape, len(fake)
    warning = ""
    if min(n_real, n_fake) <= dims:
        warning = (
            f"{min(n_real, n_fake)} samples do not span {dims} features: the value"
            " is too high; compare only equal numbers, or use the kernel distance"
        )
    return FrechetDistance(
        # Rounding may leave -1e-12 where the sets are equal.
        value=max(float(value), 0.0),
        n_real=n_real,
        n_fake=n_fake,
        dims=dims,
        warning=warning,
    )


def check_features(real: np.ndarray, fake: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both sets in float64; UsageError if they cannot be compared."""
    real, fake = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    fit = real.ndim == fake.ndim == 2 and real.shape[1] == fake.shape[1]
    if not fit or min(len(real), len(fake)) < 2:
        raise UsageError(
            f"Features are {real.shape} and {fake.shape}, not [N, D] and [M, D] with"
            " N and M at least 2."
        )
    for name, features in (("real", real), ("synthetic", fake)):
        if not np.isfinite(features).all():
            raise UsageError(
                f"Features of {name} images are not all finite.",
                hint="Look for NaN in the images.",
            )
    return real, fake


def _root(features):
    """A matrix whose product with itself is the covariance, of at most D rows."""
    n, dims = features.shape
    centred = (features - features.mean(0)) / np.sqrt(n - 1)
    return np.linalg.qr(centred, mode="r") if n > dims else centred
