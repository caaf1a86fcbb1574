"""Phantoms on disk: where their files go, in the layouts of BraTS and ISLES.

BraTS 2021  BraTSPhantom_00001/BraTSPhantom_00001_{t1,t1ce,t2,flair,seg}.nii.gz
ISLES 2022  sub-strokecase0001/ses-0001/dwi/sub-strokecase0001_ses-0001_dwi.nii.gz
                                       /dwi/sub-strokecase0001_ses-0001_adc.nii.gz
                                       /anat/sub-strokecase0001_ses-0001_FLAIR.nii.gz
            derivatives/sub-strokecase0001/ses-0001/*_msk.nii.gz
ISLES 2018  case_1/SMIR.Brain.XX.O.CT_CBF.900012/SMIR.Brain.XX.O.CT_CBF.900012.nii
            and so CT_CBV, CT_MTT, CT_Tmax and OT, the mask
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxsyn.data import nifti
from jaxsyn.data.phantom.patient import Settings

_SMIR = {  # The volume's name in the archive, and its place in a case's numbers.
    "mask": ("OT", 0),
    "cbv": ("CT_CBV", 1),
    "cbf": ("CT_CBF", 2),
    "mtt": ("CT_MTT", 3),
    "tmax": ("CT_Tmax", 4),
}
_BIDS = {
    "mask": "derivatives/{case}/ses-0001/{case}_ses-0001_msk.nii.gz",
    "dwi": "{case}/ses-0001/dwi/{case}_ses-0001_dwi.nii.gz",
    "adc": "{case}/ses-0001/dwi/{case}_ses-0001_adc.nii.gz",
    "flair": "{case}/ses-0001/anat/{case}_ses-0001_FLAIR.nii.gz",
}


def patient_folder(kind: str, index: int) -> Path:
    """The folder of a patient's images, within the set."""
    names = {"stroke-dwi": "sub-strokecase{:04d}", "stroke-ctp": "case_{}"}
    return Path(names.get(kind, "BraTSPhantom_{:05d}").format(index))


def file_of(kind: str, index: int, volume: str) -> Path:
    """Where a patient's volume (a modality or `mask`) goes, within the set."""
    folder = patient_folder(kind, index)
    if kind == "stroke-dwi":
        return Path(_BIDS[volume].format(case=folder))
    if kind == "stroke-ctp":
        word, place = _SMIR[volume]
        name = f"SMIR.Brain.XX.O.{word}.{900000 + 10 * index + place}"
        return folder / name / f"{name}.nii"
    return folder / f"{folder}_{'seg' if volume == 'mask' else volume}.nii.gz"


def write_patient(
    out_dir: Path, settings: Settings, index: int, volumes: Mapping[str, np.ndarray]
) -> None:
    """Writes a patient's volumes; ResourceError if that is not possible."""
    x, y, z = settings.spacing_mm
    affine = np.diag([-x, -y, z, 1.0])
    affine[1, 3] = (settings.shape[1] - 1) * y  # As in BraTS.
    for name, volume in volumes.items():
        path = out_dir / file_of(settings.kind, index, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        nifti.write(path, volume, affine, description="jaxsyn phantom")
