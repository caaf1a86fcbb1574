"""Workers that are timed in turn, so that all of them meet the same machine."""

from collections.abc import Mapping, Sequence
import logging
import statistics
from typing import Any

from benchmarks.worker import Timing, Worker

HOPELESS = 1.5  # How much slower than the fastest rival one may be at first.


def take_turns(
    commands: Mapping[str, Sequence[Any]],
    rounds: int,
    steps: int,
    rivals: Sequence[str] = (),
) -> tuple[dict[str, list[Timing]], dict[str, dict[str, Any]]]:
    """Runs workers in turn.

    Args:
      commands: What starts them, by name.
      rounds: How many turns each has.
      steps: Of a turn.
      rivals: Workers of which only the best counts. One that cannot start is left
        out, and one that is much slower than the fastest has one turn.

    Returns:
      Timings and facts, by name.
    """
    workers, timings, facts = {}, {}, {}
    try:
        for name, command in commands.items():
            try:
                workers[name] = Worker(list(map(str, command)))
            except RuntimeError as error:
                if name not in rivals:
                    raise
                logging.warning("%s does not work: %s", name, error)
        for turn in range(rounds):
            for name, worker in workers.items():
                timings.setdefault(name, []).extend(worker.run(steps))
                facts[name] = worker.facts
            if turn == 0:
                for name in _hopeless(timings, rivals):
                    workers.pop(name).close()
        return timings, facts
    finally:
        for worker in workers.values():
            worker.close()


def _hopeless(timings, rivals):
    took = {
        name: statistics.median(clock for clock, _ in timing)
        for name, timing in timings.items()
        if name in rivals
    }
    return [name for name in took if took[name] > HOPELESS * min(took.values())]
