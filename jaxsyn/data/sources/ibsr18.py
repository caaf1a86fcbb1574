"""IBSR18: T1 brains with cerebrospinal fluid, grey and white matter.

The images are those without skull, or, where these are missing, those with it and the
mask of the brain. Labels are those of the source `oasis_tissues`, so that the two can
be exchanged. Cocosco et al. 1997, IBSR V2.0.
"""

from collections.abc import Iterator
from pathlib import Path

from jaxsyn.data import volumes
from jaxsyn.data.cases import Case, Problem
from jaxsyn.data.sources import _files, oasis_tissues

MODALITIES = ("t1",)
LABELS = oasis_tissues.LABELS
ORIGIN = "IBSR18 is at www.nitrc.org/projects/ibsr (registration)"
LAYOUT = (
    "folders IBSR_01 … with IBSR_01_ana_strip.nii.gz and IBSR_01_segTRI_ana.nii.gz, or"
    " with IBSR_01_ana.nii.gz and IBSR_01_ana_brainmask.nii.gz instead of the first"
)
_STRIPPED = {"ana_strip": "t1", "segtri_ana": "seg"}
_WHOLE = {"ana": "t1", "ana_brainmask": "mask", "segtri_ana": "seg"}


def find_cases(root: Path) -> Iterator[Case | Problem]:
    """Finds the cases in the folders of `root`, or of folders in it."""
    return map(_case, _files.named(root, r"IBSR_\d+"))


def _case(folder):
    def word(stem):
        return stem.lower().removeprefix(f"{folder.name.lower()}_")

    files = _files.images(folder)
    stripped = "ana_strip" in {word(volumes.stem(path)) for path in files}
    roles, needed = (_STRIPPED, ()) if stripped else (_WHOLE, ("mask",))
    return _files.case(
        folder,
        files,
        lambda stem: roles.get(word(stem)),
        MODALITIES,
        (LABELS,),
        needed=needed,
    )
