"""Cells run once, in order, by as many processes as there are, whatever breaks."""

import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import threading
import time

import pytest

from jaxsyn import storage
from jaxsyn.engine.interrupt import Preempted
from jaxsyn.errors import CheckpointError
from jaxsyn.experiments.plan import Cell, Plan, folder_of
from jaxsyn.experiments.runner import Runner
from jaxsyn.experiments.state import CellState

TOY = (str(Path(__file__).parent / "toy_cell.py"),)


def plan_of(workdir, **cells):
    """A plan of toy jobs, saved; each cell is what it does and what it needs."""
    made = {
        name: Cell(name=name, config={"job": "toy", "data": {}, **config}, needs=needs)
        for name, (config, *needs) in cells.items()
    }
    workdir.mkdir(exist_ok=True)
    saved = {n: {"config": c.config, "needs": c.needs} for n, c in made.items()}
    storage.write_json(workdir / "plan.json", {"cells": saved})
    return Plan(cells=made, of_arm={}, of_job={})


def began(workdir, name):
    path = folder_of(workdir, name) / "began.txt"
    return path.read_text().splitlines() if path.exists() else []


def wait_for(condition, seconds=120):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "It took too long."
        time.sleep(0.05)


WRITE, FAIL = {"does": "write"}, {"does": "fail"}


def test_cells_run_after_those_they_need_and_only_once(tmp_path):
    plan = plan_of(
        tmp_path,
        first=(WRITE,),
        second=({"does": "write", "source": "cell:first"}, "first"),
    )
    Runner(plan, tmp_path, program=TOY).run()
    runner = Runner(plan, tmp_path, program=TOY)
    runner.run()
    assert all(state.done["seconds"] > 0 for state in runner.states.values())
    assert len(began(tmp_path, "first")) == len(began(tmp_path, "second")) == 1


def test_what_fails_is_noted_and_the_rest_goes_on(tmp_path):
    plan = plan_of(
        tmp_path,
        failing=(FAIL,),
        after=(WRITE, "failing"),
        last=(WRITE, "after"),
        broken=({"does": "break"},),
        crashed=({"does": "crash"},),
        fine=(WRITE,),
    )
    runner = Runner(plan, tmp_path, program=TOY)
    runner.run()
    states = runner.states
    assert states["failing"].failed["code"] == 3
    assert states["failing"].failed["error"].startswith("There is no such folder.")
    assert states["broken"].failed["error"] == "ZeroDivisionError: a bug"
    assert "SIGABRT" in states["crashed"].failed["error"]
    assert "ZeroDivisionError" in states["broken"].log.read_text()
    assert states["fine"].done
    assert runner.blocked() == {"after": "failing", "last": "failing"}
    assert not began(tmp_path, "after")


def test_what_failed_is_tried_again_by_the_next_run(tmp_path):
    Runner(plan_of(tmp_path, cell=(FAIL,)), tmp_path, program=TOY).run()
    runner = Runner(plan_of(tmp_path, cell=(WRITE,)), tmp_path, program=TOY)
    runner.run()
    assert runner.states["cell"].done and not runner.states["cell"].failed


def test_a_finished_cell_refuses_another_configuration(tmp_path):
    runner = Runner(plan_of(tmp_path, cell=(WRITE,)), tmp_path, program=TOY)
    runner.run()
    state = runner.states["cell"]
    state.check({"job": "toy", "data": {"jobs": 4}, "does": "write"})
    with pytest.raises(CheckpointError, match="does: 'write' -> 'fail'"):
        state.check({"job": "toy", "data": {}, "does": "fail"})


def test_devices_have_a_cell_each(tmp_path):
    go = tmp_path / "go"
    waiting = {"does": "wait", "until": str(go)}
    plan = plan_of(tmp_path, a=(waiting,), b=(waiting,), c=(WRITE,))
    runner = Runner(plan, tmp_path, devices=("0", "3"), program=TOY)
    thread = threading.Thread(
        target=lambda: (
            wait_for(lambda: began(tmp_path, "a") and began(tmp_path, "b")),
            go.write_text(""),
        )
    )
    thread.start()
    runner.run()  # Which ends only if both run at once.
    thread.join()
    devices = {began(tmp_path, name)[0].split()[1] for name in "ab"}
    assert devices == {"0", "3"}


PROGRAM = """
import json, sys
from pathlib import Path
from jaxsyn.experiments.plan import Cell, Plan
from jaxsyn.experiments.runner import Runner
workdir = Path(sys.argv[1])
saved = json.loads((workdir / "plan.json").read_text())["cells"]
cells = {name: Cell(name=name, **cell) for name, cell in saved.items()}
plan = Plan(cells=cells, of_arm={}, of_job={})
Runner(plan, workdir, program=sys.argv[2:]).run()
"""


def start(workdir):
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(workdir), *TOY],
        cwd=root,
        stderr=subprocess.PIPE,
    )


def test_processes_share_the_cells(tmp_path):
    go = tmp_path / "go"
    waiting = {"does": "wait", "until": str(go)}
    plan_of(tmp_path, a=(waiting,), b=(waiting,), c=(WRITE, "a", "b"))
    processes = [start(tmp_path), start(tmp_path)]
    wait_for(lambda: began(tmp_path, "a") and began(tmp_path, "b"))
    go.write_text("")
    for process in processes:
        assert process.wait(120) == 0, process.stderr.read()
    assert [len(began(tmp_path, name)) for name in "abc"] == [1, 1, 1]


def test_what_another_process_was_killed_at_is_taken_over(tmp_path):
    go = tmp_path / "go"
    plan_of(tmp_path, cell=({"does": "wait", "until": str(go)},))
    first = start(tmp_path)
    wait_for(lambda: began(tmp_path, "cell"))
    second = start(tmp_path)
    time.sleep(3)  # It waits for the first.
    assert second.poll() is None and len(began(tmp_path, "cell")) == 1
    first.kill()
    wait_for(lambda: len(began(tmp_path, "cell")) == 2)
    go.write_text("")
    assert second.wait(120) == 0, second.stderr.read()
    assert CellState(tmp_path, "cell").done


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_cell_ends_with_its_runner_and_is_run_again(tmp_path, number):
    go = tmp_path / "go"
    plan = plan_of(tmp_path, cell=({"does": "wait", "until": str(go)},))
    CellState(tmp_path, "cell").fail("An earlier attempt failed.", 1)
    process = start(tmp_path)
    wait_for(lambda: began(tmp_path, "cell"))
    process.send_signal(number)
    process.wait(120)
    pid = int(began(tmp_path, "cell")[0].split()[0])
    wait_for(lambda: not is_alive(pid))
    go.write_text("")
    runner = Runner(plan, tmp_path, program=TOY)
    assert not runner.states["cell"].done and not runner.states["cell"].failed
    runner.run()
    assert runner.states["cell"].done and len(began(tmp_path, "cell")) == 2


def test_a_request_to_stop_ends_the_run_as_preempted(tmp_path):
    plan = plan_of(tmp_path, cell=({"does": "wait", "until": str(tmp_path / "go")},))

    def stop():
        wait_for(lambda: began(tmp_path, "cell"))
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(Preempted, match="SIGTERM"):
        Runner(plan, tmp_path, program=TOY).run()
    thread.join()
    attempts = (tmp_path / "states" / "cell" / "attempts.jsonl").read_text()
    assert json.loads(attempts)["outcome"] == "stopped"


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().split()[2]
    except OSError:
        return False
    return state != "Z"
