"""The cases that are read, and the slices that steps are timed on."""

from collections.abc import Iterator
import json
import logging
from pathlib import Path
import tempfile

import numpy as np

from jaxsyn.data import cache, sources
from jaxsyn.data.cases import Case
from jaxsyn.data.phantom.write import write_phantom
from jaxsyn.data.preprocess import PreparedCase, PrepareSettings, prepare_case
from jaxsyn.spec import DataSpec

SOURCE = "brats"
SOURCES = (SOURCE, "brats_tumour", "brats_whole", "brats_tissues")  # The same images.
MOST_CASES = 4


def folder(source_dir: str) -> Path:
    """The folder given, or a full-size phantom, written once."""
    if source_dir:
        return Path(source_dir)
    out_dir = Path(tempfile.gettempdir()) / "jaxsyn-benchmark-phantom"
    logging.info("No --source-dir: measuring on two phantoms in %s.", out_dir)
    write_phantom(out_dir, patients=2, seed=0, jobs=0)
    return out_dir


def usable_cases(source_dir: Path, source: str = SOURCE) -> list[Case]:
    """The cases of a folder."""
    found = sources.load(source).find_cases(source_dir)
    return [case for case in found if isinstance(case, Case)]


def write(
    source_dir: Path,
    size: int,
    count: int,
    depth: int,
    out_dir: Path,
    source: str = SOURCE,
) -> None:
    """Writes slices with much lesion, of several cases, as a training's cache.

    How fast a step is depends on its label maps, so they are those of whole brains.

    Args:
      source_dir: A BraTS folder.
      size: Side of the slices, in pixels.
      count: How many there are at least; not for volumes.
      depth: Slices of a volume; slices then follow one another. 0: slices alone.
      out_dir: Where "slices", a `Cache`, and "spec.json" are put.
      source: Of `jaxsyn.data.sources`: which labels the cases have.
    """
    settings = PrepareSettings(image_size=size, fit="resize")
    reader, examples = sources.load(source), []
    cases = usable_cases(source_dir, source)[: min(count, MOST_CASES)]
    for case in cases:
        volumes = reader.read_case(case)
        made = prepare_case(volumes, settings, case=case.name, patient=case.patient)
        wanted = 2 * depth or -(-count // len(cases))
        examples += _examples(case.name, made, wanted, apart=1 if depth else 8)
    spec = spec_of(made, source_dir, size, source)
    cache.write(
        out_dir / "slices",
        iter(examples),
        count=len(examples),
        image_size=size,
        channels=len(spec.modalities),
    )
    (out_dir / "spec.json").write_text(json.dumps(spec.to_json()))


def spec_of(
    made: PreparedCase, source_dir: Path, size: int, source: str = SOURCE
) -> DataSpec:
    """What slices of a prepared case mean."""
    modalities, labels = sources.load(source).describe(source_dir)
    return DataSpec(
        image_size=size,
        modalities=modalities,
        labels=labels,
        intensities=made.info.intensities,
    )


def _examples(name: str, made: PreparedCase, count: int, apart: int) -> Iterator[dict]:
    """Those with the most lesion, every so many of them; or the block around it."""
    lesion = ((made.label > 0) & (made.label < made.label.max())).sum((1, 2))
    if apart > 1:
        rows = np.sort(np.argsort(-lesion)[: apart * count : apart])
    else:
        first = np.clip(lesion.argmax() - count // 2, 0, max(len(lesion) - count, 0))
        rows = np.arange(len(lesion))[first : first + count]
    for row in rows:
        yield {
            "image": made.image[row],
            "label": made.label[row],
            "case": name.encode(),
            "slice": int(row),
        }
