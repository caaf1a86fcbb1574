"""Writes sets of phantoms, in parallel and so that a stopped run can go on."""

from collections.abc import Sequence
import functools
from pathlib import Path

import numpy as np
from tqdm import tqdm

from jaxsyn import storage
from jaxsyn.data import workers
from jaxsyn.data.phantom import folder
from jaxsyn.data.phantom.patient import KINDS, Phantom, Settings
from jaxsyn.data.phantom.record import claim
from jaxsyn.data.phantom.template import load_template
from jaxsyn.errors import UsageError


def write_phantom(
    out_dir: str | Path,
    *,
    patients: int,
    seed: int,
    kind: str = "tumour",
    shape: tuple[int, int, int] = (240, 240, 155),
    spacing_mm: float | Sequence[float] = 1.0,
    jobs: int = 1,
) -> list[Path]:
    """Writes a set of phantom patients as a folder of BraTS or ISLES.

    A patient depends on the settings and the patient's number alone, not on how many
    there are: the same call with more patients adds to the set. `folder.py` shows
    the layouts.

    Args:
      out_dir: A new or empty folder, or one that the same settings began.
      patients: How many, from 1.
      seed: From 0.
      kind: "tumour" or "healthy" (BraTS 2021), "stroke-dwi" (ISLES 2022) or
        "stroke-ctp" (ISLES 2018, whose images are 256 x 256 and 2 to 18 slices).
      shape: Voxels of an image.
      spacing_mm: Size of a voxel, along all axes or each.
      jobs: Processes; 0 for one a core, 1 for none but this one.

    Returns:
      The patients' folders, in order.

    Raises:
      UsageError: An argument is out of range.
      DataError: `out_dir` holds something else.
      ResourceError: No room or no permission to write, or a process was killed.
    """
    spacing = (spacing_mm,) * 3 if np.isscalar(spacing_mm) else spacing_mm
    settings = Settings(
        seed=int(seed),
        kind=kind,
        shape=tuple(map(int, shape)),
        spacing_mm=tuple(map(float, spacing)),
    )
    if patients < 1 or jobs < 0:
        raise UsageError(f"{patients} patients by {jobs} jobs make no set of phantoms.")
    out_dir = Path(out_dir)
    claim(out_dir, settings)
    numbers = range(1, patients + 1)
    missing = [i for i in numbers if not _is_complete(out_dir, settings, i)]
    with tqdm(
        total=patients,
        initial=patients - len(missing),
        desc=f"Drawing {kind} phantoms",
        unit="patient",
    ) as bar:
        work = functools.partial(_write_one, out_dir, settings)
        for _ in workers.in_parallel(work, missing, jobs):
            bar.update()
    return [out_dir / folder.patient_folder(kind, i) for i in numbers]


def _is_complete(out_dir: Path, settings: Settings, index: int) -> bool:
    """Whether all files of a patient are there; each is whole or absent."""
    names = ("mask", *KINDS[settings.kind].modalities)
    return all(
        (out_dir / folder.file_of(settings.kind, index, n)).exists() for n in names
    )


def _write_one(out_dir: Path, settings: Settings, index: int) -> None:
    volumes = _phantom(settings).draw(index)
    with storage.writing(out_dir):
        folder.write_patient(out_dir, settings, index, volumes)


@functools.lru_cache(maxsize=1)
def _phantom(settings: Settings) -> Phantom:
    """Made once in each process: reading the template takes a second."""
    return Phantom(settings, load_template())
