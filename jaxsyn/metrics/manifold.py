"""How far synthetic images lie within the real ones, and cover them.

Precision and recall: Kynkäänniemi et al. 2019, https://arxiv.org/abs/1904.06991,
equation 2. Density and coverage: Naeem et al. 2020, https://arxiv.org/abs/2002.09797,
equations 3 and 5. All look at balls around features that reach to the k-th nearest
feature of the same set.
"""

import dataclasses

from jaxtyping import Float
import numpy as np

from jaxsyn.errors import UsageError
from jaxsyn.metrics.frechet import check_features

_BLOCK = 1024  # Rows of a distance matrix that are held at a time.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifold:
    """Four views of two sets of features.

    Attributes:
      precision: Share of synthetic samples in a ball of a real one, 0 to 1.
      recall: Share of real samples in a ball of a synthetic one, 0 to 1.
      density: Balls of real samples that hold a synthetic one, on average, over k;
        about 1 if the distributions are equal, and not limited to it.
      coverage: Share of the real samples' balls that hold a synthetic one, 0 to 1.
      k: Neighbours.
      n_real: Real samples.
      n_fake: Synthetic samples.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    k: int
    n_real: int
    n_fake: int


def manifold(
    real: Float[np.ndarray, "n d"], fake: Float[np.ndarray, "m d"], *, k: int = 5
) -> Manifold:
    """Precision, recall, density and coverage.

    Args:
      real: Features of real images.
      fake: Features of synthetic images.
      k: Neighbours that a ball reaches to, a sample itself not counted: 3 in the
        first paper, 5 in the second. A ball includes its surface.

    Raises:
      UsageError: As by `frechet_distance`, or k is not below both numbers of samples.
    """
    real, fake = check_features(real, fake)
    if not 1 <= k < min(len(real), len(fake)):
        raise UsageError(
            f"k is {k} for {len(real)} real and {len(fake)} synthetic samples.",
            hint="It must be at least 1 and below both.",
        )
    centre = real.mean(0)  # Distances by products of large numbers would lose digits.
    real, fake = real - centre, fake - centre
    real_radii, fake_radii = _radii(real, k), _radii(fake, k)
    balls_holding = np.zeros(len(fake), int)
    covered, recalled = [], []
    for i in range(0, len(real), _BLOCK):
        squares = _squared_distances(real[i : i + _BLOCK], fake)
        within_real = squares <= real_radii[i : i + _BLOCK, None]
        balls_holding += within_real.sum(0)
        covered.append(within_real.any(1))
        recalled.append((squares <= fake_radii).any(1))
    return Manifold(
        precision=float((balls_holding > 0).mean()),
        recall=float(np.concatenate(recalled).mean()),
        density=float(balls_holding.mean() / k),
        coverage=float(np.concatenate(covered).mean()),
        k=k,
        n_real=len(real),
        n_fake=len(fake),
    )


def _radii(x, k):
    """Squared distance of each sample to its k-th neighbour."""
    radii = []
    for i in range(0, len(x), _BLOCK):
        squares = _squared_distances(x[i : i + _BLOCK], x)
        rows = np.arange(len(squares))
        squares[rows, i + rows] = np.inf
        radii.append(np.partition(squares, k - 1, axis=1)[:, k - 1])
    return np.concatenate(radii)


def _squared_distances(x, y):
    squares = (x * x).sum(1)[:, None] + (y * y).sum(1) - 2.0 * x @ y.T
    return np.maximum(squares, 0.0)
