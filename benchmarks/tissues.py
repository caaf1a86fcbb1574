"""How well and how fast tissues are found, on brains whose tissues are known."""

from pathlib import Path
import time

import numpy as np

from benchmarks import report
from jaxsyn.data import hmrf, sources

SOURCE = "oasis_tissues"
TISSUES = ("csf", "grey", "white")
COLUMNS = ("tissue", "Dice, mean", "worst", "brains")
NOTES = (
    "Skull-stripped T1; the brain is where a tissue is known. {seconds:.1f} s a brain."
)


def measure(source_dir: Path) -> report.Table:
    """Finds the tissues of each brain in a folder that `SOURCE` reads."""
    source = sources.load(SOURCE)
    dice, took = [], []
    for case in source.find_cases(source_dir):
        volumes = source.read_case(case)
        spacing_mm = np.linalg.norm(volumes.affine[:3, :3], axis=0)
        start = time.perf_counter()
        found = hmrf.find_tissues(volumes.images[0], volumes.label > 0, spacing_mm)
        took.append(time.perf_counter() - start)
        names = [label.name for label in source.describe(source_dir)[1]]
        known = [volumes.label == names.index(name) for name in TISSUES]
        dice.append([_dice(found == i + 1, mask) for i, mask in enumerate(known)])
    rows = [
        (name, float(np.mean(values)), float(np.min(values)), len(values))
        for name, values in zip(TISSUES, np.transpose(dice), strict=True)
    ]
    notes = NOTES.format(seconds=np.median(took))
    return report.Table("Tissues of T1 brains", COLUMNS, rows, notes)


def _dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))
