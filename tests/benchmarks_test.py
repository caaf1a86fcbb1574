import ast
import json
import os
from pathlib import Path
import subprocess
import sys

import pytest

from benchmarks import cases, report, run, slices, train, train_step, turns
from benchmarks.worker import Worker
from jaxsyn import systems
from jaxsyn.data.phantom.write import write_phantom

ROOT = Path(__file__).parents[1]
# One device; and compilers need not do their best.
QUICKLY = "--xla_backend_optimization_level=0"


@pytest.fixture(scope="module")
def brats(tmp_path_factory):
    folder = tmp_path_factory.mktemp("brats")
    write_phantom(folder, patients=1, seed=0, shape=(48, 48, 31), spacing_mm=5)
    return folder


def _script(tmp_path, body, work=""):
    """A worker whose step is a line of Python."""
    script = tmp_path / f"worker_{abs(hash((body, work)))}.py"
    script.write_text(
        f"import sys, time\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from benchmarks import worker\n"
        "def step():\n"
        f"    {body}\n"
        "facts = {'framework': 'none'}\n"
        f"worker.serve(lambda: worker.Work(step=step, facts=facts, {work}))\n"
    )
    return [sys.executable, str(script)]


def test_a_worker_runs_the_steps_it_is_asked_for(tmp_path):
    worker = Worker(_script(tmp_path, "print('step')"))  # Prints do not disturb it.
    assert worker.facts["framework"] == "none" and worker.facts["first_step_s"] >= 0
    assert [len(worker.run(n)) for n in (2, 1)] == [2, 1]
    clock, processor = worker.run(1)[0]
    assert clock >= 0 and processor >= 0 and worker.facts["peak_mib"] > 1
    worker.close()


def test_steps_made_at_once_are_timed_by_their_mean(tmp_path):
    found = "found=lambda: {'peak_mib': 7}"
    worker = Worker(_script(tmp_path, "time.sleep(0.08)", f"at_once=4, {found}"))
    timings = worker.run(5)  # So eight.
    assert len(timings) == 2 and worker.facts["peak_mib"] == 7
    assert all(0.02 <= clock < 0.08 for clock, _ in timings)
    worker.close()


def test_a_worker_that_fails_is_no_result(tmp_path):
    with pytest.raises(RuntimeError, match="ended with exit code 1"):
        Worker(_script(tmp_path, "raise ValueError"))


def test_of_rivals_those_that_fail_or_are_slow_are_left(tmp_path):
    commands = {
        "own": _script(tmp_path, "time.sleep(0.3)"),
        "fast": _script(tmp_path, "pass"),
        "slow": _script(tmp_path, "time.sleep(0.2)"),
        "broken": _script(tmp_path, "raise ValueError"),
    }
    rivals = ("fast", "slow", "broken")
    timings, facts = turns.take_turns(commands, 2, 1, rivals)
    assert {k: len(v) for k, v in timings.items()} == {"own": 2, "fast": 2, "slow": 1}
    assert facts.keys() == timings.keys() and facts["slow"]["peak_mib"] > 1
    with pytest.raises(RuntimeError, match="exit code 1"):
        turns.take_turns({"own": commands["broken"]}, 1, 1, rivals)


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
    with pytest.raises(SystemExit):
        run.main(["--only", "train", "--systems", "gan"])
    assert "unknown: gan; known: spade, sean" in capsys.readouterr().err
    assert run.main(["--peer", "torch"]) == 2


def test_every_system_is_measured_and_has_a_peer():
    named = {cases.load(name)["system"]["name"] for name in cases.CONFIGS}
    assert named == set(systems.names())
    assert [name for name in cases.CONFIGS if not train.has_peer(name)] == []


def test_cases_name_all_options_at_the_widths_asked_for():
    published, small, tiny = (
        cases.load("borde", widths)["system"] for widths in cases.WIDTHS
    )
    assert published["z_dim"] == small["z_dim"] == 256  # The default.
    assert [case["ngf"] for case in (published, small, tiny)] == [32, 8, 4]
    assert [case["hidden"] for case in (published, small, tiny)] == [128, 32, 8]
    assert cases.load("unet", "small")["system"]["widths"] == [16, 32, 64, 128, 256]
    for name in cases.CONFIGS:
        json.dumps(cases.load(name, "small"))
    volumes, images = cases.load("wgan3d"), cases.load("spade")
    assert [cases.depth(volumes, size) for size in (32, 128, 256)] == [16, 32, 64]
    assert cases.depth(images, 64) == 0


def _found(**clocks):
    """Timings of one step of two images each, and facts."""
    facts = {"first_step_s": 9.0, "peak_mib": 5.0, "parameters": {"generator": 3}}
    own = {"gflop_per_image": 4.0, "compile_s": 8.0, "wait_share": 0.25}
    return {
        "system": "spade",
        "size": 64,
        "batch_size": 2,
        "timings": {name: [(clock, 1.0)] for name, clock in clocks.items()},
        "facts": {
            name: facts | (own if name.startswith("jaxsyn") else {}) for name in clocks
        },
    }


def test_rows_compare_with_the_best_variant_alone():
    found = _found(**{"jaxsyn": 0.5, "torch, eager": 2.0, "torch, compiled": 1.0})
    own, peer = (
        dict(zip(train.COLUMNS, row, strict=True)) for row in train.rows_of(found, 32.0)
    )
    assert (own["by"], own["images/s"], own["ms a step"]) == ("jaxsyn", 4.0, 500.0)
    assert (own["× peer"], own["core s an image"]) == (2.0, 0.5)
    # Two images of 4 GFLOP in half a second, of 32 GFLOP/s.
    assert (own["GFLOP an image"], own["of peak"]) == (4.0, 0.5)
    assert (own["compile, s"], own["waits for data"]) == (8.0, 0.25)
    assert (peer["by"], peer["of peak"]) == ("torch, compiled", 0.25)
    assert peer["× peer"] is peer["compile, s"] is peer["waits for data"] is None
    ((*_, wait),) = train.rows_of(_found(jaxsyn=0.5), 32.0)
    assert wait == 0.25


def test_networks_of_another_size_are_no_peer():
    facts = _found(**{"jaxsyn": 1.0, "torch, eager": 1.0})["facts"]
    train.check_parameters(facts)
    other = facts["torch, eager"] | {"parameters": {"generator": 4}}
    with pytest.raises(ValueError, match="torch, eager has {'generator': 4}"):
        train.check_parameters(facts | {"torch, eager": other})


def test_the_memory_of_a_device_is_its_own(monkeypatch):
    class Gpu:
        def memory_stats(self):
            return {"peak_bytes_in_use": 3 * 2**20}

    training = object.__new__(train_step.Training)
    training._waited, training._took = 1.0, 4.0
    assert training.found() == {"wait_share": 0.25}  # The CPU counts none.
    monkeypatch.setattr(train_step.jax, "devices", lambda: [Gpu()])
    assert training.found() == {"wait_share": 0.25, "peak_mib": 3.0}


def test_volumes_are_of_slices_that_follow_one_another(tmp_path, brats):
    slices.write(brats, 32, 4, 0, tmp_path / "slices")
    slices.write(brats, 32, 4, 8, tmp_path / "volumes")

    def heights(folder):
        rows = json.loads((tmp_path / folder / "slices/index.json").read_text())
        return [height for _, height in rows["rows"]]

    first, *rest = heights("volumes")
    assert [first, *rest] == list(range(first, first + 16))
    assert heights("slices") != list(range(first, first + 4))
    assert json.loads((tmp_path / "slices/spec.json").read_text())["image_size"] == 32


def test_only_peers_import_torch():
    for path in (ROOT / "benchmarks").glob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text()))
        named = [n.module or "" for n in nodes if isinstance(n, ast.ImportFrom)]
        nodes = ast.walk(ast.parse(path.read_text()))
        named += [a.name for n in nodes if isinstance(n, ast.Import) for a in n.names]
        assert not [name for name in named if name.split(".")[0] == "torch"], path


def test_a_step_is_measured_without_tensorflow_and_torch(tmp_path, brats):
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    for name in ("tensorflow", "tensorflow_datasets", "torch"):
        (blocked / f"{name}.py").write_text("raise ImportError('Not installed.')")
    command = [
        *(sys.executable, "-m", "benchmarks.run", "--only", "train"),
        *("--systems", "borde", "--sizes", "32", "--widths", "tiny", "--batch", "2"),
        *("--rounds", "1", "--steps", "1"),
        *("--source-dir", brats, "--json", tmp_path / "found.json"),
    ]
    paths = os.pathsep.join([str(blocked), str(ROOT)])
    env = os.environ | {"PYTHONPATH": paths, "XLA_FLAGS": QUICKLY}
    done = subprocess.run(command, cwd=ROOT, env=env, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert "| borde | 32 | 2 | jaxsyn |" in done.stdout
    (table,) = json.loads((tmp_path / "found.json").read_text())["tables"]
    assert tuple(table["columns"]) == train.COLUMNS
    row = dict(zip(table["columns"], table["rows"][0], strict=True))
    assert row["images/s"] > 0 and row["GFLOP an image"] > 0.005
    assert 0 < row["of peak"] < 1 and 0 <= row["waits for data"] < 1
    assert row["compile, s"] < row["first step, s"] and row["× peer"] is None
    assert table["details"][0]["facts"]["jaxsyn"]["parameters"]["generator"] > 1000
