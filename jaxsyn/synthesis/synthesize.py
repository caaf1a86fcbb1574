"""The synthesis job: label maps, filters, images, files.

It goes on where it was stopped: a case that is written is not made again. A case that
cannot be made is noted and left out; the others are made all the same.
"""

import collections
from collections.abc import Mapping
from concurrent import futures
import dataclasses
import logging
import os
from pathlib import Path
from typing import Any

from tqdm import tqdm

from jaxsyn import settings
from jaxsyn import workdir as workdir_lib
from jaxsyn.data import sources
from jaxsyn.data.feed import DataSettings
from jaxsyn.errors import DataError, UsageError
from jaxsyn.synthesis import export, masks, sheet
from jaxsyn.synthesis.cases import SyntheticCase
from jaxsyn.synthesis.fitting import check_fits
from jaxsyn.synthesis.generator import Generator
from jaxsyn.synthesis.masks import MaskSettings
from jaxsyn.synthesis.sieve import FilterSettings

_LOG = logging.getLogger(__name__)
_WRITERS = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """What is written.

    Attributes:
      format: `nifti`: label files hold indices of the label table; `brats`: they hold
        the data set's own values; `nnunet`: a raw data set, with the real cases.
      dataset: Of nnU-Net: "number" and "name".
    """

    format: str = "brats"
    dataset: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SynthesisConfig:
    """The parts of the job's configuration; configs/synthesize_brats.py explains them.

    Attributes:
      job: `synthesize`.
      data: The real data, prepared as for the trainings.
      cases: How many synthetic cases.
      seed: Which ones.
      generator: The workdir of a training that makes images of label maps; none if
        the generator of the label maps makes them too.
      masks: Fields of `masks.MaskSettings`.
      filters: Fields of `filters.FilterSettings`.
      export: Fields of `ExportSettings`.
    """

    job: str
    data: Mapping[str, Any]
    cases: int = 8
    seed: int = 0
    generator: str = ""
    masks: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    filters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    export: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def run(config: Any, workdir: Path) -> None:
    """Makes cases, writes them and says what became of each.

    Args:
      config: A `ConfigDict` as in configs/synthesize_brats.py.
      workdir: The export's folder.

    Raises:
      JaxsynError: One of its kinds, for all that a user can mend.
    """
    config = config.to_dict()
    job = settings.build(SynthesisConfig, config, "config")
    data = DataSettings.from_config(job.data)
    how = settings.build(MaskSettings, job.masks, "config.masks")
    chosen = settings.build(FilterSettings, job.filters, "config.filters")
    out = settings.build(ExportSettings, job.export, "config.export")
    export.check_new(workdir)
    prepared_dir = workdir.parent / "prepared"
    prepared = data.open(prepared_dir)
    layout = export.layout(out.format, workdir, prepared, out.dataset)
    source = how.build(prepared, job.seed, chosen, prepared_dir)
    renderer = _renderer(job, source, prepared)
    workdir_lib.claim(workdir, config, data=prepared.key)
    stripped = prepared.settings.get("foreground", "nonzero") == "nonzero"
    exporter = export.Exporter(workdir, layout, prepared.spec, stripped=stripped)
    _make_missing(job, source, renderer, exporter)
    made = [name for name, lineage in exporter.done.items() if "failed" not in lineage]
    if source.sieve:
        _show_rejected(source.sieve, prepared.spec, workdir)
    if not made:
        raise DataError(
            f"None of {job.cases} cases could be made.",
            hint=f"The reasons are in {workdir / 'lineage'}.",
        )
    folder = data.find_source_dir(prepared_dir)
    layout.finish(prepared, sources.load(data.source), folder, made)
    manifest = exporter.finish(_about(source, renderer, exporter))
    print(f"{len(made)} cases, {len(exporter.done) - len(made)} left out.")
    print(f"Volumes: {layout.root}\nSheets: {workdir / 'sheets'}\nLineage: {manifest}")


def _renderer(job, source, prepared) -> Generator | None:
    """Who makes images of label maps; none if they come with them."""
    paired = source.generator and source.generator.makes_images
    if bool(job.generator) == bool(paired):
        raise UsageError(
            f"config.generator is {job.generator!r}, and the label maps come"
            f" {'with' if paired else 'without'} images.",
            hint="Name the workdir of a training that makes images of label maps, or"
            " leave it out if config.masks.generator makes both.",
        )
    if paired:
        check_fits(source.generator, prepared)
        return None
    renderer = Generator.load(job.generator)
    check_fits(renderer, prepared)
    return renderer


def _make_missing(job, source, renderer, exporter):
    """Makes the cases that are not there yet; some are written while others are made.

    As many wait in memory as are written at a time.
    """
    missing = [
        number
        for number in range(job.cases)
        if masks.case_name(number) not in exporter.done
    ]
    progress = tqdm(
        total=job.cases, initial=job.cases - len(missing), desc="Cases", unit="case"
    )
    writers = min(_WRITERS, len(os.sched_getaffinity(0)))
    with progress, futures.ThreadPoolExecutor(writers) as pool:
        writing = collections.deque()
        for number in missing:
            try:
                case = _rendered(source.draw(number), renderer, job.seed, number)
            except DataError as error:
                name = masks.case_name(number)
                _LOG.warning("Left out %s: %s", name, error)
                exporter.record(name, {"failed": error.args[0], "patients": []})
            else:
                if len(writing) == writers:
                    writing.popleft().result()
                writing.append(pool.submit(exporter.write, case))
            progress.update()
        for last in writing:
            last.result()


def _rendered(case, renderer, seed, number) -> SyntheticCase:
    """A case with images, all of one draw of latents and noise."""
    if not renderer:
        return case
    seed = masks.seed_of(seed, number)
    image = renderer.generate(case.label, seed=seed, normalised=True, coherent=True)
    return dataclasses.replace(
        case, image=image, lineage={**case.lineage, "image_seed": seed}
    )


def _about(source, renderer, exporter):
    """What the manifest says beside the cases."""
    generators = {"labels": source.generator, "images": renderer}
    found = {
        what: {"sha256": generator.fingerprint, "trained_on": generator.trained_on}
        for what, generator in generators.items()
        if generator
    }
    behind = {name for g in found.values() for name in g["trained_on"]["names"]}
    for lineage in exporter.done.values():
        behind |= set(lineage["patients"])
    rejected = collections.Counter()
    for lineage in exporter.done.values():
        rejected.update(lineage.get("rejected", {}))
    return {
        "generators": found,
        "patients": sorted(behind),
        "rejected": dict(rejected),
    }


def _show_rejected(sieve, spec, workdir):
    """Says and shows what the filters rejected in this run."""
    print(sieve.report())
    if sieve.examples:
        path = sheet.save_rejected(sieve.examples, spec, workdir / "rejected.png")
        print(f"Examples: {path}")
