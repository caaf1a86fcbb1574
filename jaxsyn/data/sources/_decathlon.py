"""What dataset.json of the Medical Segmentation Decathlon says of a task."""

from collections.abc import Mapping
import dataclasses
from pathlib import Path, PurePosixPath
import re
import reprlib
from typing import Any

from jaxsyn.data import volumes
from jaxsyn.data.sources import _files, _labels
from jaxsyn.errors import DataError
from jaxsyn.spec import Label

LAYOUT = "dataset.json, imagesTr and labelsTr, in this folder or in its only Task*"
FOLDERS = ("imagesTr", "labelsTr")
_EXAMPLES = {
    "modality": '{"0": "CT"}',
    "labels": '{"0": "background", "1": "spleen"}',
    "training": '[{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}]',
}
_KNOWN = {  # By what files are called before their number: modality and labels.
    "la": ("MRI", ("left atrium",)),
    "hippocampus": ("MRI", ("Anterior", "Posterior")),
    "spleen": ("CT", ("spleen",)),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """One task.

    Attributes:
      folder: Where it is.
      modalities: Their names, by channel.
      labels: The label table, with a derived `foreground`.
      pairs: Image and segmentation of each training case, relative to the folder.
    """

    folder: Path
    modalities: tuple[str, ...]
    labels: tuple[Label, ...]
    pairs: tuple[tuple[str, str], ...]


def read_task(root: Path) -> Task:
    """Reads what a task consists of.

    Args:
      root: Its folder, or one with a single folder Task* in it.

    Raises:
      DataError: There is none or more than one, or dataset.json is not as it must be:
        the message names the key, and the hint shows what is expected of it.
    """
    folder = _folder(root)
    path = folder / "dataset.json"
    content = _labels.read_json(path) if path.is_file() else _guessed(folder)
    modalities = _names(content, "modality", path)
    labels = _names(content, "labels", path)
    if list(modalities) != list(range(len(modalities))):
        _refuse(path, "modality", f"numbers the channels {list(modalities)}")
    if 0 not in labels:
        _refuse(path, "labels", "has no 0, which is the background")
    values = {name: value for value, name in labels.items()}
    derived = None if "foreground" in values else "foreground"
    return Task(
        folder=folder,
        modalities=tuple(modalities.values()),
        labels=_labels.declared(values, str(path), derived),
        pairs=_pairs(content, path),
    )


def images(folder: Path) -> list[Path]:
    """The image files of a folder; none if it is not there."""
    return _files.images(folder) if folder.is_dir() else []


def _folder(root):
    found = [
        folder
        for folder in (root, *sorted(root.glob("Task*")))
        if (folder / "dataset.json").is_file() or images(folder / "labelsTr")
    ]
    if len(found) != 1:
        what = " and ".join(map(str, found)) or "no task"
        raise DataError(f"{root}: there is {what} in it.", hint=f"Expected: {LAYOUT}.")
    return found[0]


def _guessed(folder):
    """What dataset.json would say, for a folder that has none."""
    names = {path.name for place in FOLDERS for path in images(folder / place)}
    prefix, *others = {name.split("_")[0] for name in names}
    if others or prefix not in _KNOWN:
        example = ", ".join(f'"{key}": {value}' for key, value in _EXAMPLES.items())
        raise DataError(
            f"{folder} has no dataset.json, and its files' names tell no task.",
            hint=f"Write one: {{{example}}}",
        )
    modality, labels = _KNOWN[prefix]
    return {
        "modality": {"0": modality},
        "labels": {
            str(value): label for value, label in enumerate(("background", *labels))
        },
        "training": [
            {"image": f"imagesTr/{name}", "label": f"labelsTr/{name}"}
            for name in sorted(names)
        ],
    }


def _names(content: Mapping[str, Any], key: str, path: Path) -> dict[int, str]:
    """Numbered names, as of modalities, by their numbers."""
    entry = content.get(key)
    if not isinstance(entry, dict) or not entry:
        _refuse(
            path, key, f"is {reprlib.repr(entry)}" if key in content else "is missing"
        )
    names = {}
    for number, name in entry.items():
        is_number = re.fullmatch("[0-9]{1,3}", number)
        if not is_number or not isinstance(name, str) or not _plain(name):
            what = f"{reprlib.repr(number)}: {reprlib.repr(name)}"
            _refuse(path, key, f"has {what}, not a number and a name")
        names[int(number)] = _plain(name)
    if len(set(names.values())) < len(entry):
        _refuse(path, key, f"has a name or a number twice: {reprlib.repr(entry)}")
    return dict(sorted(names.items()))


def _plain(name):
    return re.sub(r"\W+", "_", name.lower()).strip("_")


def _pairs(content, path):
    training = content.get("training")
    if not isinstance(training, list):
        what = f"is {reprlib.repr(training)}" if "training" in content else "is missing"
        _refuse(path, "training", what)
    return tuple(
        (_inside(entry, "image", path), _inside(entry, "label", path))
        for entry in training
    )


def _inside(entry, role, path):
    """A file of the task's folder, relative to it; others are refused."""
    file = entry.get(role) if isinstance(entry, dict) else None
    if not isinstance(file, str) or not volumes.stem(file):
        _refuse(
            path,
            "training",
            f"has {reprlib.repr(entry)}: its {role!r} is no image file",
        )
    relative = PurePosixPath(file)
    if relative.is_absolute() or ".." in relative.parts:
        _refuse(path, "training", f"has {file!r}, which is not in the task's folder")
    return str(relative)


def _refuse(path, key, what):
    raise DataError(
        f'{path}: "{key}" {what}.',
        hint=f'Expected, for instance: "{key}": {_EXAMPLES[key]}',
    )
