"""A process that is timed by another, a few steps at a time.

Two implementations are compared by keeping each in a process of its own and letting
them take turns, so that both meet the same machine. The worker loads, compiles, says
so, and then runs as many steps as each line of its input asks for. Both sides speak
one JSON object a line. Nothing here needs more than Python's own library, so that a
worker can live in another environment.
"""

from collections.abc import Callable, Mapping
import dataclasses
import json
import resource
import subprocess
import sys
import time
from typing import Any

CYCLE = 16  # Steps after which every lazy phase has been due as often as it should.

Timing = tuple[float, float]  # Seconds by clock, and of processor.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Work:
    """What a worker does.

    Attributes:
      step: Runs one step, or several, to their end.
      facts: What is reported once, before the first turn.
      at_once: How many steps a call of `step` makes; times are of one.
      found: What is known only after a turn, e.g. "peak_mib" where that is not the
        process's resident memory.
    """

    step: Callable[[], Any]
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    at_once: int = 1
    found: Callable[[], Mapping[str, Any]] = dict


def serve(make_work: Callable[[], Work]) -> None:
    """Runs a worker's side until its input ends.

    Args:
      make_work: Builds everything. It and the first step are timed together as
        `first_step_s`: that is where compilers work.
    """
    out, sys.stdout = sys.stdout, sys.stderr  # Libraries may print; JSON must not mix.
    start = time.perf_counter()
    work = make_work()
    work.step()
    _say(out, {**work.facts, "first_step_s": time.perf_counter() - start})
    for line in sys.stdin:
        timings = []
        for _ in range(-(-json.loads(line)["steps"] // work.at_once)):
            start = time.perf_counter(), time.process_time()
            work.step()
            end = time.perf_counter(), time.process_time()
            took = [(b - a) / work.at_once for a, b in zip(start, end, strict=True)]
            timings.append(took)
        found = {"peak_mib": _peak_mib(), **work.found()}
        _say(out, {"timings": timings, "found": found})


class Worker:
    """The other side: a process that runs steps when told to."""

    def __init__(self, command: list[str], **popen):
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, text=True, **popen
        )
        self.facts = self._read()

    def run(self, steps: int) -> list[Timing]:
        """Runs at least so many steps; returns what one took, each time."""
        _say(self._process.stdin, {"steps": steps})
        reply = self._read()
        self.facts |= reply["found"]
        return [tuple(pair) for pair in reply["timings"]]

    def close(self) -> None:
        """Ends the process."""
        self._process.stdin.close()
        self._process.wait()

    def _read(self):
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            raise RuntimeError(
                f"A benchmark's worker ended with exit code {code}: its error is above."
            )
        return json.loads(line)


def _say(stream, message):
    stream.write(json.dumps(message) + "\n")
    stream.flush()


def _peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
