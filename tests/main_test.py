"""The command as a user types it."""

import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import pytest

ROOT = Path(__file__).parent.parent


def command(workdir, *options, config="quickstart.py:runlocal"):
    return [
        sys.executable,
        "-m",
        "jaxsyn.main",
        f"--config=configs/{config}",
        f"--workdir={workdir}",
        *options,
    ]


def run(workdir, *options, config="quickstart.py:runlocal"):
    return subprocess.run(
        command(workdir, *options, config=config),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


def refused(done, code, *words):
    """Checks for an exit code, one line and a hint, and no traceback."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    message = done.stderr[done.stderr.index("jaxsyn: ") :]
    assert "\n  hint: " in message
    for word in words:
        assert word in message


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("main") / "run"
    return workdir, run(workdir)


def test_the_quickstart_ends_by_saying_where_its_pictures_are(trained):
    workdir, done = trained
    assert done.returncode == 0, done.stderr
    path = done.stdout.strip().splitlines()[-1].split()[-1]
    assert (ROOT / path).exists()
    names = {p.name for p in workdir.iterdir()}
    assert names >= {
        "config.json",
        "environment.json",
        "metrics.jsonl",
        "tensorboard",
        "samples",
        "checkpoints",
    }


def test_a_finished_run_has_nothing_left_to_do(trained):
    workdir, _ = trained
    done = run(workdir)
    assert done.returncode == 0, done.stderr


def test_another_configuration_is_refused_with_the_difference(trained):
    workdir, _ = trained
    done = run(workdir, "--config.seed=3")
    refused(done, 4, "belongs to another configuration", "seed: 0 -> 3")


def test_python_generates_from_the_workdir(trained):
    import numpy as np

    import jaxsyn

    workdir, _ = trained
    generator = jaxsyn.Generator.load(workdir)
    size = generator.spec.image_size
    labels = np.zeros((3, size, size), np.uint8)
    labels[:, 8:24, 8:24] = generator.spec.label_index("brain")
    labels[:, 12:16, 12:16] = generator.spec.label_index("enhancing")
    images = generator.generate(labels, seed=0)
    assert images.shape == (3, size, size, 4)
    for i, intensity in enumerate(generator.spec.intensities):
        assert images[..., i].min() >= intensity.low - 1e-3
        assert images[..., i].max() <= intensity.high + 1e-3
    one_by_one = generator.generate(labels, seed=0, batch_size=1)
    np.testing.assert_allclose(images, one_by_one, rtol=1e-3, atol=1.0)
    single = generator.generate(labels[0], seed=0)
    np.testing.assert_allclose(single, images[0], rtol=1e-3, atol=1.0)
    assert np.abs(generator.generate(labels, seed=1) - images).max() > 1.0
    with pytest.raises(jaxsyn.errors.DataError, match=r"label values \[9\]"):
        generator.generate(np.full((size, size), 9))
    with pytest.raises(jaxsyn.errors.DataError, match="expected"):
        generator.generate(np.zeros((5, 5), int))
    with pytest.raises(jaxsyn.errors.DataError, match="expected integers"):
        generator.generate(np.zeros((size, size)))


def test_a_signal_saves_and_exits_with_75_and_the_command_goes_on(tmp_path):
    options = (
        "--config.train.steps=1000000",
        "--config.train.checkpoint_every=1000000",
    )
    process = subprocess.Popen(
        command(tmp_path / "run", *options),
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    metrics = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        if metrics.exists() and metrics.read_text().count("\n") >= 2:
            break
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 75, errors
    assert "Stopped by SIGTERM after step" in errors
    (saved,) = (int(p.name) for p in (tmp_path / "run" / "checkpoints").iterdir())
    assert f"after step {saved}" in errors
    done = run(tmp_path / "run", f"--config.train.steps={saved + 2}")
    assert done.returncode == 0, done.stderr
    assert f"Trained {saved + 2} steps" in done.stdout


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--config.train.stepz=3"], 2, ["stepz"]),
        (["--config.system.nfg=3"], 2, ["nfg"]),
        (["--config.system.name=spde"], 2, ["'spde'", "Did you mean 'spade'?"]),
        (["--config.job=trian"], 2, ["trian", "train"]),
        (["--config.train.batch_size=many"], 2, ["batch_size"]),
        (["--config.data.phantom.patients=0"], 3, ["BraTS", "phantom.patients"]),
        (["--config.data.source_dir=nowhere"], 3, ["nowhere"]),
        (["--config.data.source=brast"], 2, ["brast", "brats"]),
        (["--config.data.prepare.fit=pad"], 3, ["padded", "image_size"]),
        (["stray"], 2, ["stray"]),
    ],
)
def test_what_is_wrong_is_said_in_a_line_and_a_hint(tmp_path, options, code, words):
    refused(run(tmp_path / "run", *options), code, *words)


def test_a_configuration_that_does_not_exist(tmp_path):
    refused(run(tmp_path / "run", config="nothing.py"), 2, "nothing.py")


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_workdir_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    refused(run(tmp_path / "run"), 5, "Permission denied")


def test_the_same_command_trains_on_real_cases(real_data, tmp_path):
    done = run(
        tmp_path / "run",
        f"--config.data.source_dir={real_data / 'brats2021'}",
        f"--config.data.prepared_dir={tmp_path / 'prepared'}",
        "--config.data.jobs=2",
    )
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "run" / "samples").glob("*.png"))
