"""The Slurm script, with commands that only say how they were called."""

import os
from pathlib import Path
import subprocess

import pytest

SCRIPT = Path(__file__).parents[2] / "launch" / "experiment.sbatch"


@pytest.fixture
def run(tmp_path):
    """Runs the script on a cluster whose `python` ends with a code."""
    calls = tmp_path / "calls"

    def command(name, body):
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {calls}\n{body}\n')
        path.chmod(0o755)

    def run(code, *words):
        command("srun", 'exec "$@"')
        command("python", f"exit {code}")
        command("scontrol", "")
        environment = {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "SLURM_ARRAY_JOB_ID": "7",
            "SLURM_ARRAY_TASK_ID": "2",
        }
        done = subprocess.run(["bash", SCRIPT, *words], env=environment, check=False)
        return done.returncode, calls.read_text().splitlines() if words else []

    return run


def test_it_runs_the_experiment_with_its_options(run):
    code, calls = run(0, "configs/x.py", "out dir", "--config.seeds=(0,)")
    assert code == 0
    assert calls[1] == (
        "python -m jaxsyn.main --config=configs/x.py --workdir=out dir"
        " --config.seeds=(0,)"
    )
    assert not any(call.startswith("scontrol") for call in calls)


def test_a_task_that_is_preempted_is_queued_again(run):
    code, calls = run(75, "configs/x.py", "out")
    assert code == 75 and calls[-1] == "scontrol requeue 7_2"


def test_another_failure_is_not_repeated(run):
    code, calls = run(3, "configs/x.py", "out")
    assert code == 3 and not any(call.startswith("scontrol") for call in calls)


def test_it_asks_for_a_configuration(run):
    assert run(0)[0] == 1
