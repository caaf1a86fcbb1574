"""Cases as they were given out by SMIR and the Virtual Skeleton Database.

Each volume is in a folder of its own, and has its kind in its name, before a number:
`1/VSD.Brain.XX.O.MR_DWI.70613/VSD.Brain.XX.O.MR_DWI.70613.nii`. Here it may as well
be in the folder of the case.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
import re

from jaxsyn.data.cases import Case, Problem
from jaxsyn.data.sources import _files
from jaxsyn.spec import Label

LABELS = (
    Label(name="background", values=(0,), colour=(0, 0, 0)),
    Label(name="lesion", values=(1,), colour=(214, 69, 65)),
    Label(name="brain", colour=(120, 120, 130)),
)
# Some copies hold masks of 0 and 255.
LABEL_TABLES = (
    LABELS,
    (LABELS[0], Label(name="lesion", values=(255,), colour=(214, 69, 65)), LABELS[2]),
)


def find_cases(
    root: Path, pattern: str, kinds: Mapping[str, str]
) -> Iterator[Case | Problem]:
    """Finds the cases in `root`.

    Args:
      root: Where their folders are.
      pattern: Of these folders' names.
      kinds: The modality of each kind of file, in lower case; in their order.
    """

    def role_of(stem):
        match = re.fullmatch(r".*\.([a-z]\w*)(\.\d+)?", stem.lower())
        kind = match[1] if match else ""
        return "seg" if kind == "ot" else kinds.get(kind)

    for folder in _files.named(root, pattern):
        places = _files.folders(folder, 1)
        files = [path for place in places for path in _files.images(place)]
        yield _files.case(folder, files, role_of, (*kinds.values(),), LABEL_TABLES)
