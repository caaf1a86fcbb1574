"""What sources share: the folders of cases, and the one file of each role in them."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
import re

from jaxsyn.data import volumes
from jaxsyn.data.cases import Case, ImageFile, Problem
from jaxsyn.spec import Label

_DEPTH = 3  # Such as BraTS2020_TrainingData/MICCAI_BraTS2020_TrainingData/CASE.
_PICTURES = (".png", ".npy")
_MAPS = ("seg", "tissues", "mask")


def folders(root: Path, depth: int = _DEPTH) -> Iterator[Path]:
    """Yields `root` and, down to `depth`, the folders in it that are not hidden."""
    yield root
    if depth:
        for path in sorted(root.iterdir()):
            if path.is_dir() and not path.name.startswith("."):
                yield from folders(path, depth - 1)


def named(root: Path, pattern: str) -> list[Path]:
    """The folders in `root` whose whole name is `pattern`; or `root`, if it is one."""
    found = [
        folder
        for folder in folders(root)
        if re.fullmatch(pattern, folder.name, re.IGNORECASE)
    ]
    return [folder for folder in found if folder != root] or found


def images(folder: Path) -> list[Path]:
    """The volumes in a folder; pictures, such as screenshots, are passed over."""
    return [
        path
        for path in sorted(folder.iterdir())
        if volumes.stem(path)
        and path.suffix.lower() not in _PICTURES
        and path.is_file()
    ]


def case(
    folder: Path,
    files: Iterable[Path],
    role_of: Callable[[str], str | None],
    modalities: tuple[str, ...],
    label_tables: tuple[tuple[Label, ...], ...],
    *,
    needed: tuple[str, ...] = (),
) -> Case | Problem:
    """The case that the files of a folder are, called as the folder is.

    Args:
      folder: Where they are.
      files: All that could be the case's; those without a role are passed over.
      role_of: Of a file's name without ending: a modality, "seg", "tissues", "mask" or
        nothing.
      modalities: Each of them has one file.
      label_tables: What the values of the label maps mean.
      needed: Which roles must be there besides; of any there is one file at most.
    """
    files, roles = list(files), {}
    for path in files:
        roles.setdefault(role_of(volumes.stem(path)), []).append(path)
    for role in (*modalities, *_MAPS):
        must = role in (*modalities, *needed)
        if len(roles.get(role, ())) != 1 and (must or role in roles):
            reason = f"{folder} has {'several' if role in roles else 'no'} {role}"
            reason = f"{reason}; it has {_listed(roles.get(role, files))}."
            return Problem(name=folder.name, reason=reason)
    found = {role: ImageFile(path=paths[0]) for role, paths in roles.items()}
    return Case(
        name=folder.name,
        patient=folder.name,
        images={modality: found[modality] for modality in modalities},
        label_tables=label_tables,
        label=found.get("seg"),
        tissues=found.get("tissues"),
        mask=found.get("mask"),
    )


def last_word(stem: str) -> str:
    """`t1ce` of `BraTS2021_00000_t1ce` or `BraTS-GLI-00000-000-T1CE`."""
    return re.split("[_-]", stem.lower())[-1]


def _listed(paths):
    names = [path.name for path in paths] or ["no image file"]
    if len(names) > 5:
        names[5:] = [f"{len(names) - 5} more"]
    return ", ".join(names)
