"""Segmentations of BraTS without images, for generators of label maps.

Files that end in _seg or -seg may lie together in one folder or in those of cases,
whose images are not read. There is no brain in such a data set: foreground is where
there is a label.
"""

from collections.abc import Iterator
from pathlib import Path
import re

from jaxsyn.data import volumes
from jaxsyn.data.cases import Case, ImageFile
from jaxsyn.data.sources import _files, brats, brats_tumour

MODALITIES = ()
LABELS = brats_tumour.LABELS
ORIGIN = brats.ORIGIN
LAYOUT = "files in _seg.nii.gz or -seg.nii.gz, here or in folders"


def find_cases(root: Path) -> Iterator[Case]:
    """Finds the segmentations in `root` and in the folders where cases may lie."""
    for folder in _files.folders(root):
        for path in _files.images(folder):
            match = re.fullmatch("(.+)([_-])seg", volumes.stem(path), re.IGNORECASE)
            if match:
                yield _case(match[1], match[2] == "-", path)


def _case(name, of_2023, path):
    tables = brats.label_tables(of_2023)
    return Case(
        name=name,
        patient=brats.patient_of(name),
        images={},
        label=ImageFile(path=path),
        label_tables=tuple(map(brats_tumour.without_brain, tables)),
    )
