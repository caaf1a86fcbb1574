"""The experiment of the papers: does synthetic data help a U-Net on held-out patients?

Every row of the table is a mixture of training data: real cases with or without
augmentation, with synthetic ones, synthetic ones alone. For every row and seed, one
U-Net is trained, always for the same number of steps, and tested on the same patients.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import json
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np

from jaxsyn import settings, storage, systems
from jaxsyn import workdir as workdir_lib
from jaxsyn.data.augment import PRESETS
from jaxsyn.data.blocks import Blocks
from jaxsyn.data.cache import Cache
from jaxsyn.data.feed import DataSettings, Feed
from jaxsyn.engine.mesh import Layout
from jaxsyn.errors import DataError, UsageError
from jaxsyn.evaluate import rows as rows_lib
from jaxsyn.evaluate import scoring, synthetic, tables
from jaxsyn.evaluate.fit import Fit, Selection
from jaxsyn.evaluate.metric_settings import MetricSettings
from jaxsyn.evaluate.segmenter import Segmenter
from jaxsyn.losses.segmentation import balanced_weights
from jaxsyn.metrics.segmentation_table import Unit
from jaxsyn.synthesis.export import check_lineages
from jaxsyn.synthesis.fitting import check_fits, check_no_leak, tested_patients
from jaxsyn.synthesis.generator import Generator
from jaxsyn.train import TrainSettings

_LOG = logging.getLogger(__name__)
WEIGHTS = ("none", "balanced", "balanced_real")


@dataclasses.dataclass(frozen=True, kw_only=True)
class JudgeConfig:
    """The parts of a judge's configuration; configs/judge_borde_brats.py explains them.

    Attributes:
      depth: Slices of a volume, for networks in 3D; 0 for slices.
      class_weights: Weights of the classes in the loss: `none`, or inversely to their
        frequency in what the row is trained on, or in its real part (`balanced_real`).
      merge: Classes of several labels, segmented and judged as one; see
        `DataSpec.merge`.
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
    merge: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
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
    rows: tuple[rows_lib.Row, ...]
    data: DataSettings
    training: TrainSettings
    selection: Selection
    rendering: synthetic.SyntheticSettings
    metrics: MetricSettings

    @classmethod
    def from_config(cls, config: Mapping[str, Any], workdir: Path) -> "Judge":
        """Reads a configuration: all that can be wrong with it is said here."""
        parts = settings.build(JudgeConfig, config, "config")
        systems.check(config["system"], config.get("depth", 0))
        rows = tuple(
            settings.build(rows_lib.Row, row, f"config.rows[{i}]")
            for i, row in enumerate(config["rows"])
        )
        rendering = settings.build(
            synthetic.SyntheticSettings, parts.synthetic, "config.synthetic"
        )
        if parts.generator and rendering.export:
            raise UsageError(
                "Both config.generator and config.synthetic.export are given.",
                hint="Synthetic cases come from one of them.",
            )
        rows_lib.check(rows, parts.generator or rendering.export)
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
            rendering=rendering,
            metrics=settings.build(MetricSettings, parts.metrics, "config.metrics"),
        )

    def run(self) -> str:
        """Trains and tests what is missing; returns the table in Markdown."""
        prepared = self.data.open(self._prepared_dir)
        _check_parts(prepared, self.selection)
        # Unknown labels end it here.
        measure = self.metrics.for_spec(self._spec(prepared))
        rendered, origin = self._synthetic(prepared)
        for row in self.rows:  # Too few cases are told of before hours of training.
            rows_lib.places(row, prepared, rendered)
        for seed in self.parts.seeds:
            for row in self.rows:
                recipe = self._recipe(row, seed, prepared, origin)
                folder = self.cell(row.name, seed)
                free = workdir_lib.CADENCE
                workdir_lib.claim(folder, recipe, free=free, data=prepared.key)
                if not (folder / "result.json").exists():
                    self._fill(row, seed, prepared, rendered, measure)
        results = {
            row.name: {seed: self._units(row, seed) for seed in self.parts.seeds}
            for row in self.rows
        }
        losses = {
            row.name: {seed: self._losses(row, seed) for seed in self.parts.seeds}
            for row in self.rows
            if self.metrics.loss
        }
        table = tables.Comparison.of(results, measure, self.parts.paper, losses)
        table.save(self.workdir, self._about(prepared))
        return f"{table.format(self._about(prepared))}\n\nSaved in {self.workdir}"

    @property
    def _prepared_dir(self) -> Path:
        return self.workdir.parent / "prepared"

    def cell(self, row: str, seed: int) -> Path:
        """The folder of one row's U-Net with one seed."""
        return self.workdir / "cells" / f"{row}-{seed}"

    def _synthetic(self, prepared) -> tuple[list[Cache], str]:
        """The synthetic cases of all rows, if any has some, and what they depend on."""
        if not any(row.has_synthetic for row in self.rows):
            return [], ""
        if self.rendering.export:
            folder = Path(self.rendering.export)
            check_lineages(folder, tested_patients(prepared))
            made = synthetic.of_export(folder, self.data, self._prepared_dir)
            return [made.cache("train")], made.key
        generator = Generator.load(self.parts.generator)
        check_fits(generator, prepared)
        check_no_leak(generator, prepared)
        real = len({case for case, _ in prepared.cache("train").rows})
        most = max(row.count_synthetic(real) for row in self.rows)
        rendered = synthetic.make(
            generator,
            prepared,
            self.rendering,
            math.ceil(most / real),
            Path(self.rendering.dir or self.workdir),
            whole_cases=bool(self.parts.depth),
        )
        return rendered, generator.fingerprint

    def _recipe(self, row, seed, prepared, origin):
        """Everything that decides what comes of one U-Net."""
        recipe = {
            "row": dataclasses.asdict(row),
            "seed": seed,
            "data": prepared.key,
            **{key: getattr(self.parts, key) for key in ("system", "optimizers")},
            "train": dataclasses.asdict(self._training(row)),
            "selection": dataclasses.asdict(self.selection),
            "metrics": dataclasses.asdict(self.metrics),
            "depth": self.parts.depth,
            "class_weights": self.parts.class_weights,
            "merge": self.parts.merge,
        }
        if row.has_synthetic:
            recipe["generator"] = origin
            rendering = dataclasses.asdict(self.rendering)
            recipe["rendering"] = {**rendering, "dir": ""}  # Where, not what.
        return recipe

    def _fill(self, row, seed, prepared, rendered, measure):
        """Trains and tests one U-Net."""
        folder, spec = self.cell(row.name, seed), self._spec(prepared)
        slices = rows_lib.training_slices(row, prepared, rendered)
        _LOG.info("Row %s, seed %d: %d slices.", row.name, seed, len(slices))
        fit = Fit(
            folder=folder,
            spec=spec,
            system=self._system(row, prepared, slices),
            optimizers=self.parts.optimizers,
            training=self._training(row),
            selection=self.selection,
            seed=seed,
            meta={
                "depth": self.parts.depth,
                "source": self.data.source,
                "prepare": prepared.settings,
                "metrics": dataclasses.asdict(self.metrics),
            },
        )

        def test(segmenter: Segmenter, step: int) -> None:
            units = scoring.judged(segmenter, prepared, "test", measure)
            with storage.writing(folder):
                (folder / "tests").mkdir(exist_ok=True)
                if self.metrics.loss:
                    batch_size = self.training.batch_size
                    loss = scoring.mean_loss(segmenter, prepared, batch_size)
                    storage.write_json(_loss(folder, step), loss)
                storage.write_json(_test(folder, step), [u.to_json() for u in units])

        def score(segmenter: Segmenter) -> float:
            dice = self.metrics.validation(spec)
            return scoring.mean_dice(segmenter, prepared, dice)

        tested = fit.run(
            self._feed(row, seed, prepared, slices),
            score=score if prepared.counts.get("validation") else None,
            test=test,
            start_from=self.cell(row.start_from, seed) if row.start_from else None,
        )
        result = {"tested_steps": tested}
        if self.metrics.loss:
            result["losses"] = {
                step: json.loads(_loss(folder, step).read_text()) for step in tested
            }
        storage.write_json(folder / "result.json", result)
        fit.clean_up()

    def _spec(self, prepared):
        """What U-Nets are told of the labels."""
        return prepared.spec.merge(self.parts.merge)

    def _training(self, row):
        """How long one row's U-Nets are trained."""
        return dataclasses.replace(
            self.training, steps=row.steps or self.training.steps
        )

    def _feed(self, row, seed, prepared, slices):
        depth = self.parts.depth
        return Feed(
            Blocks(slices, depth) if depth else slices,
            prepared.spec,
            seed=seed,
            resides=self.data.cache == "device" and not depth,
            augment=PRESETS[row.augment],
            replicated=Layout.over().replicated,
        )

    def _system(self, row, prepared, slices):
        """The U-Net's options, with the weights of classes counted."""
        system = dict(self.parts.system)
        if self.parts.class_weights == "none":
            return system
        spec, labels = self._spec(prepared), slices.label
        if self.parts.class_weights == "balanced_real" and row.patients:
            labels = rows_lib.training_slices(
                dataclasses.replace(row, synthetic=0.0, synthetic_cases=0), prepared, ()
            ).label
        counts = np.bincount(labels.ravel(), minlength=len(spec.labels))
        of_class = np.zeros(len(spec.classes))
        np.add.at(of_class, np.array(spec.class_of_label), counts)
        weights = tuple(map(float, balanced_weights(of_class)))
        return {**system, "class_weights": weights}

    def _units(self, row, seed) -> list[list[Unit]]:
        """What was found of the test cases, for each tested step of one U-Net."""
        folder = self.cell(row.name, seed)
        result = json.loads((folder / "result.json").read_text())
        return [
            [*map(Unit.from_json, json.loads(_test(folder, step).read_text()))]
            for step in result["tested_steps"]
        ]

    def _losses(self, row, seed) -> list[float]:
        """The test loss at each tested step of one U-Net."""
        result = json.loads((self.cell(row.name, seed) / "result.json").read_text())
        return [*result["losses"].values()]

    def _about(self, prepared) -> list[str]:
        """What the table's numbers depend on, in words."""
        test = tested_patients(prepared)
        own = "".join(f", {row.steps} for {row.name}" for row in self.rows if row.steps)
        seeds = len(self.parts.seeds)
        lines = [
            f"{len(test)} test patients; {seeds} seed{'s' * (seeds > 1)};"
            f" {self.training.steps} steps of batch {self.training.batch_size} for"
            f" every row{own}; weights:"
            f" {self.selection.by}. Mean ± standard deviation over seeds of the mean"
            " over cases, on the prepared grid.",
        ]
        if prepared.split.unit == "slice":
            lines.append(
                "**Divided by slice: patients are in training and test. These numbers"
                " are too good.**"
            )
        return lines


def _test(folder, step):
    """Where the units of one tested step are."""
    return folder / "tests" / f"{step}.json"


def _loss(folder, step):
    """Where the loss of one tested step is."""
    return folder / "tests" / f"{step}-loss.json"


def _check_parts(prepared, selection):
    chosen = selection.by == "best" or selection.patience
    needed = ("train", "test", *(["validation"] if chosen else []))
    for part in needed:
        if not prepared.counts.get(part):
            raise DataError(
                f"No patients are left for {part}: the set has"
                f" {len({info.patient for info in prepared.cases.values()})}.",
                hint="Give config.data.prepare.fractions a share for it, more cases, or"
                " config.selection.by=last.",
            )
