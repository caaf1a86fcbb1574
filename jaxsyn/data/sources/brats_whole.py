"""BraTS with the whole tumour as one label; see the source `brats_tumour`."""

from collections.abc import Iterator
from pathlib import Path

from jaxsyn.data.cases import Case, Problem
from jaxsyn.data.sources import brats
from jaxsyn.spec import Label

MODALITIES = brats.MODALITIES
ORIGIN = brats.ORIGIN
LAYOUT = brats.LAYOUT


def _joined(table: tuple[Label, ...]) -> tuple[Label, ...]:
    """A label table of `brats` with background and tumour alone."""
    background, *regions = (label for label in table if label.values)
    values = tuple(value for label in regions for value in label.values)
    return background, Label(name="tumour", values=values, colour=(214, 69, 65))


LABELS = _joined(brats.LABELS)


def find_cases(root: Path) -> Iterator[Case | Problem]:
    """Finds the cases that the source `brats` finds."""
    return brats.find_relabelled_cases(root, _joined)
