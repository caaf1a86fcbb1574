"""A training of a real system by two processes, with all that is written."""

import json
import os
from pathlib import Path
import subprocess
import sys

import numpy as np
from PIL import Image
import pytest

ROOT = Path(__file__).parents[2]


def train(workdir, processes, *options):
    """Runs the quickstart at its smallest, on two devices in all."""
    devices = 2 // processes
    flags = "--xla_backend_optimization_level=0"
    return subprocess.run(
        [
            *("bash", ROOT / "launch" / "multi_gpu.sh", "-n", str(processes)),
            *("configs/quickstart.py:runlocal", workdir),
            *("--config.train.steps=2", "--config.train.log_every=1", *options),
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHON": sys.executable,
            "XLA_FLAGS": f"{flags} --xla_force_host_platform_device_count={devices}",
        },
        capture_output=True,
        text=True,
    )


def metrics(workdir):
    rows = (workdir / "metrics.jsonl").read_text().splitlines()
    return [list(json.loads(row).values()) for row in rows]


def sample(workdir):
    return np.asarray(Image.open(workdir / "samples" / "step_0000002.png"), np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("cache", ["memory", "device"])
def test_two_processes_train_as_one_and_the_first_writes(cache, tmp_path):
    option = f"--config.data.cache={cache}"
    for count in (1, 2):
        done = train(tmp_path / str(count), count, option)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("Trained 2 steps.") == 1
        assert done.stderr.count("Training on ") == 1
    one, two = tmp_path / "1", tmp_path / "2"
    assert {p.name for p in one.iterdir()} == {p.name for p in two.iterdir()}
    assert len([*(two / "tensorboard").iterdir()]) == 1
    np.testing.assert_allclose(metrics(one), metrics(two), rtol=1e-5, atol=1e-6)
    assert np.abs(sample(one) - sample(two)).max() <= 1  # Of 255 grey levels.


def test_a_batch_that_processes_cannot_share(tmp_path):
    done = train(tmp_path / "a", 2, "--config.train.batch_size=5")
    assert done.returncode == 2
    assert "A batch of 5 cannot be split over 2 devices" in done.stderr
    assert not (tmp_path / "a").exists()
