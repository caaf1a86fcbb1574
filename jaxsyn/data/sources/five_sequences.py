"""Operated gliomas in five sequences, one of them molecular.

The data of Guo et al. 2020, https://arxiv.org/abs/2006.14761, are not public. Those
who have such cases name their files as BraTS does: T1, T1 with gadolinium (`t1ce`),
T2, FLAIR and amide-proton-transfer-weighted (`apt`), all on the grid of the second,
without skull; and a label map of five classes.
"""

from collections.abc import Iterator
from pathlib import Path

from jaxsyn.data.cases import Case, Problem
from jaxsyn.data.sources import _files
from jaxsyn.spec import Label

MODALITIES = ("t1", "t1ce", "t2", "flair", "apt")
LABELS = (
    Label(name="background", values=(0,), colour=(0, 0, 0)),
    Label(name="brain", values=(1,), colour=(120, 120, 130)),
    Label(name="oedema", values=(2,), colour=(88, 166, 92)),
    Label(name="cavity", values=(3,), colour=(86, 140, 200)),
    Label(name="tumour", values=(4,), colour=(244, 190, 65)),
)
ORIGIN = "These data are not public: the source reads cases of your own"
LAYOUT = (
    "one folder a patient, with PATIENT_t1, _t1ce, _t2, _flair, _apt and _seg.nii.gz"
)


def find_cases(root: Path) -> Iterator[Case | Problem]:
    """Finds the cases in `root`, in its folders and in theirs."""
    for folder in _files.folders(root):
        if files := _files.images(folder):
            yield _files.case(folder, files, _role, MODALITIES, (LABELS,))


def _role(stem):
    word = _files.last_word(stem)
    return word if word in (*MODALITIES, "seg") else None
