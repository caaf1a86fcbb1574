"""Runs the cells that are missing, each in a process, as many at once as there may be.

Any number of processes, on machines that share the folder, may run the same
experiment: each takes what is ready and nobody has taken.
"""

from collections.abc import Sequence
import dataclasses
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

from tqdm import tqdm

from jaxsyn import errors
from jaxsyn.engine.interrupt import Preempted, StopRequest
from jaxsyn.experiments import cell as cell_lib
from jaxsyn.experiments.plan import Cell, Plan
from jaxsyn.experiments.state import CellState

_POLL_SECONDS = 0.2


@dataclasses.dataclass(frozen=True)
class _Running:
    """A cell at work."""

    cell: Cell
    process: subprocess.Popen
    device: str
    began: float


class Runner:
    """Runs a plan's cells in `workdir`.

    Attributes:
      states: By cell, what became of it.
    """

    def __init__(
        self,
        plan: Plan,
        workdir: Path,
        devices: Sequence[str] = (),
        program: Sequence[str] = ("-m", cell_lib.__name__),
    ):
        """Takes what to run, and how.

        Args:
          plan: The cells.
          workdir: The experiment's folder, with plan.json in it.
          devices: One for each cell at a time; none: one cell at a time has all.
          program: What Python runs for a cell, before the folder and the cell's name.
        """
        self._plan, self._workdir = plan, workdir
        self._free, self._program = list(devices) or [""], program
        self._running: list[_Running] = []
        self._tried: set[str] = set()
        self._elsewhere: set[str] = set()  # Cells that other processes run.
        self._progress: tqdm | None = None
        self.states = {name: CellState(workdir, name) for name in plan.cells}

    def run(self) -> None:
        """Runs until nothing is left that can be run.

        Raises:
          Preempted: A signal came; the cells at work have saved what they had.
        """
        cells = self._plan.cells
        finished = sum(bool(state.done) for state in self.states.values())
        progress = tqdm(total=len(cells), initial=finished, desc="Cells", unit="cell")
        with StopRequest() as stop, progress:
            self._progress = progress
            while not stop and (self._running or self._ready() or self._elsewhere):
                self._start_what_is_ready()
                self._collect()
                self._look_elsewhere()
                time.sleep(_POLL_SECONDS)
            if stop:
                self._stop()
                raise Preempted(
                    f"Stopped by {stop.name}; finished cells are kept.",
                    hint="Run the same command again and it goes on.",
                )

    def blocked(self) -> dict[str, str]:
        """Cells that cannot be run, and which failed one they need."""
        found: dict[str, str] = {}
        for name, cell in self._plan.cells.items():
            for need in cell.needs:
                if self.states[need].failed or need in found:
                    found.setdefault(name, found.get(need, need))
        return found

    def _ready(self) -> list[Cell]:
        """Cells that could be started now."""
        return [
            cell
            for name, cell in self._plan.cells.items()
            if name not in self._tried
            and not self.states[name].done
            and all(self.states[need].done for need in cell.needs)
        ]

    def _look_elsewhere(self):
        """What others gave up, or were killed at, is to be tried here."""
        for name in list(self._elsewhere):
            state = self.states[name]
            if not state.is_held:
                self._elsewhere.remove(name)
                if not state.done and not state.failed:
                    self._tried.remove(name)

    def _start_what_is_ready(self):
        for cell in self._ready():
            if not self._free:
                return
            self._tried.add(cell.name)
            if self.states[cell.name].is_held:
                self._elsewhere.add(cell.name)
                continue
            device = self._free.pop(0)
            process = self._start(cell, device)
            self._running.append(_Running(cell, process, device, time.monotonic()))
            self._progress.set_postfix_str(
                ", ".join(running.cell.name for running in self._running)
            )

    def _start(self, cell, device):
        state = self.states[cell.name]
        state.folder.mkdir(parents=True, exist_ok=True)
        environment = {
            # Cells of one network compile it once.
            "JAX_COMPILATION_CACHE_DIR": str(self._workdir / "compiled"),
            **os.environ,
            **({"CUDA_VISIBLE_DEVICES": device} if device else {}),
        }
        with open(state.log, "ab") as log:
            return subprocess.Popen(
                [sys.executable, *self._program, str(self._workdir), cell.name],
                stdin=subprocess.PIPE,  # Its end tells the cell that we are gone.
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C is ours to pass on.
            )

    def _collect(self):
        """Looks after cells that have ended."""
        for running in list(self._running):
            code = running.process.poll()
            if code is None:
                continue
            self._running.remove(running)
            self._free.append(running.device)
            running.process.stdin.close()
            self._note(running, code)

    def _note(self, running, code):
        name, state = running.cell.name, self.states[running.cell.name]
        took = time.monotonic() - running.began
        if code == cell_lib.TAKEN:
            self._elsewhere.add(name)
            return
        if state.done:
            self._progress.update(1)
            self._progress.write(f"{name}: done in {took:.0f} s", file=sys.stderr)
            return
        if code == errors.PREEMPTED:
            word = "was stopped"
        elif code < 0:
            word = f"was killed by {signal.Signals(-code).name}"
            state.fail(f"The process {word}, perhaps for want of memory.", 5)
        else:
            word = (state.failed or {}).get("error", f"ended with code {code}")
            if not state.failed:
                state.fail(f"The process {word}; see {state.log}.", code)
        self._progress.write(f"{name}: {word}", file=sys.stderr)

    def _stop(self):
        for running in self._running:
            running.process.terminate()
        for running in self._running:
            running.process.wait()
