"""From files to normalised slices: one case, on one core."""

import os
from pathlib import Path

import nibabel
import numpy as np

from benchmarks import report, slices
from jaxsyn.data import sources
from jaxsyn.data.preprocess import PrepareSettings, prepare_case

AIM = "Aim: at most 0.5 s a case on one core."


def measure(source_dir: Path, repeats: int) -> report.Table:
    """Reads and normalises cases, beside the same without checks in plain nibabel."""
    cases = slices.usable_cases(source_dir)[:5]
    source, settings = sources.load(slices.SOURCE), PrepareSettings()

    def read(case):
        return source.read_case(case)

    def read_and_prepare(case):
        made = read(case)
        return prepare_case(made, settings, case=case.name, patient=case.patient)

    ways = {
        "jaxsyn: read and check": read,
        "jaxsyn: read, check, normalise, cut, quantise": read_and_prepare,
        "nibabel: read": _plain_read,
        "nibabel: read, normalise, pad, quantise": _plain_prepare,
    }
    took = {way: [] for way in ways}
    available = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(available)})
    try:
        for _ in range(repeats):
            for case in cases:
                for way, function in ways.items():
                    took[way] += report.seconds(lambda f=function, c=case: f(c), 1)
    finally:
        os.sched_setaffinity(0, available)
    return report.Table(
        "Reading and normalising a BraTS case",
        ("", "s a case, median", "best"),
        [(way, *report.median_and_best(values)) for way, values in took.items()],
        f"{len(cases)} cases, {repeats} times each, in turn, on one core. {AIM} nibabel"
        " here checks nothing, not even that a file is whole.",
    )


def _plain_read(case):
    files = [*(case.images[name] for name in case.images), case.label]
    return [np.asarray(nibabel.load(file.path).dataobj) for file in files]


def _plain_prepare(case):
    *images, label = _plain_read(case)
    brain = np.any([image > 0 for image in images], axis=0)
    rows, columns, _ = label.shape
    border = ((0, 256 - rows), (0, 256 - columns), (0, 0))
    made = []
    for image in images:
        low, high = np.percentile(image[brain], (0.1, 99.9))
        unit = np.clip((image.astype(np.float32) - low) / (high - low), 0, 1)
        made.append(np.pad(np.rint(65535 * unit).astype(np.uint16), border))
    return np.stack(made, -1), np.pad(label.astype(np.uint8), border)
