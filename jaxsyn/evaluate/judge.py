"""The experiment of the papers: does synthetic data help a U-Net on held-out patients?

Every row of the table is a mixture of training data: real cases with or without
augmentation, with synthetic ones, synthetic ones alone. For every row and seed, one
U-Net is trained, always for the same number of steps, and tested on the same patients.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from jaxsyn import settings, storage, systems
from jaxsyn import workdir as workdir_lib
from jaxsyn.data import splits
from jaxsyn.data.augment import PRESETS
from jaxsyn.data.blocks import Blocks
from jaxsyn.data.cache import Cache
from jaxsyn.data.feed import DataSettings, Feed
from jaxsyn.data.prepared import PreparedSet
from jaxsyn.data.preprocess import dequantise
from jaxsyn.engine.mesh import Layout
from jaxsyn.errors import DataError, UsageError
from jaxsyn.evaluate import synthetic, tables
from jaxsyn.evaluate.fit import Fit, Selection
from jaxsyn.evaluate.metric_settings import MetricSettings
from jaxsyn.evaluate.segmenter import Segmenter
from jaxsyn.losses.segmentation import balanced_weights
from jaxsyn.metrics.segmentation_table import Unit
from jaxsyn.synthesis.generator import Generator
from jaxsyn.train import TrainSettings

_LOG = logging.getLogger(__name__)
WEIGHTS = ("none", "balanced", "balanced_real")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """What the U-Nets of one row of the table are trained on.

    Attributes:
      name: Of the row.
      patients: How many training patients' real cases; -1 for all, 0 for none. Smaller
        sets are parts of larger ones.
      synthetic: Synthetic cases, as a multiple of the training cases there are.
      augment: One of `augment.PRESETS`, applied to both.
      start_from: A row above, whose weights are the start: fine-tuning.
    """

    name: str
    patients: int = -1
    synthetic: float = 0.0
    augment: str = "none"
    start_from: str = ""

    def __post_init__(self):
        if self.augment not in PRESETS:
            what = f"Row {self.name!r}: augment={self.augment!r}"
            raise settings.unknown(what, self.augment, list(PRESETS))
        if self.patients < -1 or self.synthetic < 0:
            raise UsageError(
                f"Row {self.name!r} has patients={self.patients} and"
                f" synthetic={self.synthetic}.",
                hint="patients is -1 for all, or 0 or more; synthetic is 0 or more.",
            )
        if not self.patients and not self.synthetic:
            raise UsageError(
                f"Row {self.name!r} has nothing to be trained on.",
                hint="Give it patients, or synthetic cases.",
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class JudgeConfig:
    """The parts of a judge's configuration; configs/judge_borde_brats.py explains them.

    Attributes:
      depth: Slices of a volume, for networks in 3D; 0 for slices.
      class_weights: Weights of the classes in the loss: `none`, or inversely to their
        frequency in what the row is trained on, or in its real part (`balanced_real`).
      paper: The paper's own table: values by row, region and metric.
    """

    job: str
    seeds: Sequence[int]
    data: Mapping[str, Any]
    system: Mapping[str, Any]
    optimizers: Mapping[str, Any]
    train: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    generator: str = ""
    synthetic: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    selection: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    metrics: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    depth: int = 0
    class_weights: str = "none"
    paper: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if self.class_weights not in WEIGHTS:
            what = f"config.class_weights={self.class_weights!r}"
            raise settings.unknown(what, self.class_weights, list(WEIGHTS))
        if self.data.get("augment"):
            raise UsageError(
                "config.data.augment is given, but each row has its own.",
                hint='Give rows an augment, e.g. "classical".',
            )
        if not self.seeds or not self.rows:
            raise UsageError(
                f"There are {len(self.seeds)} seeds and {len(self.rows)} rows.",
                hint="A table needs at least one of each.",
            )


def run(config: Any, workdir: Path) -> None:
    """Fills the table, or goes on where it stopped, and prints it.

    Args:
      config: A `ConfigDict` as in configs/judge_borde_brats.py.
      workdir: The table's folder.

    Raises:
      JaxsynError: One of its kinds, for all that a user can mend.
    """
    config = config.to_dict()
    judge = Judge.from_config(config, workdir)
    workdir_lib.claim(workdir, config)
    print(judge.run())


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Judge:
    """A table to be filled.

    Attributes:
      workdir: Its folder.
      parts: The configuration's parts; what is built of them follows.
      rows: The table's rows.
      data: Where the real cases are.
      training: How long each U-Net is trained.
      selection: Which of its weights are tested.
      rendering: How synthetic cases are made.
      metrics: What is measured.
    """

    workdir: Path
    parts: JudgeConfig
    rows: tuple[Row, ...]
    data: DataSettings
    training: TrainSettings
    selection: Selection
    rendering: synthetic.SyntheticSettings
    metrics: MetricSettings

    @classmethod
    def from_config(cls, config: Mapping[str, Any], workdir: Path) -> "Judge":
        """Reads a configuration: all that can be wrong with it is said here."""
        parts = settings.build(JudgeConfig, config, "config")
        systems.check(config["system"])
        rows = tuple(
            settings.build(Row, row, f"config.rows[{i}]")
            for i, row in enumerate(config["rows"])
        )
        _check_rows(rows, parts.generator)
        training = settings.build(TrainSettings, config["train"], "config.train")
        if training.epochs:
            raise UsageError(
                "config.train.epochs is given: rows with more slices would be trained"
                " longer.",
                hint="Give config.train.steps, the same for every row.",
            )
        Layout.over().check_batch_size(training.batch_size, training.accumulate)
        return cls(
            workdir=workdir,
            parts=parts,
            rows=rows,
            data=DataSettings.from_config(config["data"]),
            training=training,
            selection=settings.build(Selection, parts.selection, "config.selection"),
            rendering=settings.build(
                synthetic.SyntheticSettings, parts.synthetic, "config.synthetic"
            ),
            metrics=settings.build(MetricSettings, parts.metrics, "config.metrics"),
        )

    def run(self) -> str:
        """Trains and tests what is missing; returns the table in Markdown."""
        prepared = self.data.open(self.workdir.parent / "prepared")
        _check_parts(prepared, self.selection)
        measure = self.metrics.for_spec(prepared.spec)  # Unknown labels end it here.
        rendered = self._rendered(prepared)
        for seed in self.parts.seeds:
            for row in self.rows:
                self._fill(row, seed, prepared, rendered, measure)
        results = {
            row.name: [self._units(row, seed) for seed in self.parts.seeds]
            for row in self.rows
        }
        table = tables.Comparison.of(results, measure, self.parts.paper)
        table.save(self.workdir, self._about(prepared))
        return f"{table.format(self._about(prepared))}\n\nSaved in {self.workdir}"

    def cell(self, row: str, seed: int) -> Path:
        """The folder of one row's U-Net with one seed."""
        return self.workdir / "cells" / f"{row}-{seed}"

    def _fill(self, row, seed, prepared, rendered, measure):
        """Trains and tests one U-Net, unless that has been done."""
        folder = self.cell(row.name, seed)
        recipe = {
            "row": dataclasses.asdict(row),
            "seed": seed,
            "data": prepared.key,
            **{key: getattr(self.parts, key) for key in ("system", "optimizers")},
            "train": dataclasses.asdict(self.training),
            "selection": dataclasses.asdict(self.selection),
            "metrics": dataclasses.asdict(self.metrics),
            "depth": self.parts.depth,
            "class_weights": self.parts.class_weights,
        }
        workdir_lib.claim(folder, recipe, free=workdir_lib.CADENCE)
        if (folder / "result.json").exists():
            return
        slices = _training_slices(row, prepared, rendered)
        _LOG.info("Row %s, seed %d: %d slices.", row.name, seed, len(slices))
        fit = Fit(
            folder=folder,
            spec=prepared.spec,
            system=self._system(row, prepared, slices),
            optimizers=self.parts.optimizers,
            training=self.training,
            selection=self.selection,
            seed=seed,
            meta={
                "depth": self.parts.depth,
                "source": self.data.source,
                "prepare": prepared.settings,
                "metrics": dataclasses.asdict(self.metrics),
            },
        )
        layout = Layout.over()
        feed = Feed(
            Blocks(slices, self.parts.depth) if self.parts.depth else slices,
            prepared.spec,
            seed=seed,
            resides=self.data.cache == "device" and not self.parts.depth,
            augment=PRESETS[row.augment],
            replicated=layout.replicated,
        )
        tested = {}

        def test(segmenter: Segmenter, step: int) -> None:
            units = judged(segmenter, prepared, "test", measure)
            tested[step] = [unit.to_json() for unit in units]

        dice = self.metrics.validation(prepared.spec)
        fit.run(
            feed,
            score=lambda segmenter: _mean_dice(segmenter, prepared, dice),
            test=test,
            start_from=self.cell(row.start_from, seed) if row.start_from else None,
        )
        storage.write_json(folder / "result.json", {"tests": tested})

    def _rendered(self, prepared) -> Cache | None:
        """The synthetic cases of all rows."""
        copies = max(row.synthetic for row in self.rows)
        if not copies:
            return None
        generator = Generator.load(self.parts.generator)
        synthetic.check_fits(generator, prepared)
        synthetic.check_no_leak(generator, prepared)
        return synthetic.make(
            generator,
            prepared,
            self.rendering,
            int(np.ceil(copies)),
            self.workdir,
            whole_cases=bool(self.parts.depth),
        )

    def _system(self, row, prepared, slices):
        """The U-Net's options, with the weights of classes counted."""
        system = dict(self.parts.system)
        if self.parts.class_weights == "none":
            return system
        spec, labels = prepared.spec, slices.label
        if self.parts.class_weights == "balanced_real" and row.patients:
            labels = _training_slices(
                dataclasses.replace(row, synthetic=0.0), prepared, None
            ).label
        counts = np.bincount(labels.ravel(), minlength=len(spec.labels))
        of_class = np.zeros(len(spec.classes))
        np.add.at(of_class, np.array(spec.class_of_label), counts)
        weights = tuple(map(float, balanced_weights(of_class)))
        return {**system, "class_weights": weights}

    def _units(self, row, seed) -> list[list[Unit]]:
        """What was found of the test cases, for each tested step of one U-Net."""
        result = json.loads((self.cell(row.name, seed) / "result.json").read_text())
        return [[*map(Unit.from_json, units)] for units in result["tests"].values()]

    def _about(self, prepared) -> list[str]:
        """What the table's numbers depend on, in words."""
        test = {prepared.cases[case].patient for case, _ in prepared.cache("test").rows}
        lines = [
            f"{len(test)} test patients; {len(self.parts.seeds)} seeds;"
            f" {self.training.steps} steps of batch {self.training.batch_size} for"
            " every row; weights:"
            f" {self.selection.by}. Mean ± standard deviation over seeds of the mean"
            " over cases, on the prepared grid.",
        ]
        if prepared.split.unit == "slice":
            lines.append(
                "**Divided by slice: patients are in training and test. These numbers"
                " are too good.**"
            )
        return lines


def judged(
    segmenter: Segmenter, prepared: PreparedSet, part: str, measure: Any
) -> list[Unit]:
    """Segments the cases of a part and compares them with their label maps.

    Args:
      segmenter: Whose segmentation.
      prepared: The set.
      part: `validation` or `test`.
      measure: The `SegmentationMetrics`.

    Returns:
      Units for `measure.table`.
    """
    cache = prepared.cache(part)
    spec = prepared.spec
    known = np.array([spec.classes[place] for place in spec.class_of_label], np.uint8)
    rows: dict[str, list[int]] = {}
    for i, (case, _) in enumerate(cache.rows):
        rows.setdefault(case, []).append(i)
    units = []
    for case, places in rows.items():
        images = dequantise(np.asarray(cache.image[places]))
        # Where slices were left out, in between or around, both are background.
        index = np.array([cache.rows[i][1] for i in places])
        extent = (index.max() + 1, *images.shape[1:3])
        prediction, reference = (np.zeros(extent, np.uint8) for _ in range(2))
        prediction[index] = segmenter.segment(images)
        reference[index] = known[np.asarray(cache.label[places])]
        spacing = prepared.cases[case].spacing_mm
        units += measure.case(prediction, reference, spacing=spacing, name=case)
    return units


def _mean_dice(segmenter, prepared, dice):
    """The validation score: mean Dice of all regions and cases where it is defined."""
    values = [
        value
        for unit in judged(segmenter, prepared, "validation", dice)
        for region in unit.values.values()
        for value in region.values()
        if not np.isnan(value)
    ]
    return float(np.mean(values)) if values else 0.0


def _training_slices(row, prepared, rendered) -> Cache:
    """The real and synthetic slices of a row, one after the other."""
    chosen = []
    if row.patients:
        cache = prepared.cache("train")
        patients = [prepared.cases[case].patient for case, _ in cache.rows]
        # The same order for every seed: what differs is the training alone.
        order = splits.in_drawn_order(set(patients), "patients")
        kept = order if row.patients < 0 else order[: row.patients]
        if len(kept) < row.patients:
            raise DataError(
                f"Row {row.name!r} wants {row.patients} patients; the training part"
                f" has {len(order)}.",
                hint="Lower the row's patients, or train on a larger share.",
            )
        chosen.append((cache, [i for i, p in enumerate(patients) if p in set(kept)]))
    if row.synthetic:
        cases = list(dict.fromkeys(case for case, _ in rendered.rows))
        per_copy = len({case.split("_", 1)[1] for case in cases})
        kept = set(cases[: max(1, round(row.synthetic * per_copy))])
        chosen.append(
            (rendered, [i for i, (c, _) in enumerate(rendered.rows) if c in kept])
        )
    return Cache(
        image=np.concatenate([cache.image[places] for cache, places in chosen]),
        label=np.concatenate([cache.label[places] for cache, places in chosen]),
        rows=tuple(cache.rows[i] for cache, places in chosen for i in places),
    )


def _check_rows(rows, generator):
    names = [row.name for row in rows]
    if len(set(names)) < len(names):
        raise UsageError(
            f"Rows share a name: {', '.join(names)}.", hint="Rename one of them."
        )
    for i, row in enumerate(rows):
        if row.start_from and row.start_from not in names[:i]:
            raise UsageError(
                f"Row {row.name!r} starts from {row.start_from!r}, which is not above"
                " it.",
                hint=f"Above it are: {', '.join(names[:i]) or 'none'}.",
            )
        if row.synthetic and not generator:
            raise UsageError(
                f"Row {row.name!r} has synthetic cases, but no generator is given.",
                hint="Name the workdir of a training: --config.generator=WORKDIR",
            )


def _check_parts(prepared, selection):
    needed = ["train", "test"]
    if selection.by == "best" or selection.patience:
        needed.append("validation")
    for part in needed:
        if not prepared.counts.get(part):
            raise DataError(
                f"No patients are left for {part}: the set has"
                f" {len({info.patient for info in prepared.cases.values()})}.",
                hint="Give config.data.prepare.fractions a share for it, more cases, or"
                " config.selection.by=last.",
            )
