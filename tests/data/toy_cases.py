"""Tiny BraTS cases for tests of what comes after reading."""

from pathlib import Path

import nibabel as nib
import numpy as np

from jaxsyn.data.cases import CaseVolumes

MODALITIES = ("t1", "t1ce", "t2", "flair")
# From voxels to RAS+ millimetres: the axes run left, posterior, superior.
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def volumes(seed: int = 0, shape: tuple[int, int, int] = (10, 12, 5)) -> CaseVolumes:
    """A box of random brain with a lesion; its first and last slice are empty."""
    rng = np.random.default_rng(seed)
    foreground = np.zeros(shape, bool)
    foreground[2:8, 3:11, 1:-1] = True
    images = tuple(
        np.where(foreground, rng.integers(1, high, shape), 0).astype(np.int16)
        for high in (500, 800, 3000, 400)
    )
    label = np.where(foreground, 4, 0).astype(np.uint8)
    label[4:6, 5:8, 2] = 1
    return CaseVolumes(images=images, label=label, brain=foreground, affine=LPS)


def write_case(folder: Path, name: str, seed: int = 0) -> Path:
    """Writes `volumes(seed)` as files; returns the case's folder."""
    made = volumes(seed)
    case = folder / name
    case.mkdir(parents=True, exist_ok=True)
    seg = np.where(made.label == 4, 0, made.label)
    for word, data in zip((*MODALITIES, "seg"), (*made.images, seg), strict=True):
        nib.save(nib.Nifti1Image(data, LPS), case / f"{name}_{word}.nii.gz")
    return case


def write_cases(folder: Path, count: int = 5) -> Path:
    """Writes cases p0, p1 … of seeds 0, 1 …"""
    for seed in range(count):
        write_case(folder, f"p{seed}", seed)
    return folder


def damage(case: Path) -> None:
    """Cuts the end off one of a case's files."""
    path = case / f"{case.name}_t2.nii.gz"
    path.write_bytes(path.read_bytes()[:-100])
