"""Two real processes on the CPU that train one state together."""

import json
import os
from pathlib import Path
import shutil
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from jaxsyn.engine.checkpoint import Checkpoints
import toy_training

ROOT = Path(__file__).parents[2]
SCRIPT = Path(toy_training.__file__)
STEPS = toy_training.get_config().steps
WITHIN = 60  # Seconds in which a lost process is to be noticed.


def free_port():
    with socket.socket() as a_socket:
        a_socket.bind(("127.0.0.1", 0))
        return a_socket.getsockname()[1]


def environment(index, port):
    """Of one of two processes, with a device each."""
    flags = "--xla_backend_optimization_level=0"
    paths = (ROOT, SCRIPT.parent)
    return {
        **os.environ,
        "XLA_FLAGS": f"{flags} --xla_force_host_platform_device_count=1",
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}",
        "JAX_NUM_PROCESSES": "2",
        "JAX_PROCESS_ID": str(index),
    }


@pytest.fixture(scope="module")
def start():
    """Starts the toy's training, or another command, in two processes."""
    started = []

    def start(workdir, *, command=(SCRIPT, f"--config={SCRIPT}"), **options):
        given = [f"--config.{key}={value}" for key, value in options.items()]
        command = [sys.executable, *command, f"--workdir={workdir}", *given]
        port = free_port()
        pair = [
            subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment(index, port),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for index in range(2)
        ]
        started.extend(pair)
        return pair

    yield start
    for process in started:
        process.kill()


def ends(pair, within=200):
    """Exit codes, and what was said."""
    said = [process.communicate(timeout=within)[0] for process in pair]
    return [process.returncode for process in pair], said


def wait_for_step(workdir, step):
    path = workdir / "metrics.jsonl"
    for _ in range(2000):
        if path.exists() and len(path.read_text().splitlines()) >= step:
            return
        time.sleep(0.1)
    raise TimeoutError(f"No step {step} in {path}.")


def metrics(workdir):
    rows = (workdir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(row) for row in rows]


def state(workdir):
    return Checkpoints(workdir / "checkpoints", readonly=True).restore_arrays(STEPS)


def alone(workdir, steps):
    """The same training by this process."""
    config = toy_training.get_config()
    config.steps = steps
    toy_training.run(config, workdir)


def assert_close(one, other, **tolerance):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, **tolerance)


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    alone(folder, STEPS)
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory, start):
    folder = tmp_path_factory.mktemp("two")
    codes, said = ends(start(folder))
    assert codes == [0, 0], said
    assert "step/s" in said[0] and "step/s" not in said[1]
    return folder


def test_two_processes_train_as_one(one, two):
    assert len(metrics(two)) == STEPS
    assert_close(metrics(one), metrics(two), rtol=1e-5, atol=1e-6)
    assert_close(state(one), state(two), rtol=1e-5, atol=1e-6)


def test_one_goes_on_from_two_and_two_from_one(one, two, start, tmp_path):
    one, two = (shutil.copytree(d, tmp_path / d.name) for d in (one, two))
    alone(two, STEPS + 2)
    codes, said = ends(start(one, steps=STEPS + 2, shard="all"))
    assert codes == [0, 0], said
    assert len(metrics(one)) == STEPS + 2
    assert_close(metrics(one), metrics(two), rtol=1e-5, atol=1e-6)


def test_a_signal_to_one_stops_both_and_both_go_on(two, start, tmp_path):
    pair = start(tmp_path, seconds=1.0)
    wait_for_step(tmp_path, 1)
    pair[1].send_signal(signal.SIGTERM)
    codes, said = ends(pair)
    assert codes == [75, 75], said
    stopped = len(metrics(tmp_path))
    assert stopped < STEPS
    for text in said:
        assert f"after step {stopped}; everything is saved" in text
    codes, said = ends(start(tmp_path))
    assert codes == [0, 0], said
    assert metrics(tmp_path) == metrics(two)
    assert_close(state(tmp_path), state(two), rtol=0)


@pytest.mark.parametrize("victim", [0, 1])
def test_when_one_is_killed_the_other_says_so_and_ends(victim, tmp_path, start):
    pair = start(tmp_path, steps=10000, seconds=0.3)
    wait_for_step(tmp_path, 2)
    pair[victim].kill()
    began = time.monotonic()
    said = pair[1 - victim].communicate(timeout=WITHIN)[0]
    assert pair[1 - victim].returncode == 5, said
    assert time.monotonic() - began < WITHIN
    assert f"jaxsyn: Process {victim} is gone" in said
    assert "with the same command again" in said


def test_when_one_fails_the_other_ends_too(tmp_path, start):
    codes, said = ends(start(tmp_path, fails="last"), WITHIN)
    assert codes == [5, 3], said
    assert "slice 7 is damaged" in said[1]
    assert "Process 1 is gone" in said[0]


def test_what_process_0_fails_at_ends_all_with_its_code(tmp_path, start):
    codes, said = ends(start(tmp_path / "a", fails="first"), WITHIN)
    assert codes == [3, 3], said
    assert "jaxsyn: no folder of toys" in said[0]
    wanted = "Process 0 failed preparing the toys: no folder of toys\n  hint: Make one."
    assert wanted in said[1]


def test_a_job_for_one_process_is_refused(tmp_path, start):
    command = ("-m", "jaxsyn.main", "--config=configs/judge_quickstart.py")
    codes, said = ends(start(tmp_path / "a", command=command), WITHIN)
    assert codes == [2, 2], said
    assert "config.job=judge runs in one process; 2 were started" in said[0]


def test_who_stays_alone_says_so_and_ends():
    code = "from jaxsyn.engine import processes as p; p._MEETING_S = 1; p.join()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(1, free_port()),
        capture_output=True,
        text=True,
        timeout=WITHIN,
    )
    assert done.returncode == 5, done.stderr
    assert "jaxsyn: Process 1 of 2 did not meet the others within 1 s" in done.stderr
