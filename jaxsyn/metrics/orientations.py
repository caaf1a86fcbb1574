"""Where an image's edges are and how they run: features that need no weights."""

import dataclasses

from jaxtyping import Float
import numpy as np

CELLS, BINS = 8, 8
_LEAST = 1e-6


@dataclasses.dataclass(frozen=True)
class Orientations:
    """Histograms of gradients' directions, in 8 x 8 cells, for each channel.

    Dalal and Triggs 2005, https://doi.org/10.1109/CVPR.2005.177: directions without
    sign, in eight bins between which a gradient is divided, weighted by magnitude. The
    square root of each, the whole of norm 1; gain and offset do not change it.
    """

    name = "orientations"
    method = "histograms of gradients' directions, 8 x 8 cells of 8 bins"

    def __call__(self, images: Float[np.ndarray, "n h w c"]) -> np.ndarray:
        """Features [N, 512 C], float32, of images of 8 px at least."""
        down, across = np.gradient(np.asarray(images, np.float32), axis=(1, 2))
        size = np.hypot(down, across)
        places = np.arctan2(down, across) % np.pi * (BINS / np.pi)
        made = []
        for bin_ in range(BINS):
            apart = np.abs(places - bin_)
            weight = np.maximum(1.0 - np.minimum(apart, BINS - apart), 0.0)
            made.append(_sums(_sums(size * weight, 1), 2))
        cells = np.sqrt(np.stack(made, axis=-1).reshape(len(images), -1))
        norm = np.linalg.norm(cells, axis=1, keepdims=True)
        return (cells / np.maximum(norm, _LEAST)).astype(np.float32)


def _sums(values, axis):
    """Over cells along an axis."""
    starts = np.arange(CELLS) * values.shape[axis] // CELLS
    return np.add.reduceat(values, starts, axis=axis)
