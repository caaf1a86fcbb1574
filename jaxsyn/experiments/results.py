"""What an experiment's cells found, read from the files that their jobs left."""

from collections.abc import Iterator, Mapping
import dataclasses
import functools
import json
import math
from pathlib import Path
import statistics
from typing import Any

import numpy as np

from jaxsyn.experiments.plan import Plan, folder_of, slug
from jaxsyn.experiments.settings import Arm, Experiment
from jaxsyn.metrics.statistics import Interval

Unit = tuple[str, str]  # A case and one of its regions.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Value:
    """An entry of the experiment's table.

    Attributes:
      mean: Over U-Nets (seeds and divisions), of the means over cases; NaN if
        undefined throughout.
      sd: Their standard deviation, with n - 1; NaN for fewer than two.
      count: Of U-Nets that gave a value.
      undefined: Cases left out for want of a value, the most of a U-Net.
    """

    mean: float
    sd: float
    count: int
    undefined: int


@dataclasses.dataclass(frozen=True, eq=False)
class ArmResults:
    """What the U-Nets of one arm were worth: those that are finished.

    Attributes:
      arm: Which.
      folders: Of the judge's cells, one a seed and division, and the seed of each.
    """

    arm: Arm
    folders: Mapping[Path, int]

    @functools.cached_property
    def values(self) -> dict[tuple[str, str], Value]:
        """By region and metric."""
        found: dict[tuple[str, str], list[dict]] = {}
        for folder in self.folders:
            for row in self._rows(folder / "table.jsonl"):
                found.setdefault((row["region"], row["metric"]), []).append(row)
        return {key: _value(rows) for key, rows in found.items()}

    def units(self, metric: str) -> dict[Unit, float]:
        """By case and region, the mean over U-Nets; NaN where none has a value."""
        found: dict[Unit, list[float]] = {}
        for folder in self.folders:
            for row in self._rows(folder / "cases.jsonl"):
                if row["metric"] == metric:
                    value = math.nan if row["value"] is None else row["value"]
                    found.setdefault((row["case"], row["region"]), []).append(value)
        return {unit: _mean(values) for unit, values in found.items()}

    @property
    def notes(self) -> list[str]:
        """What the numbers depend on, in the judge's words."""
        for folder in self.folders:
            return json.loads((folder / "notes.json").read_text())
        return []

    def curve(self, name: str) -> tuple[list[int], list[float]]:
        """Steps and values of the U-Nets' metric or score, the mean over all."""
        runs = [
            course(folder / "cells" / f"{slug(self.arm.name)}-{seed}", name)
            for folder, seed in self.folders.items()
        ]
        steps = sorted(set.intersection(*(set(run) for run in runs))) if runs else []
        return steps, [_mean([run[step] for run in runs]) for step in steps]

    def _rows(self, path) -> Iterator[dict]:
        name = slug(self.arm.name)
        for line in path.read_text().splitlines():
            row = json.loads(line)
            if row["row"] == name:
                yield row


def of_arms(
    experiment: Experiment, plan: Plan, finished: set[str], workdir: Path
) -> list[ArmResults]:
    """The results of all arms of which at least one cell is finished."""
    results = []
    for arm in experiment.run_arms:
        folders = {
            folder_of(workdir, cell): seed
            for cell, seed in plan.of_arm[arm.key].items()
            if cell in finished
        }
        if folders:
            results.append(ArmResults(arm, folders))
    return results


def quality_of(folder: Path) -> tuple[dict[str, float], list[str]]:
    """Each metric of a quality job, the mean over modalities, and its warnings."""
    found, warnings = {}, []
    for line in (folder / "quality.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["warning"]:
            warnings.append(f"{row['metric']}: {row['warning']}")
        # The mean over modalities, where there are several, comes after them.
        if row["value"] is not None:
            found[row["metric"]] = row["value"]
    return found, list(dict.fromkeys(warnings))


def verdict_of(folder: Path) -> dict[str, Any]:
    """What an audit came to, as `evaluate.audit` leaves it, with intervals."""
    found = json.loads((folder / "verdict.json").read_text())
    for name in ("flagged", "auc"):
        values = {k: math.nan if v is None else v for k, v in found[name].items()}
        found[name] = Interval(**values)
    return found


def course(folder: Path, name: str) -> dict[int, float]:
    """By step, a metric of a training.

    Of U-Nets also `score`, that on validation, and `loss`, the sum of its terms.
    """
    path = folder / ("validation.jsonl" if name == "score" else "metrics.jsonl")
    if not path.exists():
        return {}
    lines = map(json.loads, path.read_text().splitlines())
    if name == "loss":
        return {line["step"]: sum(_loss_terms(line)) for line in lines}
    return {line["step"]: line[name] for line in lines if line.get(name) is not None}


def _loss_terms(line):
    for key, value in line.items():
        if key.startswith("segmenter/") and not key.endswith("grad_norm"):
            yield value


def _value(rows):
    means = [row["mean"] for row in rows if row["mean"] is not None]
    return Value(
        mean=_mean(means),
        sd=statistics.stdev(means) if len(means) > 1 else math.nan,
        count=len(means),
        undefined=max(row["undefined"] for row in rows),
    )


def _mean(values):
    values = np.array(values, float)
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else math.nan
