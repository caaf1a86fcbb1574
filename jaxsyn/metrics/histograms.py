"""Histograms of intensities, real beside synthetic, as stroke synthesis is judged."""

import dataclasses

from jaxtyping import Float
import numpy as np

from jaxsyn.errors import UsageError


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class HistogramDistance:
    """Two histograms and how far they are apart.

    Attributes:
      wasserstein: First Wasserstein distance, in units of intensity: how far a
        pixel's intensity has to move, on average. Good to the width of a bin.
      intersection: Share of the mass that the histograms have in common, 0 to 1.
      edges: Of the bins.
      real: Share of real pixels in each bin; they sum to 1.
      fake: The same of synthetic pixels.
      outside: Share of pixels, of both sets, that are in no bin.
    """

    wasserstein: float
    intersection: float
    edges: Float[np.ndarray, " bins+1"]
    real: Float[np.ndarray, " bins"]
    fake: Float[np.ndarray, " bins"]
    outside: float


def histogram_distance(
    real: Float[np.ndarray, "..."],
    fake: Float[np.ndarray, "..."],
    *,
    bins: int = 256,
    value_range: tuple[float, float] = (-1.0, 1.0),
) -> HistogramDistance:
    """Compares the intensities of one modality.

    The background, most of a brain's slice, is equal in both and hides the rest:
    leave it out by passing foreground pixels only, or a `value_range` above it.

    Args:
      real: Intensities of real images, any shape.
      fake: Intensities of synthetic images, any shape.
      bins: How many, of equal width.
      value_range: Lowest and highest intensity; pixels outside are not counted.

    Raises:
      UsageError: A set has no pixel in the range.
    """
    counts, outside = [], 0
    for name, values in (("real", real), ("synthetic", fake)):
        count, edges = np.histogram(values, bins, value_range)
        if not count.any():
            raise UsageError(
                f"No intensity of the {name} images lies in {value_range}.",
                hint="Images of a prepared set lie in [-1, 1].",
            )
        outside += np.size(values) - count.sum()
        counts.append(count)
    p, q = (count / count.sum() for count in counts)
    # In one dimension, the distance is the area between the distribution functions.
    between = np.abs(np.cumsum(p - q)).sum() * (edges[1] - edges[0])
    return HistogramDistance(
        wasserstein=float(between),
        intersection=float(np.minimum(p, q).sum()),
        edges=edges,
        real=p,
        fake=q,
        outside=float(outside / (np.size(real) + np.size(fake))),
    )
