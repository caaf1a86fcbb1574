"""Where there is no room, or no memory, that is said, and nothing is lost."""

from pathlib import Path
import resource
import subprocess
import sys
import types

import jax
from ml_collections import ConfigDict
import pytest

from jaxsyn import jobs
from jaxsyn.engine.checkpoint import Checkpoints
from jaxsyn.errors import ResourceError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def failing(monkeypatch):
    """Lets every job fail with an error."""

    def fail(error):
        def run(config, workdir):
            raise error

        monkeypatch.setitem(sys.modules, "failing_job", types.SimpleNamespace(run=run))
        monkeypatch.setattr(jobs, "JOBS", dict.fromkeys(jobs.JOBS, "failing_job"))

    return fail


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 4 TiB"),
        jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: allocating 4 TiB\nand more"),
    ],
)
def test_want_of_memory_is_said_in_a_line(error, failing, tmp_path):
    failing(error)
    with pytest.raises(ResourceError, match="^Out of memory.*4 TiB") as said:
        jobs.run(ConfigDict({"job": "train"}), tmp_path / "run")
    assert "and more" not in said.value.args[0]
    assert "config.train.batch_size" in said.value.hint


def test_other_errors_keep_their_names(failing, tmp_path):
    failing(jax.errors.JaxRuntimeError("INTERNAL: something else"))
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        jobs.run(ConfigDict({"job": "train"}), tmp_path / "run")


def train(folder, limit, *options):
    words = ["--config=configs/quickstart.py:runlocal", f"--workdir={folder / 'run'}"]
    words += [f"--config.data.prepared_dir={folder / 'prepared'}", *options]
    return subprocess.run(
        [sys.executable, "-m", "jaxsyn.main", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=limit,
    )


@pytest.mark.slow
def test_files_that_may_not_grow_end_a_training_and_its_checkpoint_stays(tmp_path):
    found = train(tmp_path, None)
    assert found.returncode == 0, found.stderr[-2000:]

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**17, 2**17))

    found = train(tmp_path, limit, "--config.train.steps=8")
    assert found.returncode == 5, found.stderr[-2000:]
    assert "jaxsyn: No space left" in found.stderr
    assert "  hint: Make room" in found.stderr
    # TensorStore's threads may end with tracebacks of their own; none is of ours.
    assert f'File "{ROOT}' not in found.stderr
    assert found.stderr.count("Traceback") <= found.stderr.count("_check_closed")
    checkpoints = Checkpoints(tmp_path / "run" / "checkpoints", readonly=True)
    assert checkpoints.latest() == 4
    checkpoints.restore_arrays(4)
    found = train(tmp_path, None, "--config.train.steps=8")
    assert found.returncode == 0, found.stderr[-2000:]


@pytest.mark.slow
def test_a_batch_that_memory_does_not_hold_ends_a_training(tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (14 * 2**30, 14 * 2**30))

    many = ("--config.train.batch_size=20000", "--config.system.ngf=64")
    found = train(tmp_path, limit, *many)
    assert found.returncode == 5, found.stderr[-2000:]
    assert "jaxsyn: Out of memory" in found.stderr
    assert "Traceback" not in found.stderr
