"""Any task of the Medical Segmentation Decathlon, as its dataset.json describes it.

Modalities and labels are called as there, in small letters; what has no label is
`foreground`. Task01_BrainTumour is also read by the source `msd_brain_tumour`, with the
classes of BraTS. Some copies lack dataset.json: heart, hippocampus and spleen are known
by the names of their files. Simpson et al. 2019, https://arxiv.org/abs/1902.09063.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from jaxsyn.data import volumes
from jaxsyn.data.cases import Case, ImageFile, Problem
from jaxsyn.data.sources import _decathlon
from jaxsyn.spec import Label

ORIGIN = "The ten tasks are at medicaldecathlon.com"
LAYOUT = _decathlon.LAYOUT


def describe(root: Path) -> tuple[tuple[str, ...], tuple[Label, ...]]:
    """Modalities and labels of the task in `root`; errors as of `read_task`."""
    task = _decathlon.read_task(root)
    return task.modalities, task.labels


def find_cases(root: Path) -> Iterator[Case | Problem]:
    """Finds the training cases of the task in `root`.

    A listed file that is missing is a Problem, and so is one that is there unlisted.

    Raises:
      DataError: See `read_task`.
    """
    task = _decathlon.read_task(root)
    for image, label in task.pairs:
        yield _case(task, task.folder / image, task.folder / label)
    listed = {PurePosixPath(file) for pair in task.pairs for file in pair}
    for place in _decathlon.FOLDERS:
        for path in _decathlon.images(task.folder / place):
            if PurePosixPath(place, path.name) not in listed:
                yield Problem(
                    name=f"{place}/{path.name}",
                    reason=f"{path} is not listed in dataset.json.",
                    hint="List it, or move it away.",
                )


def _case(task, image, label):
    name = volumes.stem(label)
    for path in (image, label):
        if not path.is_file():
            return Problem(name=name, reason=f"There is no {path}.")
    several = len(task.modalities) > 1  # Then the file is 4-D.
    return Case(
        name=name,
        patient=name,
        images={
            modality: ImageFile(path=image, channel=channel if several else None)
            for channel, modality in enumerate(task.modalities)
        },
        label=ImageFile(path=label),
        label_tables=(task.labels,),
    )
