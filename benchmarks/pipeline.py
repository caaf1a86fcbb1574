"""From the cache to the step: slices a second."""

import importlib.util
import itertools
from pathlib import Path
import tempfile

import jax
import numpy as np

from benchmarks import report
from jaxsyn.data import cache as cache_lib
from jaxsyn.data import device, pipeline

COUNT, SIZE, CHANNELS, BATCH = 1024, 256, 4, 32
AIM = "Aim: at least 10,000 slices/s on two cores."


def measure(repeats: int) -> report.Table:
    """Gathers shuffled batches in each way there is."""
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder) / "train")
        mapped = cache_lib.Cache.open(Path(folder) / "train")
        held = cache_lib.Cache.open(Path(folder) / "train", in_memory=True)
        ways = {"memory-mapped file, thread": (mapped, "thread")}
        ways["memory, thread"] = (held, "thread")
        if importlib.util.find_spec("tensorflow"):
            ways["memory-mapped file, tf.data"] = (mapped, "tf.data")
            ways["memory, tf.data"] = (held, "tf.data")
        runs = {way: _epochs(*where) for way, where in ways.items()}
        runs["resident, gathered in the step"] = _resident_epochs(held)
        took = {way: [] for way in runs}
        for run in runs.values():
            next(run)  # Starts readers, compiles, and fills the page cache.
        for _ in range(repeats):
            for way, run in runs.items():
                took[way] += report.seconds(lambda run=run: next(run), 1)
    rows = []
    for way, values in took.items():
        usual, best = report.median_and_best(values)
        rows.append((way, COUNT / usual, COUNT / best))
    return report.Table(
        f"Pipeline: {SIZE}²×{CHANNELS} uint16 and labels, batches of {BATCH}",
        ("from", "slices/s, median", "best"),
        rows,
        f"{COUNT} slices ({held.image.nbytes / 2**20:,.0f} MiB) in shuffled order,"
        f" {repeats} epochs of each, in turn. {AIM}",
    )


def _epochs(cache, reader):
    """An epoch of batches on the accelerator, each time it is asked for one."""
    read = pipeline.batches(cache, batch_size=BATCH, seed=0, reader=reader)
    while True:
        for batch in itertools.islice(read, COUNT // BATCH):
            jax.block_until_ready(jax.device_put(batch))
        yield


def _resident_epochs(cache):
    resident, gather = device.put(cache), jax.jit(device.gather)
    for step in itertools.count():
        for i in range(COUNT // BATCH):
            rows = pipeline.local_rows(
                COUNT, step * (COUNT // BATCH) + i, batch_size=BATCH, seed=0
            )
            jax.block_until_ready(gather(resident, rows))
        yield


def _write(folder):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 65536, (SIZE, SIZE, CHANNELS), np.uint16)
    label = rng.integers(0, 5, (SIZE, SIZE), np.uint8)
    example = {"image": image, "label": label, "case": b"case"}
    cache_lib.write(
        folder,
        (example | {"slice": i} for i in range(COUNT)),
        count=COUNT,
        image_size=SIZE,
        channels=CHANNELS,
    )
