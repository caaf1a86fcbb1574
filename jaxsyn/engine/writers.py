"""Where measured scalars go: metrics.jsonl always, TensorBoard where it is there."""

from collections.abc import Mapping
import json
import logging
import math
from pathlib import Path

import numpy as np

from jaxsyn import storage
from jaxsyn.engine import processes

_LOG = logging.getLogger(__name__)


class JsonlWriter:
    """Writes scalars as one JSON object a line, `step` first.

    It has the methods of `clu.metric_writers.MetricWriter` that a run calls, but
    does not derive from it: importing CLU's writers imports TensorFlow.

    A run that goes on from a checkpoint drops the lines of later steps, which it
    is about to measure again.
    """

    def __init__(self, path: Path, *, resume_step: int = 0):
        """Opens `path`, keeping the lines up to and including `resume_step`."""
        kept = _lines_until(path, resume_step) if path.exists() else []
        with storage.writing(path.parent), storage.whole_file(path) as file:
            file.write("".join(kept).encode())
        self._file = path.open("a")

    def write_scalars(self, step: int, scalars: Mapping[str, float]):
        """Appends one line; a value that is not finite is written as a string."""
        row = {"step": int(step)}
        for name, value in scalars.items():
            number = float(np.asarray(value))
            row[name] = number if math.isfinite(number) else str(number)
        self._file.write(json.dumps(row) + "\n")

    def write_images(self, step: int, images: Mapping[str, np.ndarray]):
        """Does nothing: pictures are files beside this one."""

    def flush(self):
        """Hands what was written to the operating system."""
        self._file.flush()

    def close(self):
        """Closes the file."""
        self._file.close()


class Silent:
    """Writes nothing: the writer of all processes but the first."""

    def write_scalars(self, step: int, scalars: Mapping[str, float]):
        """Does nothing."""

    def write_images(self, step: int, images: Mapping[str, np.ndarray]):
        """Does nothing."""

    def flush(self):
        """Does nothing."""

    def close(self):
        """Does nothing."""


def create(workdir: Path, *, resume_step: int = 0):
    """The writer of a run: `write_scalars`, `write_images`, `flush`, `close`.

    Of several processes, the first one's writes and the others' are silent.

    Args:
      workdir: The run's folder.
      resume_step: The step the run goes on from; lines of later steps are dropped.
    """
    if not processes.is_first():
        return Silent()
    jsonl = JsonlWriter(workdir / "metrics.jsonl", resume_step=resume_step)
    try:
        from clu import metric_writers  # Imports TensorFlow.
    except ImportError:
        _LOG.info("TensorFlow is not installed: no TensorBoard events.")
        return jsonl
    tensorboard = metric_writers.SummaryWriter(str(workdir / "tensorboard"))
    return metric_writers.MultiWriter([jsonl, tensorboard])


def _lines_until(path: Path, step: int) -> list[str]:
    """Whole lines of `path` whose step is at most `step`."""
    kept = []
    for line in path.read_text().splitlines(keepends=True):
        try:
            within = json.loads(line)["step"] <= step
        except (ValueError, KeyError):
            continue  # A line that a crash cut short.
        if within and line.endswith("\n"):
            kept.append(line)
    return kept
