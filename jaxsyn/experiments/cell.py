"""The process of one cell: `python -m jaxsyn.experiments.cell WORKDIR NAME`.

A cell has a process of its own, so that what it breaks or leaks is its own affair.
"""

import json
import os
from pathlib import Path
import signal
import sys
import threading
import time
import traceback

from ml_collections import ConfigDict

from jaxsyn import errors, jobs
from jaxsyn.experiments import plan
from jaxsyn.experiments.state import CellState, explain

TAKEN = 11  # Exit code: another process runs this cell.


def main(workdir: Path, name: str) -> int:
    """Runs a cell of the plan in `workdir`; returns the exit code."""
    jobs.set_up_process()
    planned = json.loads((workdir / "plan.json").read_text())["cells"][name]
    cell = plan.Cell(name=name, **planned)
    state = CellState(workdir, name)
    with state.held() as ours:
        if not ours:
            return TAKEN
        if state.done:
            return 0
        state.clear()
        began = time.monotonic()
        outcome, code = _attempt(cell, workdir, state)
        state.attempt(cell.config, outcome, time.monotonic() - began)
    return code


def _attempt(cell, workdir, state) -> tuple[str, int]:
    """Runs the job; returns what came of it, and the exit code."""
    try:
        folder = plan.folder_of(workdir, cell.name)
        jobs.run(ConfigDict(cell.located(workdir)), folder)
    except errors.JaxsynError as error:
        print(f"jaxsyn: {error}", file=sys.stderr)
        if error.exit_code == errors.PREEMPTED:
            return "stopped", errors.PREEMPTED
        state.fail(explain(error), error.exit_code)
        return explain(error), error.exit_code
    except (KeyboardInterrupt, SystemExit):  # A request to stop.
        return "stopped", errors.PREEMPTED
    except Exception as error:  # Whatever it is, the others go on.
        traceback.print_exc()
        state.fail(explain(error), 1)
        return explain(error), 1
    return "done", 0


def _stop_with_parent():
    """Asks this process to stop when its parent is gone: the pipe then ends."""

    def watch():
        os.read(sys.stdin.fileno(), 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def start(argv: list[str]) -> None:
    """Runs the cell that the command line names, and ends the process."""
    _stop_with_parent()
    # Outside the training loop, which saves first, a request to stop ends it at once.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(errors.PREEMPTED))
    workdir, name = argv
    sys.exit(main(Path(workdir), name))


if __name__ == "__main__":
    start(sys.argv[1:])
