"""KiTS19: abdominal computed tomographies with kidneys and their tumours.

Images are in Hounsfield units, with slices of 0.5 to 5 mm mostly along the first axis.
90 of the 300 cases, those of the challenge's test, have no segmentation. Heller et al.
2019, https://arxiv.org/abs/1904.00445.
"""

from collections.abc import Iterator
from pathlib import Path

from jaxsyn.data.cases import Case, Problem
from jaxsyn.data.sources import _files
from jaxsyn.spec import Label

MODALITIES = ("ct",)
LABELS = (
    Label(name="background", values=(0,), colour=(0, 0, 0)),
    Label(name="kidney", values=(1,), colour=(88, 166, 92)),
    Label(name="tumour", values=(2,), colour=(214, 69, 65)),
    Label(name="body", colour=(120, 120, 130)),
)
ORIGIN = "KiTS19 is at github.com/neheller/kits19; its script fetches the images"
LAYOUT = "folders case_00000 … with imaging.nii.gz and segmentation.nii.gz"
_ROLES = {"imaging": "ct", "segmentation": "seg"}


def find_cases(root: Path) -> Iterator[Case | Problem]:
    """Finds the cases in `root` or in folders of it, as `data`."""
    for folder in _files.named(root, r"case_\d{5}"):
        files = _files.images(folder)
        yield _files.case(folder, files, _ROLES.get, MODALITIES, (LABELS,))
