"""A whole set, from a folder of cases to records and arrays for training."""

import os
from pathlib import Path
import resource
import tempfile
import time

from benchmarks import report, slices
from jaxsyn.data import sources
from jaxsyn.data.prepare import prepare
from jaxsyn.data.preprocess import PrepareSettings


def measure(source_dir: Path) -> report.Table:
    """Prepares all cases of a folder as the training job does."""
    source, settings = sources.load(slices.SOURCE), PrepareSettings()
    count = len(slices.usable_cases(source_dir))
    with tempfile.TemporaryDirectory() as out_dir:
        start = time.perf_counter()
        made = prepare(
            source, source_dir, settings, out_dir=out_dir, on_bad_case="skip"
        )
        total = time.perf_counter() - start
        size = sum(f.stat().st_size for f in made.path.rglob("*") if f.is_file())
    kept = sum(made.counts.values())
    return report.Table(
        "Preparing a set",
        (
            "cases",
            "slices",
            "s in all",
            "s a case",
            "MiB written",
            "peak, MiB",
            "worker",
        ),
        [(count, kept, total, total / count, size / 2**20, *_peaks())],
        f"Fingerprints, checks, normalising, TFDS records and caches, once, on"
        f" {len(os.sched_getaffinity(0))} cores; 256 px, uint16. Peaks"
        " are of this process and of its largest worker.",
    )


def _peaks():
    """Memory in MiB, of this process and of its largest worker, since they began."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return [resource.getrusage(who).ru_maxrss / 2**10 for who in whose]
