"""Which slices are in which batch: a function of the seed and the step alone."""

import functools

from jaxtyping import Int64
import numpy as np


def indices(
    seed: int, step: int, batch_size: int, count: int
) -> Int64[np.ndarray, " batch"]:
    """Rows of the batch at `step`.

    Shuffled passes over all rows follow one another without a gap; a batch may take
    the end of one and the start of the next. Nothing but `step` is needed to go on.

    Args:
      seed: Which order.
      step: Counted from 0.
      batch_size: Rows in a batch, over all processes.
      count: Rows there are.
    """
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs, places = np.divmod(positions, count)
    rows = np.empty(batch_size, np.int64)
    for epoch in range(epochs[0], epochs[-1] + 1):
        here = epochs == epoch
        rows[here] = _order(seed, int(epoch), count)[places[here]]
    return rows


@functools.lru_cache(maxsize=4)
def _order(seed, epoch, count):
    """The order of one pass.

    Philox's raw stream is fixed by its definition, in contrast to what NumPy's
    `permutation` makes of it, so that no new version changes the order.
    """
    raw = np.random.Philox(key=[seed, epoch]).random_raw(count)
    return np.argsort(raw, kind="stable")
