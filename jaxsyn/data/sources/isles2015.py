"""ISLES 2015, its task SISS: subacute stroke in four sequences, skull-stripped.

Volumes are resampled to one grid of 1 mm; a case is a patient.
"""

from collections.abc import Iterator
from pathlib import Path

from jaxsyn.data.cases import Case, Problem
from jaxsyn.data.sources import _smir

_KINDS = {"mr_flair": "flair", "mr_dwi": "dwi", "mr_t1": "t1", "mr_t2": "t2"}
MODALITIES = tuple(_KINDS.values())
LABELS = _smir.LABELS
ORIGIN = "ISLES 2015 (SISS) is at www.isles-challenge.org (registration)"
LAYOUT = (
    "folders 1, 2 … with VSD.Brain.XX.O.MR_Flair.NUMBER.nii and so on in them or in"
    " folders of their own"
)


def find_cases(root: Path) -> Iterator[Case | Problem]:
    """Finds the cases in the numbered folders of `root`, or of folders in it."""
    return _smir.find_cases(root, r"\d+", _KINDS)
