"""A trained U-Net on NIfTI cases: label volumes on their grids, and rows per case."""

from collections.abc import Mapping
import dataclasses
import logging
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from jaxsyn import settings
from jaxsyn import workdir as workdir_lib
from jaxsyn.data import nifti, preprocess, sources
from jaxsyn.data.cases import CaseVolumes
from jaxsyn.data.preprocess import PrepareSettings, dequantise
from jaxsyn.errors import DataError, UsageError
from jaxsyn.evaluate import scoring, tables
from jaxsyn.evaluate.metric_settings import MetricSettings
from jaxsyn.evaluate.segmenter import Segmenter
from jaxsyn.evaluate.tables import unit_rows
from jaxsyn.spec import encode_labels

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentConfig:
    """What is segmented by whom.

    Attributes:
      job: `segment`.
      segmenter: A cell's folder, in the `cells` of a judge's workdir.
      source_dir: The cases, of the data set the U-Net was trained on or of one with
        the same modalities; with or without segmentations.
      source: A module of `jaxsyn.data.sources`; empty: the training's.
      on_bad_case: `error`, or `skip` to go on after a case that cannot be used.
      metrics: What is measured where cases have segmentations; see `MetricSettings`.
        Nothing given: as in the training.
    """

    job: str
    segmenter: str
    source_dir: str
    source: str = ""
    on_bad_case: str = "error"
    metrics: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def run(config: Any, workdir: Path) -> None:
    """Segments every case of a folder into `workdir`; what is there is kept.

    Writes CASE.nii.gz for each case, with the case's affine and the label values of
    its data set, and cases.csv and cases.jsonl for cases with a reference.

    Args:
      config: A `ConfigDict` as in configs/segment.py.
      workdir: Where to.

    Raises:
      JaxsynError: One of its kinds, for all that a user can mend.
    """
    config = config.to_dict()
    job = settings.build(SegmentConfig, config, "config")
    if not job.segmenter:
        raise UsageError(
            "No config.segmenter is given.",
            hint="Name a folder in the cells of a judge's workdir, such as"
            " JUDGE/cells/real-0.",
        )
    segmenter = Segmenter.load(job.segmenter)
    source = sources.load(job.source or segmenter.meta["source"])
    _check_source(source, job.source_dir, segmenter.spec)
    chosen = job.metrics or segmenter.meta["metrics"]
    metrics = settings.build(MetricSettings, chosen, "config.metrics")
    measure = metrics.for_spec(segmenter.spec)
    cases = source.find_cases(job.source_dir, labelled=False)
    workdir_lib.claim(workdir, config)
    units = []
    for case in tqdm(cases, desc="Segmenting", unit="case"):
        try:
            found = _segment_case(case, source, segmenter, measure, workdir)
        except DataError as error:
            if job.on_bad_case != "skip":
                raise
            _LOG.warning("Left out case %s: %s", case.name, error)
            continue
        units += found
        tables.write_rows(workdir, "cases", unit_rows(units))
    if units:
        print(measure.table(units))
    print(f"{len(cases)} cases; label maps are in {workdir}")


def segment_volumes(segmenter: Segmenter, volumes: CaseVolumes) -> np.ndarray:
    """Segments a case on its own voxel grid.

    Args:
      segmenter: Whose training decides how the case is prepared.
      volumes: The case; a segmentation in it plays no part.

    Returns:
      uint8 [X, Y, Z], indices into `segmenter.spec.labels`.

    Raises:
      DataError: The case cannot be prepared as the training set was.
    """
    options = settings.build(PrepareSettings, segmenter.meta["prepare"], "prepare")
    prepared = preprocess.prepare_case(
        # In the training set the lesion counts as brain. Here it must not be known.
        dataclasses.replace(volumes, label=np.zeros_like(volumes.label)),
        dataclasses.replace(options, min_foreground=0.0),
        case="",
        patient="",
    )
    slices = segmenter.segment(dequantise(prepared.image))
    return prepared.info.volume(slices, "nearest")


def _segment_case(case, source, segmenter, measure, workdir):
    """Writes one case's label map; returns what was found of it."""
    foreground = segmenter.meta["prepare"].get("foreground", "nonzero")
    volumes = source.read_case(case, foreground)
    table, path = case.label_tables[0], workdir / f"{case.name}.nii.gz"
    if path.exists():
        written = nifti.read(path).data
        prediction = encode_labels(written, table, str(path))
    else:
        prediction = segment_volumes(segmenter, volumes)
        values = nifti.as_labels([(*label.values, 0)[0] for label in table])
        nifti.write(path, values[prediction], volumes.affine)
    if not case.label:
        return ()
    known = scoring.segmentable(segmenter.spec)
    spacing = np.linalg.norm(volumes.affine[:3, :3], axis=0)
    return measure.case(
        prediction, known[volumes.label], spacing=tuple(spacing), name=case.name
    )


def _check_source(source, source_dir, spec):
    modalities, labels = source.describe(source_dir)
    ours = tuple(modalities), tuple(label.name for label in labels)
    theirs = spec.modalities, spec.label_names
    if ours != theirs:
        raise UsageError(
            f"The U-Net was trained on {', '.join(theirs[0])} with the labels"
            f" {', '.join(theirs[1])}; {source.name} has {', '.join(ours[0])} with"
            f" {', '.join(ours[1])}.",
            hint="Segment cases of the data set it was trained on.",
        )
