"""The judge's table: rows of training data against regions and metrics, and files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
import csv
import dataclasses
import io
import json
import math
from pathlib import Path
import statistics

from jaxsyn import storage
from jaxsyn.metrics.segmentation import SegmentationMetrics
from jaxsyn.metrics.segmentation_table import Cell, Table, Unit

# By row, by seed, then for each tested step: the units of all cases, or the loss.
Results = Mapping[str, Mapping[int, Sequence[Sequence[Unit]]]]
Losses = Mapping[str, Mapping[int, Sequence[float]]]
Paper = Mapping[str, Mapping[str, Mapping[str, float]]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """One row's metric of one region.

    Attributes:
      mean: Over seeds, of the means over cases; NaN if undefined throughout.
      sd: Standard deviation over seeds, with n - 1; NaN for one seed.
      n: Values in each seed's mean, the fewest.
      decided: Values a convention for empty masks set, the most of a seed.
      undefined: Values left out, the most of a seed.
    """

    mean: float
    sd: float
    n: int
    decided: int
    undefined: int

    def __str__(self) -> str:
        if math.isnan(self.mean):
            return "–"
        sd = "" if math.isnan(self.sd) else f" ± {self.sd:.3g}"
        fewer = f" (n = {self.n})" if self.undefined else ""
        return f"{self.mean:.4g}{sd}{fewer}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """All rows beside each other, and what the paper printed.

    Attributes:
      entries: By row, region and metric; a loss is of the region "", which is none.
      paper: The paper's values by row, region and metric.
      results: What they were made of.
      example: A table of one U-Net, for the conventions it states.
    """

    entries: Mapping[str, Mapping[str, Mapping[str, Entry]]]
    paper: Paper
    results: Results
    example: Table

    @classmethod
    def of(
        cls,
        results: Results,
        measure: SegmentationMetrics,
        paper: Paper,
        losses: Losses | None = None,
    ) -> "Comparison":
        """Summarises what was found of each row's U-Nets."""
        entries, table = {}, None
        for row, seeds in results.items():
            tables = [
                [measure.table(units) for units in steps] for steps in seeds.values()
            ]
            table = tables[0][0]
            entries[row] = {
                region: {
                    metric: _entry(
                        [[t.cells[region][metric] for t in steps] for steps in tables]
                    )
                    for metric in measure.metrics
                }
                for region in table.cells
            }
            if losses:
                looks = [map(_cell_of_loss, some) for some in losses[row].values()]
                entries[row][""] = {"loss": _entry([*map(list, looks)])}
        return cls(entries=entries, paper=paper, results=results, example=table)

    def format(self, about: Sequence[str] = ()) -> str:
        """The table in Markdown, `about` and the conventions below it."""
        columns = [
            (region, metric)
            for region, metrics in next(iter(self.entries.values())).items()
            for metric in metrics
        ]
        head = ["trained on", *(" ".join(column).strip() for column in columns)]
        lines = [_line(head), _line(["---"] * len(head))]
        for row, regions in self.entries.items():
            lines.append(_line([row, *(regions[r][m] for r, m in columns)]))
            if printed := self.paper.get(row):
                values = (printed.get(r, {}).get(m, "") for r, m in columns)
                lines.append(_line([f"*{row}, in the paper*", *values]))
        return "\n".join([*lines, "", *about, *self._conventions()])

    def save(self, folder: Path, about: Sequence[str] = ()) -> None:
        """Writes table.md, table and cases as .csv and .jsonl, and notes.json."""
        _write(folder / "table.md", f"{self.format(about)}\n")
        write_rows(folder, "table", self._summary_rows())
        write_rows(folder, "cases", self._case_rows())
        notes = [*about, *self._conventions()]
        _write(folder / "notes.json", json.dumps(notes, indent=1))

    def _conventions(self) -> list[str]:
        every = [
            entry
            for regions in self.entries.values()
            for metrics in regions.values()
            for entry in metrics.values()
        ]
        lines = [
            f"Reduction: {self.example.reduction}; {self.example.count} judged.",
            f"Empty masks: convention {self.example.convention!r}, which set up to"
            f" {max(e.decided for e in every)} values of an entry; up to"
            f" {max(e.undefined for e in every)} are undefined and left out.",
        ]
        return lines + [f"{k}: {v}." for k, v in self.example.settings.items()]

    def _summary_rows(self) -> Iterator[dict]:
        for row, regions in self.entries.items():
            for region, metrics in regions.items():
                for metric, entry in metrics.items():
                    printed = self.paper.get(row, {}).get(region, {}).get(metric)
                    yield {
                        "row": row,
                        "region": region,
                        "metric": metric,
                        **{k: _known(v) for k, v in dataclasses.asdict(entry).items()},
                        "seeds": len(self.results[row]),
                        "convention": self.example.convention,
                        "paper": printed,
                    }

    def _case_rows(self) -> Iterator[dict]:
        for row, seeds in self.results.items():
            for seed, steps in seeds.items():
                for look, units in enumerate(steps):
                    place = {"row": row, "seed": seed, "look": look}
                    yield from (place | found for found in unit_rows(units))


def unit_rows(units: Sequence[Unit]) -> Iterator[dict]:
    """One row a case, region and metric, for CSV and JSONL; None where undefined."""
    for unit in units:
        for region, metrics in unit.values.items():
            for metric, value in metrics.items():
                yield {
                    "case": unit.name,
                    "region": region,
                    "metric": metric,
                    "value": _known(value),
                    "by_convention": metric in unit.decided[region],
                }


def _entry(seeds: Sequence[Sequence[Cell]]) -> Entry:
    """Looks are averaged first, then seeds."""
    means = [_mean([cell.mean for cell in looks]) for looks in seeds]
    means = [mean for mean in means if not math.isnan(mean)]
    cells = [cell for looks in seeds for cell in looks]
    return Entry(
        mean=_mean(means),
        sd=statistics.stdev(means) if len(means) > 1 else math.nan,
        n=min(cell.n for cell in cells),
        decided=max(cell.decided for cell in cells),
        undefined=max(cell.undefined for cell in cells),
    )


def _cell_of_loss(loss):
    return Cell(mean=loss, sd=math.nan, n=1, decided=0, undefined=0)


def _mean(values):
    values = [value for value in values if not math.isnan(value)]
    return math.fsum(values) / len(values) if values else math.nan


def _known(value):
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _line(words):
    return f"| {' | '.join(map(str, words))} |"


def write_rows(folder: Path, name: str, rows: Iterable[Mapping]) -> None:
    """Writes rows of the same keys as NAME.csv and NAME.jsonl, each whole."""
    rows, text = list(rows), io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    _write(folder / f"{name}.csv", text.getvalue())
    _write(folder / f"{name}.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))


def _write(path, text):
    with storage.writing(path.parent), storage.whole_file(path) as file:
        file.write(text.encode())
