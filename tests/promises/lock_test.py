"""One process at a time is at work in a folder; what a killed one held is free."""

import errno
import os
from pathlib import Path
import signal
import socket
import subprocess
import sys
import types

from ml_collections import ConfigDict
import pytest

from jaxsyn import jobs, storage, workdir
from jaxsyn.errors import ResourceError
import toy_training

ROOT = Path(__file__).parents[2]
HOLD = """
import pathlib, sys
from jaxsyn import workdir

with workdir.held(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold():
    """Starts a process that is at work in a folder until its input ends."""
    started = []

    def hold(folder):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def ran(monkeypatch):
    """Folders in which a job that does nothing ran."""
    folders = []
    job = types.SimpleNamespace(run=lambda config, folder: folders.append(folder))
    monkeypatch.setitem(sys.modules, "idle_job", job)
    monkeypatch.setattr(jobs, "JOBS", dict.fromkeys(jobs.JOBS, "idle_job"))
    return folders


def run(job, folder):
    jobs.run(ConfigDict({"job": job}), folder)


def test_the_second_run_in_a_folder_is_refused_and_told_of_the_first(
    hold, ran, tmp_path
):
    first = hold(tmp_path)
    for job in sorted({*jobs.JOBS} - {*jobs.SHARED}):
        with pytest.raises(ResourceError, match="is in use by process") as error:
            run(job, tmp_path)
        told = str(error.value)
        assert f"process {first.pid} on {socket.gethostname()} since 2" in told
        assert f"(-c {tmp_path})" in told
        assert "choose another --workdir" in error.value.hint
    assert not ran
    first.communicate("")  # It went on undisturbed, and ends.
    assert first.returncode == 0
    run("train", tmp_path)
    assert ran == [tmp_path]


def test_what_a_killed_run_held_is_free_and_that_is_said(hold, ran, tmp_path, caplog):
    first = hold(tmp_path)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert (tmp_path / workdir.LOCK).exists()
    second = hold(tmp_path)
    with pytest.raises(ResourceError, match=f"is in use by process {second.pid} on"):
        run("train", tmp_path)
    second.send_signal(signal.SIGKILL)
    second.wait()
    run("train", tmp_path)
    assert ran == [tmp_path]
    assert f"was in use by process {second.pid}" in caplog.text
    caplog.clear()
    run("train", tmp_path)
    assert not caplog.text and not (tmp_path / workdir.LOCK).exists()


def test_a_file_that_only_looks_like_a_lock_keeps_nobody_out(ran, tmp_path):
    (tmp_path / workdir.LOCK).write_text("whatever")
    run("train", tmp_path)
    assert ran == [tmp_path]


def test_a_run_that_fails_leaves_the_folder_free(tmp_path):
    kept, new = tmp_path / "kept", tmp_path / "new"
    kept.mkdir()
    for folder in (kept, new):
        with pytest.raises(KeyboardInterrupt), workdir.held(folder):
            raise KeyboardInterrupt
    assert not [*kept.iterdir()] and not new.exists()
    with pytest.raises(ZeroDivisionError), workdir.held(new):
        (new / "result").touch()
        raise ZeroDivisionError
    assert [path.name for path in new.iterdir()] == ["result"]


def test_processes_that_share_an_experiment_are_let_in(hold, ran, tmp_path):
    hold(tmp_path)
    run("experiment", tmp_path)
    assert ran == [tmp_path]


def test_a_lock_that_was_deleted_while_one_waited_for_it_is_not_taken(
    tmp_path, monkeypatch
):
    path, taken = tmp_path / "lock", []
    flock = storage.fcntl.flock

    def deleting(file, how):
        if not taken:
            path.unlink()  # As the one before does at its end.
        taken.append(file)
        flock(file, how)

    monkeypatch.setattr(storage.fcntl, "flock", deleting)
    with storage.try_lock(path) as file:
        assert len(taken) == 2
        assert os.path.samestat(os.fstat(file.fileno()), path.stat())


def test_where_there_are_no_locks_that_is_said_and_work_goes_on(
    tmp_path, monkeypatch, caplog
):
    def flock(file, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(storage.fcntl, "flock", flock)
    with workdir.held(tmp_path):
        assert "no locks are to be had" in caplog.text


def test_all_processes_of_a_second_run_are_refused(hold, tmp_path):
    first = hold(tmp_path)
    with socket.socket() as a_socket:
        a_socket.bind(("127.0.0.1", 0))
        port = a_socket.getsockname()[1]
    script = toy_training.__file__
    paths = (ROOT, Path(script).parent)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}",
        "JAX_NUM_PROCESSES": "2",
    }
    pair = [
        subprocess.Popen(
            [sys.executable, script, f"--config={script}", f"--workdir={tmp_path}"],
            cwd=ROOT,
            env={**environment, "JAX_PROCESS_ID": str(index)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    said = [process.communicate(timeout=120)[1] for process in pair]
    assert [process.returncode for process in pair] == [5, 5], said
    assert all(f"is in use by process {first.pid}" in text for text in said)
    assert "Process 0 failed taking the workdir" in said[1]
