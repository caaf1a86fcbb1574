"""The experiment job: plan, run what is missing, report."""

from collections.abc import Mapping
import dataclasses
import logging
from pathlib import Path
from typing import Any

from jaxsyn import storage
from jaxsyn.errors import JaxsynError
from jaxsyn.experiments import cost, plan, summary
from jaxsyn.experiments.runner import Runner
from jaxsyn.experiments.settings import Experiment
from jaxsyn.report import page

_LOG = logging.getLogger(__name__)


class CellsFailedError(JaxsynError):
    """Some cells of an experiment failed; the others are finished."""


def run(config: Any, workdir: Path) -> None:
    """Runs the cells that are missing, and writes the report.

    Args:
      config: A `ConfigDict` as in configs/experiments.
      workdir: The experiment's folder.

    Raises:
      CheckpointError: A finished cell has another configuration.
      CellsFailedError: Some cells failed; the report has what the others gave.
      JaxsynError: One of its other kinds, for all that a user can mend.
    """
    config = config.to_dict()
    experiment = Experiment.from_config(config)
    planned = plan.make(experiment)
    runner = Runner(planned, workdir, experiment.devices)
    for name, cell in planned.cells.items():
        runner.states[name].check(cell.config)
    if experiment.dry_run:
        print(cost.table(planned, runner.states, workdir))
        return
    _save(planned, config, workdir)
    if not experiment.report_only:
        runner.run()
    made = summary.page_of(experiment, planned, runner, workdir)
    with storage.lock(workdir / ".lock"):
        path = page.write(made, workdir)
    failed = [name for name, state in runner.states.items() if state.failed]
    done = sum(bool(state.done) for state in runner.states.values())
    print(f"{done} of {len(planned.cells)} cells are done. Report: {path}")
    if failed:
        raise _failure(runner, failed, workdir)


def _save(planned, config: Mapping[str, Any], folder: Path):
    """What the cells' processes, and those who read the folder, need to know."""
    with storage.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        cells = {name: dataclasses.asdict(c) for name, c in planned.cells.items()}
        for cell in cells.values():
            del cell["name"]
        with storage.lock(folder / ".lock"):
            storage.write_json(folder / "plan.json", {"cells": cells})
            storage.write_json(folder / "config.json", config)


def _failure(runner, failed, workdir):
    first = runner.states[failed[0]]
    reason = first.failed["error"].splitlines()[0]
    error = CellsFailedError(
        f"{len(failed)} cells failed, {len(runner.blocked())} others need them:"
        f" {', '.join(failed[:5])}. The first: {reason}",
        hint=f"Its log is {first.log}. The same command tries them again.",
    )
    error.exit_code = first.failed["code"]
    return error
