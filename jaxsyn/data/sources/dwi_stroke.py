"""Diffusion-weighted images of stroke patients and of people without one.

The two databases of Platscher et al. 2020, https://arxiv.org/abs/2010.02745, are not
public; those who have such cases name their files as below. Every case comes with a
parcellation of its brain in the values of FreeSurfer's aseg, which SynthSeg uses too.
The paper merges it into 27 classes that it does not name; here left and right are one
class, and small structures belong to what is around them: 18 classes, and as the last
one the lesion, which wins.

A patient of `stroke` without lesion has a mask of zeros, one without a mask is yet to
be segmented; those of `normal` have no mask.
"""

from collections.abc import Iterator
import dataclasses
from pathlib import Path

from jaxsyn.data.cases import TISSUE_OFFSET, Case, Problem
from jaxsyn.data.sources import _files
from jaxsyn.spec import Label

MODALITIES = ("dwi",)
# Values on the left, on the right, and of what is small or not always there.
_PARENCHYMA = {
    "white": ((2, 41, 77, 78, 79, 85, *range(251, 256)), (235, 235, 235)),
    "grey": ((3, 42), (150, 150, 150)),
    "cerebellum_white": ((7, 46), (220, 205, 180)),
    "cerebellum_grey": ((8, 47), (170, 140, 110)),
    "thalamus": ((10, 49), (88, 166, 92)),
    "caudate": ((11, 50), (120, 180, 60)),
    "putamen": ((12, 51, 30, 62, 80, 81, 82), (60, 140, 120)),
    "pallidum": ((13, 52), (40, 110, 80)),
    "brain_stem": ((16,), (150, 110, 170)),
    "hippocampus": ((17, 53), (230, 150, 60)),
    "amygdala": ((18, 54), (200, 110, 140)),
    "accumbens": ((26, 58), (170, 200, 120)),
    "ventral_dc": ((28, 60), (110, 90, 140)),
}
_FLUID = {
    "lateral_ventricle": ((4, 43, 31, 63, 72), (86, 140, 200)),
    "inferior_lateral_ventricle": ((5, 44), (60, 110, 180)),
    "third_ventricle": ((14,), (40, 90, 160)),
    "fourth_ventricle": ((15,), (110, 170, 220)),
    "csf": ((24,), (150, 200, 230)),
}
PARENCHYMA = tuple(_PARENCHYMA)  # Where a lesion may be injected.


def _labels(lesion: int) -> tuple[Label, ...]:
    return (
        Label(name="background", values=(0,), colour=(0, 0, 0)),
        *(
            Label(
                name=name,
                values=tuple(TISSUE_OFFSET + value for value in values),
                colour=colour,
                tissue=True,
            )
            for name, (values, colour) in (_PARENCHYMA | _FLUID).items()
        ),
        Label(name="lesion", values=(lesion,), colour=(214, 69, 65)),
    )


LABELS = _labels(1)
ORIGIN = "These data are not public: the source reads cases of your own"
LAYOUT = (
    "folders stroke/PATIENT with PATIENT_dwi, _parcellation and _lesion.nii.gz, and"
    " normal/PATIENT with the first two"
)
_ROLES = {"dwi": "dwi", "parcellation": "tissues", "lesion": "seg"}


def find_cases(root: Path) -> Iterator[Case | Problem]:
    """Finds the cases in `stroke` and `normal`, called stroke-PATIENT and so on.

    `root` may as well be one of the two.
    """
    for group in ("stroke", "normal"):
        for above in _files.named(root, group):
            for folder in _files.folders(above, 1):
                files = _files.images(folder)
                if files or folder != above:
                    yield _case(folder, files, group)


def _case(folder, files, group):
    case = _files.case(
        folder,
        files,
        lambda stem: _ROLES.get(_files.last_word(stem)),
        MODALITIES,
        (LABELS, _labels(255)),
        needed=("tissues",),
    )
    name = f"{group}-{folder.name}"
    if isinstance(case, Problem):
        return dataclasses.replace(case, name=name)
    if group == "normal" and case.label:
        return Problem(
            name=name,
            reason=f"{case.label.path} is the lesion of a case that has none.",
            hint="Move the case to stroke, or its lesion away.",
        )
    if group == "stroke" and not case.label:
        # Tissues without a segmentation would mean that there is no lesion.
        case = dataclasses.replace(case, tissues=None)
    return dataclasses.replace(case, name=name, patient=name)
