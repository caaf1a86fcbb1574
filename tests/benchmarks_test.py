import json
import os
from pathlib import Path
import subprocess
import sys

import pytest

from benchmarks import report, run, train
from benchmarks.worker import Worker
from jaxsyn.data.phantom.write import write_phantom

ROOT = Path(__file__).parents[1]


def _worker(tmp_path, body):
    """A worker whose step is a line of Python."""
    script = tmp_path / "worker.py"
    script.write_text(
        "from benchmarks import worker\n"
        "def step():\n"
        f"    {body}\n"
        "worker.serve(lambda: (step, {'framework': 'none'}))\n"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return Worker([sys.executable, str(script)], env=env)


def test_a_worker_runs_the_steps_it_is_asked_for(tmp_path):
    worker = _worker(tmp_path, "print('step')")  # Prints do not disturb it.
    assert worker.facts["framework"] == "none" and worker.facts["first_step_s"] >= 0
    assert [len(worker.run(n)) for n in (2, 1)] == [2, 1]
    clock, processor = worker.run(1)[0]
    assert clock >= 0 and processor >= 0 and worker.facts["peak_mib"] > 1
    worker.close()


def test_a_worker_that_fails_is_no_result(tmp_path):
    with pytest.raises(RuntimeError, match="ended with exit code 1"):
        _worker(tmp_path, "raise ValueError")


def test_tables_are_markdown():
    table = report.Table("Title", ("name", "n"), [("a", 0.12345), ("b", None)], "Note.")
    assert str(table) == (
        "### Title\n\n| name | n |\n| --- | --- |\n| a | 0.123 |\n| b | – |\n\nNote.\n"
    )
    assert json.loads(json.dumps(table.to_json()))["rows"] == [
        ["a", 0.12345],
        ["b", None],
    ]


def test_an_unknown_benchmark_is_refused(capsys):
    with pytest.raises(SystemExit):
        run.main(["--only", "speed"])
    assert "unknown: speed; known: reading, preparing" in capsys.readouterr().err
    assert run.main(["--peer", "torch"]) == 2


def test_the_smallest_training_benchmark_runs_without_tensorflow(tmp_path):
    write_phantom(
        tmp_path / "brats", patients=1, seed=0, shape=(48, 48, 31), spacing_mm=5
    )
    blocked = tmp_path / "blocked" / "tensorflow.py"
    blocked.parent.mkdir()
    blocked.write_text("raise ImportError('TensorFlow is not installed')")
    command = [
        *(sys.executable, "-m", "benchmarks.run", "--only", "train"),
        *("--systems", "borde", "--sizes", "32", "--rounds", "1", "--steps", "1"),
        *("--source-dir", tmp_path / "brats", "--json", tmp_path / "found.json"),
    ]
    paths = os.pathsep.join([str(blocked.parent), str(ROOT)])
    subprocess.run(
        command, check=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": paths}
    )
    (table,) = json.loads((tmp_path / "found.json").read_text())["tables"]
    row = dict(zip(table["columns"], table["rows"][0], strict=True))
    assert row["step"] == "borde 32 px, ngf 2, batch 2"
    assert row["images/s, median"] > 0 and row["GFLOP an image"] > 0.01
    assert row["× peer"] is None
    assert tuple(table["columns"]) == train.COLUMNS
