"""Multiple sclerosis in four sequences, with the lesions that three raters agreed on.

The files are those of the Ljubljana data set after bias correction and registration to
the MNI atlas; they are told apart by the first word of their names. Lesjak et al. 2017,
https://doi.org/10.1007/s12021-017-9348-7.
"""

from collections.abc import Iterator
from pathlib import Path

from jaxsyn.data.cases import Case, Problem
from jaxsyn.data.sources import _files
from jaxsyn.spec import Label

MODALITIES = ("t1", "t1ce", "t2", "flair")
LABELS = (
    Label(name="background", values=(0,), colour=(0, 0, 0)),
    Label(name="lesion", values=(1,), colour=(214, 69, 65)),
    Label(name="brain", colour=(120, 120, 130)),
)
ORIGIN = "The images are those of lit.fe.uni-lj.si/tools.php?lang=eng, CC BY"
LAYOUT = (
    "folders patient01 … with files T1_*, T1POST_*, T2_*, FLAIR_* and GOLD_STANDARD_*"
)
_ROLES = {
    "t1": "t1",
    "t1post": "t1ce",
    "t2": "t2",
    "flair": "flair",
    "gold": "seg",
}


def find_cases(root: Path) -> Iterator[Case | Problem]:
    """Finds the cases in the folders of `root`."""
    for folder in _files.named(root, r"patient\d+"):
        files = _files.images(folder)
        yield _files.case(folder, files, _role, MODALITIES, (LABELS,))


def _role(stem):
    return _ROLES.get(stem.lower().split("_")[0])
