"""From a folder of cases to a prepared set, in parallel and resumable.

A set is named after the hash of everything that decides its content, and appears
under that name only when it is complete: a changed file or setting gives another
set, and a killed job leaves a `.partial` folder that the same call goes on with.
"""

import dataclasses
import functools
import hashlib
import json
import os
from pathlib import Path
import shutil
from typing import Literal

from absl import logging
import numpy as np
from tqdm import tqdm

from jaxsyn import integrity, storage
from jaxsyn.data import beam as beam_lib
from jaxsyn.data import splits, staging, steps, workers
from jaxsyn.data.cases import Problem
from jaxsyn.data.prepared import MANIFEST, PARTS, PreparedSet
from jaxsyn.data.preprocess import PrepareSettings
from jaxsyn.data.sources import Source
from jaxsyn.errors import DataError, UsageError
from jaxsyn.spec import DataSpec, IntensityMap

# Part of every key: raise it when the same sources and settings give other arrays.
FORMAT = 1


def prepare(
    source: Source,
    source_dir: str | Path,
    settings: PrepareSettings,
    *,
    out_dir: str | Path,
    jobs: int | None = None,
    beam: str = "",
    on_bad_case: Literal["error", "skip"] = "error",
) -> PreparedSet:
    """Prepares a set, or opens it if it has been prepared before.

    Args:
      source: The kind of folder; see `sources.load`.
      source_dir: The folder.
      settings: What to make of it.
      out_dir: Sets are put here, each in a folder of its own.
      jobs: Worker processes; by default one per available core. 1 uses none.
      beam: Instead, an Apache Beam runner with these options does the work, such as
        "--runner=DirectRunner"; its workers must reach both folders by these paths.
      on_bad_case: Whether to stop at a case that cannot be used, or to leave it out
        and write down why.

    Raises:
      DataError: A case cannot be used, or a patient is in two parts of the split.
      UsageError: The settings make no sense for the images.
      ResourceError: No space, no permission, or a worker was killed.
    """
    if on_bad_case not in ("error", "skip"):
        raise UsageError(
            f"Unknown on_bad_case {on_bad_case!r}.", hint="Known are: error, skip."
        )
    out_dir = Path(out_dir)
    work = _Work(
        source=source,
        source_dir=source_dir,
        settings=settings,
        jobs=jobs or len(os.sched_getaffinity(0)),
        beam=beam,
        skip_bad=on_bad_case == "skip",
    )
    with storage.writing(out_dir):
        out_dir.mkdir(parents=True, exist_ok=True)
        recipe = work.recipe(out_dir / "fingerprints.json")
        key = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
        path = out_dir / f"{source.name}-{key[:12]}"
        with storage.lock(out_dir / f".{path.name}.lock"):
            if not path.exists():
                partial = path.with_name(f"{path.name}.partial")
                work.make(partial, {"key": key, **recipe})
                partial.replace(path)
    prepared = PreparedSet.open(path)
    _tell(prepared, skip_bad=work.skip_bad)
    return prepared


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Work:
    """What is made a set of, how, and by whom."""

    source: Source
    source_dir: str | Path
    settings: PrepareSettings
    jobs: int
    beam: str
    skip_bad: bool

    @functools.cached_property
    def cases(self):
        return self.source.find_cases(self.source_dir)

    @functools.cached_property
    def contents(self):
        """Modalities and label table."""
        return self.source.describe(self.source_dir)

    def recipe(self, memo):
        """Everything that decides the set's content."""
        root = Path(self.source_dir).resolve()
        files = sorted({path.resolve() for case in self.cases for path in case.files})
        hashes = storage.fingerprints(files, memo=memo)
        chosen = dataclasses.asdict(self.settings)
        if self.settings.split_file:
            chosen["split_file"] = splits.Split.load(self.settings.split_file).sha256
        read = steps.files_of(steps.build(self.settings.steps))
        modalities, labels = self.contents
        return {
            "format": FORMAT,
            "source": self.source.name,
            "modalities": modalities,
            "labels": [[label.name, label.values] for label in labels],
            "settings": chosen,
            "read": [*storage.fingerprints(read, memo=memo).values()],
            "found": {case.name: _about(case, root) for case in self.cases},
            "files": {os.path.relpath(path, root): sha for path, sha in hashes.items()},
        }

    def make(self, folder, manifest):
        """Fills the folder of a set, from where the last attempt stopped."""
        folder.mkdir(exist_ok=True)
        staged = folder / "cases"
        if not (folder / MANIFEST).exists():
            read = self.source.read_case
            refused = staging.stage(
                self.cases,
                self.settings,
                staged,
                read=functools.partial(read, foreground=self.settings.foreground),
                spread=self._spread(staged),
                skip_bad=self.skip_bad,
            )
            used = sorted({case.name for case in self.cases} - set(refused))
            self._assemble(folder, used, manifest | {"refused": refused})
        if not integrity.has_manifest(folder):
            integrity.write(folder, PARTS, remember=True)
        shutil.rmtree(staged, ignore_errors=True)
        PreparedSet.open(folder).write_caches()

    def _spread(self, staged):
        if not self.beam:
            return functools.partial(workers.in_parallel, jobs=self.jobs)
        return functools.partial(beam_lib.in_parallel, folder=staged, options=self.beam)

    def _assemble(self, folder, used, manifest):
        """Writes split, records and, at the end, the manifest of staged cases."""
        if not used:
            raise DataError(
                f"None of {len(manifest['refused'])} cases can be used.",
                hint="The reasons are listed by: python -m jaxsyn.data.check DIR",
            )
        infos = [staging.staged_info(folder / "cases", case) for case in used]
        split = _split(infos, self.settings)
        rows = {part: _rows(infos, split, part) for part in splits.PARTS}
        modalities, labels = self.contents
        spec = DataSpec(
            image_size=self.settings.image_size,
            modalities=modalities,
            labels=labels,
            intensities=_typical_intensities(infos, rows["train"]),
        )
        _write_records(folder, rows, spec, self.beam)
        storage.write_json(folder / "split.json", split.to_json())
        counts = {part: sum(map(len, rows[part].values())) for part in splits.PARTS}
        result = {
            "spec": spec.to_json(),
            "counts": counts,
            "split_sha256": split.sha256,
            "cases": [info.to_json() for info in infos],
        }
        storage.write_json(folder / MANIFEST, manifest | result)


def _tell(prepared, *, skip_bad):
    """Says what a person should know of the set, or raises it."""
    for case, why in prepared.refused.items():
        if not skip_bad:
            raise staging.bad_case(case, why)
        logging.warning("Left out case %s: %s", case, why)
    if prepared.split.unit == "slice":
        logging.warning(
            'split="slice": slices of one patient are trained on and tested on; tests'
            " will look better than they would on new patients."
        )


def _about(case, root):
    """Whose a case is, and what it is made of."""
    if isinstance(case, Problem):
        return {"patient": case.patient}
    maps = {"label": case.label, "tissues": case.tissues, "mask": case.mask}
    return {
        "patient": case.patient,
        "files": [
            [role, os.path.relpath(file.path, root), file.channel]
            for role, file in (*case.images.items(), *maps.items())
            if file
        ],
    }


def _split(infos, settings):
    """The division of what was prepared."""
    if settings.split_file:
        split = splits.Split.load(settings.split_file)
    else:
        names = [name for info in infos for name in _names(info, settings.split)]
        split = splits.divide(
            names, settings.fractions, seed=settings.split_seed, unit=settings.split
        )
    splits.check_covers(
        split, [name for info in infos for name in _names(info, split.unit)]
    )
    return split


def _names(info, unit):
    """For each slice of a case, what the split knows it by."""
    if unit == "patient":
        return [info.patient] * len(info.kept)
    return [splits.slice_name(info.case, index) for index in info.kept]


def _rows(infos, split, part):
    """For each case that has any, its rows in one part."""
    part_of = split.part_of
    rows = {
        info.case: [
            row
            for row, name in enumerate(_names(info, split.unit))
            if part_of[name] == part
        ]
        for info in infos
    }
    return {case: found for case, found in rows.items() if found}


def _typical_intensities(infos, train_rows):
    """The median map of the training cases, for each modality."""
    train = [info for info in infos if info.case in train_rows] or infos
    return tuple(
        IntensityMap(
            low=float(np.median([m.low for m in maps])),
            high=float(np.median([m.high for m in maps])),
        )
        for maps in zip(*(info.intensities for info in train), strict=True)
    )


def _write_records(folder, rows, spec, beam):
    """Writes the data set from the staged cases."""
    from jaxsyn.data import builders  # Only here: TFDS takes long to import.

    shutil.rmtree(folder / "records", ignore_errors=True)
    shards = {
        part: [
            (staging.staged_file(folder / "cases", case), kept)
            for case, kept in cases.items()
        ]
        for part, cases in rows.items()
    }
    total = sum(map(len, shards.values()))
    with tqdm(total=total, desc="Writing records", unit="case") as bar:
        builders.write(
            folder / "records",
            shards,
            image_size=spec.image_size,
            channels=len(spec.modalities),
            on_case=None if beam else bar.update,
            beam=beam,
        )
