"""Batches: the same whatever the start, the reader and the number of processes."""

import itertools
import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from jaxsyn.data import pipeline, sampling
from jaxsyn.data.cache import Cache
from jaxsyn.errors import UsageError

COUNT, BATCH = 10, 4
ORDER = [0, 2, 9, 1, 8, 5, 4, 3, 6, 7, 5, 3]


@pytest.fixture
def cache():
    """Ten slices; every pixel of slice i is i."""
    rows = np.arange(COUNT)
    image = np.broadcast_to(rows[:, None, None, None], (COUNT, 8, 8, 2))
    return Cache(
        image=image.astype(np.uint16),
        label=image[..., 0].astype(np.uint8),
        rows=tuple((f"c{i}", 0) for i in rows),
    )


def take(cache, count, **options):
    batches = pipeline.batches(cache, batch_size=BATCH, seed=1, **options)
    return list(itertools.islice(batches, count))


def drawn(batches):
    """The slices of some batches, in order."""
    assert all((b["image"][:, 0, 0, 0] == b["label"][:, 3, 3]).all() for b in batches)
    return np.concatenate([batch["label"][:, 0, 0] for batch in batches]).tolist()


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 40),
    batch_size=st.integers(1, 50),
    seed=st.integers(0, 5),
    data=st.data(),
)
def test_every_pass_takes_each_slice_once(count, batch_size, seed, data):
    steps = -(-3 * count // batch_size)
    rows = [sampling.indices(seed, step, batch_size, count) for step in range(steps)]
    stream = np.concatenate(rows)
    for start in range(0, 3 * count, count):
        assert sorted(stream[start : start + count]) == list(range(count))
    step = data.draw(st.integers(0, steps - 1))
    alone = sampling.indices(seed, step, batch_size, count)
    np.testing.assert_array_equal(alone, rows[step])


def test_the_order_is_written_down():
    # Bit for bit the same after an update of NumPy: resuming depends on it.
    assert sampling.indices(0, 0, 12, 10).tolist() == ORDER
    assert sampling.indices(0, 0, 10, 10).tolist() != (
        sampling.indices(1, 0, 10, 10).tolist()
    )
    assert ORDER[:2] != ORDER[10:]


@pytest.mark.parametrize("reader", ["tf.data", "thread"])
def test_batches_are_the_slices_in_order(cache, reader):
    batches = take(cache, 5, reader=reader)
    expected = [sampling.indices(1, step, BATCH, COUNT) for step in range(5)]
    assert drawn(batches) == np.concatenate(expected).tolist()
    assert sorted(drawn(batches)) == sorted(2 * list(range(COUNT)))
    assert batches[0]["image"].shape == (BATCH, 8, 8, 2)
    assert batches[0]["image"].dtype == np.uint16
    assert batches[0]["label"].dtype == np.uint8


@pytest.mark.parametrize("reader", ["tf.data", "thread"])
def test_starting_later_gives_the_same_batches(cache, reader):
    whole = take(cache, 7, reader=reader)
    for start in (1, 4):
        rest = take(cache, 7 - start, start_step=start, reader=reader)
        assert drawn(rest) == drawn(whole[start:])


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_processes_share_one_global_batch(cache, processes):
    parts = [
        take(cache, 3, process_index=index, process_count=processes, reader="thread")
        for index in range(processes)
    ]
    together = [drawn([part[step] for part in parts]) for step in range(3)]
    assert together == [drawn([batch]) for batch in take(cache, 3)]


def test_a_batch_that_cannot_be_divided_is_refused_at_once(cache):
    with pytest.raises(UsageError, match="batch of 4 cannot be split over 3 processes"):
        pipeline.batches(cache, batch_size=4, seed=0, process_count=3)


def test_the_thread_reads_where_tensorflow_is_missing(cache):
    code = """
import sys
sys.modules["tensorflow"] = None
import numpy as np
from jaxsyn.data import pipeline
from jaxsyn.data.cache import Cache
cache = Cache(image=np.zeros((3, 2, 2, 1), np.uint16),
              label=np.zeros((3, 2, 2), np.uint8), rows=(("a", 0),) * 3)
print(next(pipeline.batches(cache, batch_size=2, seed=0))["image"].shape)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "(2, 2, 2, 1)\n", done.stderr
