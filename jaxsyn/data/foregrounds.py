"""What of a volume is patient, where no mask says so.

Numpy only: this runs in worker processes, which start faster without JAX.
"""

from collections.abc import Sequence

from jaxtyping import Bool, Num
import numpy as np
from scipy import ndimage

FOREGROUNDS = ("nonzero", "otsu", "all")
_BINS = 256


def find(
    images: Sequence[Num[np.ndarray, "x y z"]],
    shape: tuple[int, int, int],
    method: str = "nonzero",
) -> Bool[np.ndarray, "x y z"]:
    """Finds the foreground of a case.

    Args:
      images: Its modalities; if there are none, neither is there a foreground.
      shape: Of them.
      method: "nonzero", where any of them is not 0, as in skull-stripped images;
        "otsu", the largest piece that is brighter in the first of them than Otsu's
        threshold, with its holes filled slice by slice along the last axis, as for
        images with skull, chest or belly, and computed tomographies; or "all".
    """
    if method == "all" and images:
        return np.ones(shape, bool)
    if method == "otsu" and images:
        return _body(images[0] > otsu(images[0]))
    found = np.zeros(shape, bool)
    for image in images:
        found |= image != 0
    return found


def otsu(image: Num[np.ndarray, "*shape"]) -> float:
    """The threshold between dark and bright.

    Otsu 1979, https://doi.org/10.1109/TSMC.1979.4310076: where the variance between
    the two classes is largest, in a histogram of 256 bins.
    """
    # Few and far outliers would leave all others in one bin.
    low, high = np.percentile(image, (0.1, 99.9))
    counts, edges = np.histogram(np.clip(image, low, high), _BINS)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sums = np.cumsum(counts * centres)
    apart = sums[:-1] / np.maximum(below, 1)
    apart -= (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    return float(edges[1 + np.argmax(below * above * apart**2)])


def _body(bright):
    """The largest piece of it, without holes."""
    pieces, count = ndimage.label(bright)
    if count > 1:
        sizes = np.bincount(pieces.ravel())
        bright = pieces == 1 + np.argmax(sizes[1:])
    holes = ndimage.generate_binary_structure(2, 1)[..., None]
    return ndimage.binary_fill_holes(bright, holes)
