"""Pictures with label maps: files of one name in two folders, or side by side.

- images/NAME.png and labels/NAME.png (or masks/NAME.png); several modalities are
  folders in images: images/t1/NAME.png, images/t2/NAME.png; labels alone will do for
  generators of label maps;
- or NAME.png and NAME_mask.png, NAME_label.png or NAME_seg.png in one folder.

Names tell patients: what comes before a last number, as in anna_slice012, anna-z3 or
anna_7, is the patient. If all images were of one patient by this rule, jaxsyn.json has
to say whose they are; see `_folder`, also for labels, which otherwise are the values
found in the label maps.
"""

from collections.abc import Iterator
from pathlib import Path
import re

from jaxsyn.data.cases import Case, ImageFile, Problem
from jaxsyn.data.sources._folder import NAME, Choices, stem
from jaxsyn.errors import DataError
from jaxsyn.spec import Label

ORIGIN = "These are your own pictures"
LAYOUT = "images/NAME.png and labels/NAME.png, or NAME.png and NAME_mask.png"
_LABEL_FOLDERS = ("labels", "masks")
_LABEL = re.compile("(.+)[_-](mask|label|seg)", re.IGNORECASE)
_SLICE = re.compile(r"(.+?)[_-](?:slice|s|z)?\d+", re.IGNORECASE)


def describe(root: Path) -> tuple[tuple[str, ...], tuple[Label, ...]]:
    """Modalities and label table of a folder.

    Raises:
      DataError: The folder or its jaxsyn.json leaves open what they are.
    """
    choices, modalities, cases = _open(root)
    return modalities, choices.table(cases)


def find_cases(root: Path) -> Iterator[Case | Problem]:
    """Finds the pairs; a label map without image is a Problem."""
    choices, _, cases = _open(root)
    labels = choices.table(cases)
    for case in cases:
        yield choices.finish(case, labels)


def _open(root):
    choices = Choices.read(root)
    folders = [root / name for name in ("images", *_LABEL_FOLDERS)]
    nested = any(folder.is_dir() for folder in folders)
    images, labels = _in_folders(root) if nested else _side_by_side(root)
    modalities = choices.choose(images)
    names = sorted({name for files in (*images.values(), labels) for name in files})
    cases = [_case(root, name, images, labels, modalities) for name in names]
    if choices.patients is None:
        _check_patients(names)
    return choices, modalities, cases


def _in_folders(root):
    """Files by modality and name; label maps by name."""
    there = [root / name for name in _LABEL_FOLDERS if (root / name).is_dir()]
    if len(there) > 1:
        raise DataError(
            f"{root} holds label maps in {' and in '.join(f.name for f in there)}.",
            hint="Leave one of the two folders there.",
        )
    labels = _files(there[0]) if there else {}
    folder = root / "images"
    if not folder.is_dir():
        return {}, labels
    files = _files(folder)
    folders = [f for f in sorted(folder.iterdir()) if _is_shown_folder(f)]
    if files and folders:
        raise DataError(
            f"{folder} holds both images and folders ({folders[0].name}).",
            hint="Put the images of each modality into a folder: images/t1/NAME.png.",
        )
    return {f.name: _files(f) for f in folders} or {"image": files}, labels


def _side_by_side(root):
    images, labels = {}, {}
    for name, paths in _files(root).items():
        match = _LABEL.fullmatch(name)
        kind = labels if match else images
        kind.setdefault(match[1] if match else name, []).extend(paths)
    return {"image": images}, labels


def _files(folder):
    """The image files of a folder, by name without ending."""
    found = {}
    for path in sorted(folder.iterdir()):
        if stem(path) and path.is_file():
            found.setdefault(stem(path), []).append(path)
    return found


def _is_shown_folder(path):
    return path.is_dir() and not path.name.startswith(".")


def _case(root, name, images, labels, modalities):
    label = labels.get(name, [])
    roles = {modality: images[modality].get(name, []) for modality in modalities}
    for role, paths in (*roles.items(), *([("label map", label)] if label else [])):
        if len(paths) != 1:
            there = [
                str(p.relative_to(root)) for p in (*sum(roles.values(), []), *label)
            ]
            reason = f"{name} has {'several' if paths else 'no'} {role}"
            return Problem(name=name, reason=f"{reason}; it has {', '.join(there)}.")
    return Case(
        name=name,
        patient=_patient_of(name),
        images={
            modality: ImageFile(path=paths[0]) for modality, paths in roles.items()
        },
        label=ImageFile(path=label[0]) if label else None,
        label_tables=(),
    )


def _patient_of(name):
    match = _SLICE.fullmatch(name)
    return match[1] if match else name


def _check_patients(names):
    patients = {_patient_of(name) for name in names}
    if len(names) > 1 and len(patients) == 1:
        raise DataError(
            f"By their names all {len(names)} images are of one patient,"
            f" {patients.pop()!r}.",
            hint=f'Say in {NAME} whose they are: {{"patients": "cases"}} if each is of'
            ' another patient, or {"patients": {NAME: PATIENT}}.',
        )
