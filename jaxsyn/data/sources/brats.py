"""BraTS, from 2017 to 2023: one folder a case, one file a modality.

Up to 2021 files end in _t1, _t1ce, _t2, _flair, _seg and the enhancing tumour is 4,
or 3 where someone has closed the gap. From 2023 they end in -t1n, -t1c, -t2w, -t2f,
-seg and it is 3; there a 4, which later challenges use for the resection cavity, is
refused.
"""

from collections.abc import Callable, Iterator
import dataclasses
from pathlib import Path
import re

from jaxsyn.data.cases import Case, ImageFile, Problem
from jaxsyn.spec import Label

MODALITIES = ("t1", "t1ce", "t2", "flair")
ORIGIN = "BraTS is at www.synapse.org (registration), parts at TCIA and on Kaggle"
LAYOUT = (
    "one folder a case, with files in _t1, _t1ce, _t2, _flair and _seg.nii.gz, or in"
    " -t1n, -t1c, -t2w, -t2f and -seg.nii.gz"
)
_DEPTH = 3  # Such as BraTS2020_TrainingData/MICCAI_BraTS2020_TrainingData/CASE.
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
    for folder in folders(root):
        files, nested = [], False
        for path in sorted(folder.iterdir()):
            nested |= path.is_dir()
            if stem(path) and path.is_file():
                files.append(path)
        if files:
            yield _case(folder, files)
        elif not nested and folder.name.lower().startswith("brats"):
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


def folders(root: Path, depth: int = _DEPTH) -> Iterator[Path]:
    """Yields `root` and, down to `depth`, the folders in it that are not hidden."""
    yield root
    if depth:
        for path in sorted(root.iterdir()):
            if path.is_dir() and not path.name.startswith("."):
                yield from folders(path, depth - 1)


def stem(path: Path) -> str:
    """The file's name without .nii or .nii.gz; empty if it is no NIfTI file."""
    match = re.fullmatch(r"([^.].*)\.nii(\.gz)?", path.name, re.IGNORECASE)
    return match[1] if match else ""


def _case(folder, files):
    roles, words = {}, set()
    for path in files:
        word = re.split("[_-]", stem(path).lower())[-1]
        # BraTS20_Training_355 has W39_1998.09.19_Segm.nii.
        role = "seg" if word.startswith("seg") else _WORDS.get(word)
        roles.setdefault(role, []).append(path)
        words.add(word)
    for role in (*MODALITIES, "seg"):
        if len(roles.get(role, ())) != 1 and (role != "seg" or role in roles):
            there = [path.name for path in roles.get(role, files)]
            if len(there) > 5:
                there[5:] = [f"{len(there) - 5} more"]
            reason = f"{folder} has {'several' if role in roles else 'no'} {role}"
            reason = f"{reason}; it has {', '.join(there)}."
            return Problem(name=folder.name, reason=reason)
    return Case(
        name=folder.name,
        patient=patient_of(folder.name),
        images={m: ImageFile(path=roles[m][0]) for m in MODALITIES},
        label=ImageFile(path=roles["seg"][0]) if "seg" in roles else None,
        label_tables=label_tables(bool(words & _WORDS_OF_2023)),
    )


def patient_of(case: str) -> str:
    """Whose a case is: BraTS-GLI-00000-001 is an examination of BraTS-GLI-00000."""
    match = re.fullmatch(r"(BraTS-[A-Za-z]+-\d+)-\d+", case)
    return match[1] if match else case
