"""Batches for the training step, read ahead while the step runs.

There is no state to save: an iterator that starts at step n gives what any other
gives from its n-th batch on.
"""

import collections
from collections.abc import Callable, Iterator
from concurrent import futures
import functools
import importlib.util
import itertools
from typing import Any, Literal

from jaxtyping import Int64
import numpy as np

from jaxsyn.data import sampling
from jaxsyn.data.cache import Cache
from jaxsyn.errors import UsageError

Batch = dict[str, np.ndarray]

KEYS = ("image", "label", "position")
_AHEAD = 4


def batches(
    cache: Cache,
    *,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    process_index: int = 0,
    process_count: int = 1,
    reader: Literal["auto", "tf.data", "thread"] = "auto",
) -> Iterator[Batch]:
    """Yields this process's part of each batch, without end.

    The parts of all processes, in their order, are the batch one process would get.

    Args:
      cache: The slices.
      batch_size: Slices in a batch, over all processes.
      seed: Which order.
      start_step: The step that the first batch is for.
      process_index: Which process this is.
      process_count: How many there are.
      reader: What reads ahead: tf.data, or a thread where TensorFlow is not
        installed. The batches are the same.

    Yields:
      "image" uint16 [B, H, W, C], "label" uint8 [B, H, W] and "position" float32 [B],
      how high slices are in their case, from 0 to 1; read-only.
    """
    rows = functools.partial(
        local_rows,
        len(cache),
        batch_size=batch_size,
        seed=seed,
        process_index=process_index,
        process_count=process_count,
    )
    rows(start_step)  # Raises now what is wrong with the arguments.

    def gather(step):
        chosen = rows(int(step))
        return cache.image[chosen], cache.label[chosen], cache.position[chosen]

    if reader == "auto":
        reader = "tf.data" if importlib.util.find_spec("tensorflow") else "thread"
    read = _read_with_tf_data if reader == "tf.data" else _read_with_thread
    stored = read(gather, start_step, (cache.image, cache.label, cache.position))
    return (dict(zip(KEYS, arrays, strict=True)) for arrays in stored)


def local_rows(
    count: int,
    step: int,
    *,
    batch_size: int,
    seed: int,
    process_index: int = 0,
    process_count: int = 1,
) -> Int64[np.ndarray, " local"]:
    """Rows of this process's part of one batch, of `count` rows there are.

    With the slices on the accelerator (`device.put`), this is all a step is sent.

    Raises:
      UsageError: The batch cannot be split evenly.
    """
    if batch_size % process_count:
        raise UsageError(
            f"A batch of {batch_size} cannot be split over {process_count} processes.",
            hint=f"Make the batch size a multiple of {process_count}.",
        )
    rows = sampling.indices(seed, step, batch_size, count)
    return np.split(rows, process_count)[process_index]


def _read_with_tf_data(
    gather: Callable[[Any], tuple[np.ndarray, ...]],
    start_step: int,
    like: tuple[np.ndarray, ...],
) -> Iterator[tuple[np.ndarray, ...]]:
    """Yields `gather(step)`; `like` tells the dtypes of its arrays."""
    import tensorflow as tf  # Only here: it takes long, and may not be installed.

    # TensorFlow would otherwise take all of the memory that JAX needs.
    tf.config.set_visible_devices([], "GPU")
    types = [array.dtype for array in like]
    steps = tf.data.Dataset.range(start_step, np.iinfo(np.int64).max)
    dataset = steps.map(
        lambda step: tf.numpy_function(gather, [step], types, stateful=False)
    )
    return dataset.prefetch(_AHEAD).as_numpy_iterator()


def _read_with_thread(
    gather: Callable[[Any], tuple[np.ndarray, ...]],
    start_step: int,
    like: tuple[np.ndarray, ...],
) -> Iterator[tuple[np.ndarray, ...]]:
    """Yields `gather(step)`, a few steps ahead of its use."""
    del like  # The arrays tell themselves.
    with futures.ThreadPoolExecutor(1) as pool:
        ahead = collections.deque()
        for step in itertools.count(start_step):
            ahead.append(pool.submit(gather, step))
            if len(ahead) > _AHEAD:
                yield ahead.popleft().result()
