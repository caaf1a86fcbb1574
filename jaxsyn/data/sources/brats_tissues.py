"""BraTS with complete label maps: the tumour, and the tissues of the brain around it.

Tissue maps lie beside the segmentations; `python -m jaxsyn.data.tissues` writes them.
A map from elsewhere must hold 1 in cerebrospinal fluid, 2 in grey and 3 in white
matter. The tumour wins, and brain without a tissue gets the nearest one.
"""

from collections.abc import Iterator
import dataclasses
from pathlib import Path

from jaxsyn.data.cases import TISSUE_OFFSET, Case, ImageFile, Problem
from jaxsyn.data.sources import brats, brats_tumour
from jaxsyn.spec import Label

MODALITIES = brats.MODALITIES
ORIGIN = brats.ORIGIN
LAYOUT = f"{brats.LAYOUT}, and CASE_tissues.nii.gz in each folder"


TISSUES = tuple(
    Label(name=name, values=(TISSUE_OFFSET + value,), colour=colour, tissue=True)
    for name, value, colour in (
        ("white", 3, (235, 235, 235)),
        ("grey", 2, (150, 150, 150)),
        ("csf", 1, (86, 140, 200)),
    )
)


def _with_tissues(table: tuple[Label, ...]) -> tuple[Label, ...]:
    """A label table of `brats` with the tissues instead of the brain."""
    return (*brats_tumour.without_brain(table), *TISSUES)


LABELS = _with_tissues(brats.LABELS)


def find_cases(root: Path) -> Iterator[Case | Problem]:
    """Finds the cases of `brats`; a segmentation without tissue map is a Problem."""
    for case in brats.find_relabelled_cases(root, _with_tissues):
        yield _add_tissues(case) if isinstance(case, Case) and case.label else case


def _add_tissues(case):
    path = case.label.path.with_name(f"{case.name}_tissues.nii.gz")
    if not path.is_file():
        return Problem(
            name=case.name,
            reason=f"There is no {path}.",
            hint="Write the tissue maps: python -m jaxsyn.data.tissues DIR",
        )
    return dataclasses.replace(case, tissues=ImageFile(path=path))
