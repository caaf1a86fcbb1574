"""Task01_BrainTumour of the Medical Segmentation Decathlon: one 4-D file a case.

The images are BraTS 2016 and 2017; indices of modalities and labels are those of the
source `brats`, so that the two can be exchanged, though the files' values differ.
"""

from collections.abc import Iterator
import json
from pathlib import Path

from jaxsyn.data.cases import Case, ImageFile, Problem
from jaxsyn.data.sources import brats
from jaxsyn.errors import DataError
from jaxsyn.spec import Label

MODALITIES = brats.MODALITIES
ORIGIN = "Task01_BrainTumour is at medicaldecathlon.com"
LAYOUT = "dataset.json, imagesTr and labelsTr, in this folder or in Task01_BrainTumour"
_NAMES = {"t1w": "t1", "t1gd": "t1ce", "t2w": "t2", "flair": "flair"}
_VALUES = {"background": 0, "oedema": 1, "necrotic": 2, "enhancing": 3}

LABELS = tuple(
    Label(
        name=label.name,
        values=(_VALUES[label.name],) if label.values else (),
        colour=label.colour,
    )
    for label in brats.LABELS
)


def find_cases(root: Path) -> Iterator[Case | Problem]:
    """Finds the training cases that dataset.json lists.

    Raises:
      DataError: dataset.json cannot be understood, or is that of another task.
    """
    for folder in (root, root / "Task01_BrainTumour"):
        if (folder / "dataset.json").is_file():
            yield from _listed_cases(folder)


def _listed_cases(folder):
    path = folder / "dataset.json"
    try:
        content = json.loads(path.read_text())
        channels = {
            _NAMES.get(name.lower()): int(channel)
            for channel, name in content["modality"].items()
        }
        pairs = [
            (folder / p["image"], folder / p["label"]) for p in content["training"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} cannot be understood: {error!r}.",
            hint='It must hold "modality" and "training" as in Task01_BrainTumour.',
        ) from error
    if missing := set(MODALITIES) - set(channels):
        raise DataError(
            f"{path} lists no {', '.join(sorted(missing))} among its modalities.",
            hint="Only Task01_BrainTumour is read by this source.",
        )
    for image, label in pairs:
        yield _case(image, label, channels)


def _case(image, label, channels):
    name = label.name.split(".")[0]
    for path in (image, label):
        if not path.is_file():
            return Problem(name=name, reason=f"{path} is listed, but not there.")
    return Case(
        name=name,
        patient=name,
        images={m: ImageFile(path=image, channel=channels[m]) for m in MODALITIES},
        label=ImageFile(path=label),
        label_tables=(LABELS,),
    )
