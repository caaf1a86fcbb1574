"""The scripts that start several processes, with commands that only say how."""

import os
from pathlib import Path
import signal
import subprocess
import time

import pytest

LAUNCH = Path(__file__).parents[2] / "launch"


@pytest.fixture
def calls(tmp_path):
    return tmp_path / "calls"


@pytest.fixture
def commands(tmp_path, calls):
    """Puts commands of these names and bodies first in the path."""

    def commands(**bodies):
        for name, body in bodies.items():
            path = tmp_path / name
            path.write_text(f'#!/bin/bash\necho "{name} $*" >>{calls}\n{body}\n')
            path.chmod(0o755)
        return {"PATH": f"{tmp_path}:{os.environ['PATH']}"}

    return commands


def slurm(commands, code, *words):
    path = commands(srun='shift\nexec "$@"', python=f"exit {code}", scontrol="exit 0")
    environment = {**path, "SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "32"}
    script = LAUNCH / "slurm.sbatch"
    return subprocess.run(["bash", script, *words], env=environment).returncode


def test_slurm_runs_the_training_with_its_options(commands, calls):
    assert slurm(commands, 0, "configs/x.py", "out dir", "--config.seed=1") == 0
    assert calls.read_text().splitlines() == [
        "srun --cpus-per-task=32 python -m jaxsyn.main --config=configs/x.py"
        " --workdir=out dir --config.seed=1",
        "python -m jaxsyn.main --config=configs/x.py --workdir=out dir --config.seed=1",
    ]


@pytest.mark.parametrize(("code", "again"), [(75, True), (5, False)])
def test_slurm_queues_again_what_was_preempted(code, again, commands, calls):
    assert slurm(commands, code, "configs/x.py", "out") == code
    assert ("scontrol requeue 7" in calls.read_text()) == again


def test_slurm_asks_for_a_configuration(commands):
    assert slurm(commands, 0) == 1


# A `python` that finds port 4321 and otherwise tells its place.
PYTHON = """
if [[ $1 == -c ]]; then echo 4321; exit; fi
echo "$JAX_PROCESS_ID/$JAX_NUM_PROCESSES $JAX_COORDINATOR_ADDRESS" \
  "GPU:$JAX_LOCAL_DEVICE_IDS" >>"$(dirname "$0")/places"
"""


@pytest.fixture
def start(commands, tmp_path):
    """Starts the script where `python` also does what `body` says."""

    def start(*words, body="", **environment):
        path = commands(python=PYTHON + body, **{"nvidia-smi": "exit 1"})
        script = tmp_path / "multi_gpu.sh"
        text = (LAUNCH / "multi_gpu.sh").read_text()
        assert "sleep 45" in text
        script.write_text(text.replace("sleep 45", "sleep 1"))
        return subprocess.Popen(
            ["bash", script, *words],
            env=path | environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def end(process):
    said = process.communicate(timeout=30)[1]
    return process.returncode, said


def places(tmp_path):
    return sorted((tmp_path / "places").read_text().splitlines())


def test_one_process_is_enough_by_default(start, tmp_path, calls):
    code, said = end(start("configs/x.py", "out dir", "--config.seed=1"))
    assert code == 0 and "One process, with all GPUs that it sees." in said
    assert places(tmp_path) == ["/  GPU:"]
    wanted = "python -m jaxsyn.main --config=configs/x.py --workdir=out dir"
    assert calls.read_text().splitlines()[-1] == f"{wanted} --config.seed=1"


def test_several_processes_have_a_gpu_each(start, tmp_path):
    started = start("-n", "2", "configs/x.py", "out", CUDA_VISIBLE_DEVICES="3,5")
    assert end(started)[0] == 0
    where = "2 127.0.0.1:4321"
    assert places(tmp_path) == [f"0/{where} GPU:0", f"1/{where} GPU:1"]


def test_several_processes_on_the_cpu(start, tmp_path):
    assert end(start("-n", "3", "configs/x.py", "out", JAX_PLATFORMS="cpu"))[0] == 0
    assert [place[:3] for place in places(tmp_path)] == ["0/3", "1/3", "2/3"]


def test_the_first_failure_is_the_code_and_the_rest_is_ended(start):
    body = "if [[ $JAX_PROCESS_ID == 1 ]]; then exit 3; fi\nexec sleep 100"
    began = time.monotonic()
    started = start("-n", "2", "configs/x.py", "out", body=body, JAX_PLATFORMS="cpu")
    assert end(started)[0] == 3
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_signals_reach_all(name, start, tmp_path):
    body = f"""trap 'exit 75' {name}
touch "$(dirname "$0")/ready$JAX_PROCESS_ID"
for _ in {{1..200}}; do sleep 0.1; done"""
    started = start("-n", "2", "configs/x.py", "out", body=body, JAX_PLATFORMS="cpu")
    while len([*tmp_path.glob("ready*")]) < 2:
        time.sleep(0.05)
    started.send_signal(getattr(signal, name))
    assert end(started)[0] == 75


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-n", "two", "c", "w"), "-n wants a number of processes, got 'two'."),
        (("-x", "c", "w"), "unknown option -x."),
        (("configs/x.py",), "a configuration and a folder for the run are needed."),
        (("-n", "3", "c", "w"), "3 processes want a GPU each; 2 are visible"),
    ],
)
def test_what_makes_no_sense_is_said(words, message, start):
    code, said = end(start(*words, CUDA_VISIBLE_DEVICES="3,5"))
    assert code == 2
    assert said.startswith(f"jaxsyn: {message}") and "\n  hint: bash launch" in said
