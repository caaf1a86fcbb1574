"""BraTS with the tumour's labels alone: the brain around it is background.

With the sources `brats_tissues` and `brats_whole`, the label maps of seven, four and
two classes of Foroozandeh and Eklund 2020, https://arxiv.org/abs/2009.05946. The
three prepare the same slices and divide patients alike.
"""

from collections.abc import Iterator
from pathlib import Path

from jaxsyn.data.cases import Case, Problem
from jaxsyn.data.sources import brats
from jaxsyn.spec import Label

MODALITIES = brats.MODALITIES
ORIGIN = brats.ORIGIN
LAYOUT = brats.LAYOUT


def without_brain(table: tuple[Label, ...]) -> tuple[Label, ...]:
    """A label table of `brats` without the label that is derived."""
    return tuple(label for label in table if label.values)


LABELS = without_brain(brats.LABELS)


def find_cases(root: Path) -> Iterator[Case | Problem]:
    """Finds the cases that the source `brats` finds."""
    return brats.find_relabelled_cases(root, without_brain)
