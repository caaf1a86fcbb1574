"""The kernel distance between two sets of features; of Inception's it is the KID."""

import dataclasses

from jaxtyping import Float
import numpy as np

from jaxsyn.metrics.frechet import check_features

_BLOCK = 1024  # Rows of a kernel matrix that are held at a time.


@dataclasses.dataclass(frozen=True, kw_only=True)
class KernelDistance:
    """An estimate and what it rests on.

    Attributes:
      value: Unbiased estimate from all samples; around 0, also below it, if the
        sets are of one distribution.
      standard_error: Of `value`, from the spread over subsets.
      subset_mean: Mean over the subsets: what others report as KID.
      subset_std: Standard deviation over the subsets.
      subsets: How many subsets were drawn.
      subset_size: Samples of each side in a subset.
      n_real: Real samples.
      n_fake: Synthetic samples.
      warning: What was changed or is unsafe, or nothing.
    """

    value: float
    standard_error: float
    subset_mean: float
    subset_std: float
    subsets: int
    subset_size: int
    n_real: int
    n_fake: int
    warning: str = ""


def kernel_distance(
    real: Float[np.ndarray, "n d"],
    fake: Float[np.ndarray, "m d"],
    *,
    subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 0,
) -> KernelDistance:
    """The unbiased squared maximum mean discrepancy with the kernel (x·y / D + 1)³.

    Bińkowski et al. 2018, https://arxiv.org/abs/1801.01401, section 4. Subsets are
    drawn without replacement; their spread, scaled from the subset's size b to all n
    by b / (n - b), gives the standard error (Politis and Romano 1994,
    https://doi.org/10.1214/aos/1176325770).

    Args:
      real: Features of real images.
      fake: Features of synthetic images.
      subsets: How many subsets to draw.
      subset_size: Samples of each side; at most half of the smaller set is taken.
      seed: Of the draw.

    Raises:
      UsageError: As by `frechet_distance`.
    """
    real, fake = check_features(real, fake)
    smaller = min(len(real), len(fake))
    size = max(min(subset_size, smaller // 2), 2)
    rng = np.random.default_rng(seed)
    draws = [
        _discrepancy(
            real[rng.choice(len(real), size, replace=False)],
            fake[rng.choice(len(fake), size, replace=False)],
        )
        for _ in range(subsets)
    ]
    spread = float(np.std(draws, ddof=1)) if subsets > 1 else float("nan")
    shrunk = f"subsets have {size} samples, not {subset_size}, of {smaller}"
    return KernelDistance(
        value=_discrepancy(real, fake),
        standard_error=spread * np.sqrt(size / max(smaller - size, 1)).item(),
        subset_mean=float(np.mean(draws)),
        subset_std=spread,
        subsets=subsets,
        subset_size=size,
        n_real=len(real),
        n_fake=len(fake),
        warning=shrunk if size < subset_size else "",
    )


def _discrepancy(real, fake):
    """Means of the kernel within the sets, each sample with others only, and across."""
    n, m = len(real), len(fake)
    within_real = (_kernel_sum(real, real) - _self_sum(real)) / (n * (n - 1))
    within_fake = (_kernel_sum(fake, fake) - _self_sum(fake)) / (m * (m - 1))
    across = _kernel_sum(real, fake) / (n * m)
    return float(within_real + within_fake - 2.0 * across)


def _kernel_sum(x, y):
    """Of the kernel over all pairs, in blocks of rows."""
    blocks = (x[i : i + _BLOCK] for i in range(0, len(x), _BLOCK))
    return sum(_kernel(block @ y.T, x.shape[1]).sum() for block in blocks)


def _self_sum(x):
    """Of the kernel of each sample with itself."""
    return _kernel((x * x).sum(1), x.shape[1]).sum()


def _kernel(products, dims):
    base = products / dims + 1.0
    return base * base * base  # Faster than a power.
