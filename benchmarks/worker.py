"""A process that is timed by another, a few steps at a time.

Two implementations are compared by keeping each in a process of its own and letting
them take turns, so that both meet the same machine. The worker loads, compiles, says
so, and then runs as many steps as each line of its input asks for. Both sides speak
one JSON object a line. Nothing here needs more than Python's own library, so that a
worker can live in another environment.
"""

from collections.abc import Callable
import json
import resource
import subprocess
import sys
import time
from typing import Any


def serve(make_step: Callable[[], tuple[Callable[[], Any], dict[str, Any]]]) -> None:
    """Runs a worker's side until its input ends.

    Args:
      make_step: Builds everything and returns a function that runs one step to its
        end, and facts to report once. It and the first step are timed together as
        `first_step_s`: that is where compilers work.
    """
    out, sys.stdout = sys.stdout, sys.stderr  # Libraries may print; JSON must not mix.
    start = time.perf_counter()
    step, facts = make_step()
    step()
    _say(out, facts | {"first_step_s": time.perf_counter() - start})
    for line in sys.stdin:
        timings = []
        for _ in range(json.loads(line)["steps"]):
            start = time.perf_counter(), time.process_time()
            step()
            end = time.perf_counter(), time.process_time()
            timings.append([b - a for a, b in zip(start, end, strict=True)])
        _say(out, {"timings": timings, "peak_mib": _peak_mib()})


class Worker:
    """The other side: a process that runs steps when told to."""

    def __init__(self, command: list[str], **popen):
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, text=True, **popen
        )
        self.facts = self._read()

    def run(self, steps: int) -> list[tuple[float, float]]:
        """Runs `steps` steps; returns seconds by clock and of processor for each."""
        _say(self._process.stdin, {"steps": steps})
        reply = self._read()
        self.facts["peak_mib"] = reply["peak_mib"]
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
