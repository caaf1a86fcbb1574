"""A part's slices as volumes: blocks of slices that follow one another in a case."""

import functools
import itertools

from jaxtyping import Int
import numpy as np

from jaxsyn.data.cache import Cache
from jaxsyn.data.subset import Gathered


class Blocks:
    """What a `Cache` is to slices, for volumes.

    Blocks of a case overlap by half, and the last ends with its last slice. A case
    of fewer slices is filled up with background.

    Attributes:
      image: [N, D, H, W, C] when indexed by rows; uint16 as in the cache.
      label: [N, D, H, W], likewise.
      position: [N, D], likewise; of slices among those of their case.
      rows: For each block its case and the index, in the case, of its first slice.
    """

    def __init__(self, cache: Cache, depth: int):
        """Cuts the cases of `cache` into blocks of `depth` slices."""
        slices, rows = [], []
        for case, places in itertools.groupby(
            range(len(cache)), key=lambda i: cache.rows[i][0]
        ):
            places = np.array(list(places))
            for block in block_slices(len(places), depth):
                slices.append(np.where(block < 0, -1, places[block]))
                rows.append((case, int(cache.rows[places[block[0]]][1])))
        self.rows = tuple(rows)
        self.image = Gathered(cache.image, np.array(slices))
        self.label = Gathered(cache.label, np.array(slices))
        self.position = Gathered(cache.position, np.array(slices))

    def __len__(self) -> int:
        return len(self.rows)


@functools.lru_cache(maxsize=256)
def block_slices(count: int, depth: int) -> Int[np.ndarray, "n depth"]:
    """Slices of each block of a case of `count` slices; -1 beyond its last."""
    last = max(count - depth, 0)
    starts = sorted({*range(0, last, max(depth // 2, 1)), last})
    index = np.array(starts)[:, None] + np.arange(depth)
    return np.where(index < count, index, -1)
