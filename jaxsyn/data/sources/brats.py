"""BraTS, from 2017 to 2023: one folder a case, one file a modality.

Up to 2021 files end in _t1, _t1ce, _t2, _flair, _seg and the enhancing tumour is 4,
or 3 where someone has closed the gap. From 2023 they end in -t1n, -t1c, -t2w, -t2f,
-seg and it is 3; there a 4, which later challenges use for the resection cavity, is
refused. Gliomas of high grade alone, in 2018, are those in the folder HGG.
"""

from collections.abc import Callable, Iterator
import dataclasses
from pathlib import Path
import re

from jaxsyn.data import volumes
from jaxsyn.data.cases import Case, Problem
from jaxsyn.data.sources import _files
from jaxsyn.spec import Label

MODALITIES = ("t1", "t1ce", "t2", "flair")
ORIGIN = "BraTS is at www.synapse.org (registration), parts at TCIA and on Kaggle"
LAYOUT = (
    "one folder a case, with files in _t1, _t1ce, _t2, _flair and _seg.nii.gz, or in"
    " -t1n, -t1c, -t2w, -t2f and -seg.nii.gz"
)
_WORDS = {  # The last word of a file's name.
    "t1": "t1",
    "t1n": "t1",
    "t1ce": "t1ce",
    "t1c": "t1ce",
    "t1gd": "t1ce",
    "t2": "t2",
    "t2w": "t2",
    "flair": "flair",
    "t2f": "flair",
}
_WORDS_OF_2023 = {"t1n", "t1c", "t2w", "t2f"}


def _labels(*enhancing: int) -> tuple[Label, ...]:
    return (
        Label(name="background", values=(0,), colour=(0, 0, 0)),
        Label(name="necrotic", values=(1,), colour=(214, 69, 65)),
        Label(name="oedema", values=(2,), colour=(88, 166, 92)),
        Label(name="enhancing", values=enhancing, colour=(244, 190, 65)),
        Label(name="brain", colour=(120, 120, 130)),
    )


LABELS = _labels(4, 3)


def find_cases(root: Path) -> Iterator[Case | Problem]:
    """Finds the cases in `root`, in its folders and in theirs."""
    for folder in _files.folders(root):
        if files := _files.images(folder):
            words = {_files.last_word(volumes.stem(path)) for path in files}
            tables = label_tables(bool(words & _WORDS_OF_2023))
            case = _files.case(folder, files, _role, MODALITIES, tables)
            if isinstance(case, Case):
                case = dataclasses.replace(case, patient=patient_of(case.name))
            yield case
        elif folder.name.lower().startswith("brats") and not _has_folders(folder):
            yield Problem(name=folder.name, reason=f"{folder} holds no NIfTI file.")


def find_relabelled_cases(
    root: Path, relabel: Callable[[tuple[Label, ...]], tuple[Label, ...]]
) -> Iterator[Case | Problem]:
    """Finds the same cases; `relabel` makes of their label tables those to use."""
    for case in find_cases(root):
        if isinstance(case, Case):
            tables = tuple(map(relabel, case.label_tables))
            case = dataclasses.replace(case, label_tables=tables)
        yield case


def label_tables(of_2023: bool) -> tuple[tuple[Label, ...], ...]:
    """What the values of a segmentation may mean, named as from 2023 on or before."""
    return (_labels(3),) if of_2023 else (_labels(4), _labels(3))


def _role(stem):
    word = _files.last_word(stem)
    # BraTS20_Training_355 has W39_1998.09.19_Segm.nii.
    return "seg" if word.startswith("seg") else _WORDS.get(word)


def patient_of(case: str) -> str:
    """Whose a case is: BraTS-GLI-00000-001 is an examination of BraTS-GLI-00000."""
    match = re.fullmatch(r"(BraTS-[A-Za-z]+-\d+)-\d+", case)
    return match[1] if match else case


def _has_folders(folder):
    return any(path.is_dir() for path in folder.iterdir())
