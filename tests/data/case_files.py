"""Folders of tiny cases, for tests of what reads them."""

from pathlib import Path

import numpy as np

from jaxsyn.data import nifti

SHAPE = (6, 5, 4)
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
OLD = ("_t1", "_t1ce", "_t2", "_flair", "_seg")
NEW = ("-t1n", "-t1c", "-t2w", "-t2f", "-seg")


def brain(seed: int = 0) -> np.ndarray:
    """An image of 2·3·2 voxels of brain, 1 to 99, in zeros; int16."""
    image = np.zeros(SHAPE, np.int16)
    image[2:4, 1:4, 1:3] = np.random.default_rng(seed).integers(1, 100, (2, 3, 2))
    return image


def segmentation(enhancing: int = 4) -> np.ndarray:
    """A lesion in `brain`: one voxel of 1, 2 and of the enhancing tumour; uint8."""
    label = np.zeros(SHAPE, np.uint8)
    label[2, 1, 1], label[2, 2, 1], label[3, 2, 2] = 1, 2, enhancing
    return label


def write_brats(
    root: Path,
    name: str,
    *,
    suffixes: tuple[str, ...] = OLD,
    ending: str = ".nii.gz",
    enhancing: int = 4,
    seed: int = 0,
) -> Path:
    """Writes the five files of a case into `root`/`name`, which it returns."""
    folder = root / name
    folder.mkdir(parents=True)
    for index, suffix in enumerate(suffixes[:-1]):
        image = brain(10 * seed + index)
        nifti.write(folder / f"{name}{suffix}{ending}", image, LPS)
    path = folder / f"{name}{suffixes[-1]}{ending}"
    nifti.write(path, segmentation(enhancing), LPS)
    return folder
