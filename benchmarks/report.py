"""Stopwatch and tables."""

from collections.abc import Callable, Sequence
import dataclasses
import os
from pathlib import Path
import platform
import statistics
import time
from typing import Any


@dataclasses.dataclass(frozen=True)
class Table:
    """What one benchmark found.

    Attributes:
      title: What was measured.
      columns: Names, with units.
      rows: Values; None is printed as a dash.
      notes: How it was measured, and what was aimed at.
      details: What the rows were made of, for JSON alone.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    notes: str = ""
    details: Sequence[Any] = ()

    def __str__(self) -> str:
        cells = [list(self.columns), ["---"] * len(self.columns)]
        cells += [[_text(value) for value in row] for row in self.rows]
        lines = ["| " + " | ".join(row) + " |" for row in cells]
        return "\n".join([f"### {self.title}", "", *lines, "", self.notes, ""])

    def to_json(self) -> dict[str, Any]:
        """A dictionary that `json` can write."""
        return dataclasses.asdict(self)


def seconds(function: Callable[[], Any], repeats: int) -> list[float]:
    """Runs a function several times; returns what each run took."""
    took = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        took.append(time.perf_counter() - start)
    return took


def median_and_best(took: Sequence[float]) -> tuple[float, float]:
    """Two views of the same runs: the usual one, and the least disturbed one."""
    return statistics.median(took), min(took)


def machine() -> str:
    """What all of it ran on, in a line."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    model = names[0] if names else platform.processor()
    return (
        f"{cores} cores of {model}; Python {platform.python_version()};"
        f" load average {load:.1f} at the start."
    )


def _text(value):
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return str(value)
