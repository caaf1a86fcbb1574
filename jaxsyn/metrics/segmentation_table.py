"""What was found case by case, and the table made of it."""

from collections.abc import Mapping, Sequence
import dataclasses
import math
import statistics
from typing import Any

from jaxsyn.metrics.overlap import Counts

UNITS = {"relative_volume": "%", "hd": "mm", "hd95": "mm", "assd": "mm"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unit:
    """What enters a table as one: a case, or a slice of one.

    Attributes:
      name: The case's, and of a slice its number in brackets.
      values: Metrics by region, `{"WT": {"dice": 0.9}}`; NaN where undefined. Empty
        where counts are pooled first.
      decided: By region, the metrics whose values a convention for empty masks set.
      counts: Voxels right and wrong, by region.
    """

    name: str
    values: Mapping[str, Mapping[str, float]]
    decided: Mapping[str, Sequence[str]]
    counts: Mapping[str, Counts]

    def to_json(self) -> dict[str, Any]:
        """A dictionary that `json` can write; numbers that are not finite as text."""
        data = dataclasses.asdict(self)
        data["values"] = {
            region: {
                metric: value if math.isfinite(value) else str(value)
                for metric, value in metrics.items()
            }
            for region, metrics in self.values.items()
        }
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Unit":
        """Reads what `to_json` gave, after a trip through JSON."""
        return cls(
            name=data["name"],
            values={
                region: {metric: float(value) for metric, value in metrics.items()}
                for region, metrics in data["values"].items()
            },
            decided={region: tuple(names) for region, names in data["decided"].items()},
            counts={region: Counts(**n) for region, n in data["counts"].items()},
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """One metric of one region over all units.

    Attributes:
      mean: Of the values that are defined; NaN if there is none.
      sd: Their standard deviation, with n - 1; NaN unless there are two.
      n: How many values entered both.
      decided: How many values a convention for empty masks set, left out or not.
      undefined: How many were left out, being undefined.
    """

    mean: float
    sd: float
    n: int
    decided: int
    undefined: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """Means of all regions and metrics, and what they depend on.

    Attributes:
      cells: By region, then by metric.
      convention: The convention for empty masks.
      reduction: What one value is.
      count: How many cases or slices were judged.
      settings: Definitions of metrics that have several, by metric.
    """

    cells: Mapping[str, Mapping[str, Cell]]
    convention: str
    reduction: str
    count: int
    settings: Mapping[str, str]

    def format(self) -> str:
        """The table in Markdown, with all that its numbers depend on below it."""
        lines = [
            "| region | metric | mean ± sd | n | by convention | undefined |",
            "|---|---|---|---|---|---|",
        ]
        for region, row in self.cells.items():
            for metric, cell in row.items():
                unit = f", {UNITS[metric]}" if metric in UNITS else ""
                lines.append(
                    f"| {region} | {metric}{unit} | {_mean_and_sd(cell)} | {cell.n} |"
                    f" {cell.decided} | {cell.undefined} |"
                )
        notes = [
            f"Reduction: {self.reduction}; {self.count} judged.",
            f"Empty masks: convention {self.convention!r}; undefined values do not"
            " enter means.",
            *(f"{name}: {setting}." for name, setting in self.settings.items()),
        ]
        return "\n".join([*lines, "", " ".join(notes)])

    __str__ = format

    def to_json(self) -> dict[str, Any]:
        """A dictionary that `json` can write; None where a number is undefined."""
        data = dataclasses.asdict(self)
        for row in data["cells"].values():
            for cell in row.values():
                for key in ("mean", "sd"):
                    cell[key] = None if math.isnan(cell[key]) else cell[key]
        return data


def tabulate(units: Sequence[Unit], *, metrics: Sequence[str], **about: Any) -> Table:
    """Takes means over units; `about` is the rest of the table's attributes."""
    cells = {
        region: {metric: _cell(units, region, metric) for metric in metrics}
        for region in units[0].values
    }
    return Table(cells=cells, **about)


def _cell(units, region, metric):
    values = [unit.values[region][metric] for unit in units]
    defined = [value for value in values if not math.isnan(value)]
    spread = len(defined) > 1 and all(map(math.isfinite, defined))
    return Cell(
        mean=math.fsum(defined) / len(defined) if defined else math.nan,
        sd=statistics.stdev(defined) if spread else math.nan,
        n=len(defined),
        decided=sum(metric in unit.decided[region] for unit in units),
        undefined=len(values) - len(defined),
    )


def _mean_and_sd(cell):
    """In words: no mean of nothing, no spread of one."""
    if math.isnan(cell.mean):
        return "–"
    sd = "" if math.isnan(cell.sd) else f" ± {cell.sd:.4g}"
    return f"{cell.mean:.4g}{sd}"
