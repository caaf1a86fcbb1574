"""Task01_BrainTumour of the Medical Segmentation Decathlon, with the classes of BraTS.

The images are BraTS 2016 and 2017; indices of modalities and labels are those of the
source `brats`, so that the two can be exchanged, though the files' values differ.
"""

from collections.abc import Iterator
import dataclasses
from pathlib import Path

from jaxsyn.data.cases import Case, Problem
from jaxsyn.data.sources import brats, msd
from jaxsyn.errors import DataError
from jaxsyn.spec import Label

MODALITIES = brats.MODALITIES
ORIGIN = "Task01_BrainTumour is at medicaldecathlon.com"
LAYOUT = msd.LAYOUT
_NAMES = {"t1w": "t1", "t1gd": "t1ce", "t2w": "t2", "flair": "flair"}
_VALUES = {"background": 0, "oedema": 1, "necrotic": 2, "enhancing": 3}

LABELS = tuple(
    Label(
        name=label.name,
        values=(_VALUES[label.name],) if label.values else (),
        colour=label.colour,
    )
    for label in brats.LABELS
)


def find_cases(root: Path) -> Iterator[Case | Problem]:
    """Finds the training cases that dataset.json lists.

    Raises:
      DataError: It is another task, or dataset.json is not as it must be.
    """
    theirs, _ = msd.describe(root)
    named = {_NAMES.get(name): name for name in theirs}
    if missing := set(MODALITIES) - set(named):
        raise DataError(
            f"{root}: dataset.json lists no {', '.join(sorted(missing))}.",
            hint="Only Task01_BrainTumour is read by this source; others by `msd`.",
        )
    for case in msd.find_cases(root):
        yield _as_brats(case, named) if isinstance(case, Case) else case


def _as_brats(case, named):
    images = {modality: case.images[named[modality]] for modality in MODALITIES}
    return dataclasses.replace(case, images=images, label_tables=(LABELS,))
