"""The cases that are read, and the slices that steps are timed on."""

import logging
from pathlib import Path
import tempfile

import numpy as np

from jaxsyn.data import sources
from jaxsyn.data.cases import Case
from jaxsyn.data.phantom.write import write_phantom
from jaxsyn.data.preprocess import PrepareSettings, dequantise, prepare_case

SOURCE = "brats"


def folder(source_dir: str) -> Path:
    """The folder given, or a full-size phantom, written once."""
    if source_dir:
        return Path(source_dir)
    out_dir = Path(tempfile.gettempdir()) / "jaxsyn-benchmark-phantom"
    logging.info("No --source-dir: measuring on two phantoms in %s.", out_dir)
    write_phantom(out_dir, patients=2, seed=0, jobs=0)
    return out_dir


def usable_cases(source_dir: Path) -> list[Case]:
    """The cases of a folder."""
    found = sources.load(SOURCE).find_cases(source_dir)
    return [case for case in found if isinstance(case, Case)]


def batch(source_dir: Path, size: int, count: int, file: Path) -> None:
    """Writes `count` slices with much lesion, of several cases, to an .npz file.

    How fast a step is depends on its label maps, so they are those of whole brains.
    """
    settings = PrepareSettings(image_size=size, fit="resize")
    source, images, labels = sources.load(SOURCE), [], []
    chosen = usable_cases(source_dir)[:count]
    for i, case in enumerate(chosen):
        volumes = source.read_case(case)
        made = prepare_case(volumes, settings, case=case.name, patient=case.patient)
        share = len(range(i, count, len(chosen)))
        lesion = ((made.label > 0) & (made.label < made.label.max())).sum((1, 2))
        rows = np.sort(np.argsort(-lesion)[: 8 * share : 8])
        images.append(dequantise(made.image[rows]))
        labels.append(made.label[rows].astype(np.int32))
    np.savez(file, image=np.concatenate(images), label=np.concatenate(labels))
