"""Killed at any moment, a job leaves nothing broken, and ends as if undisturbed.

Each job is killed (SIGKILL) at random moments of a seeded generator, started again with
the same command, and killed again, until it has ended; then again from the start, until
it was killed often enough. `JAXSYN_KILLS` says how often that is:

    JAXSYN_KILLS=20 pytest -m "slow or not slow" tests/promises/crash_test.py
"""

import hashlib
import os
from pathlib import Path
import random
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from jaxsyn import integrity
from jaxsyn.data.prepared import PreparedSet
from jaxsyn.engine.checkpoint import Checkpoints

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("JAXSYN_KILLS", "2"))
PREPARE = """
import pathlib, sys
from jaxsyn.data import prepare, sources
from jaxsyn.data.preprocess import PrepareSettings

cases, out = map(pathlib.Path, sys.argv[1:])
settings = PrepareSettings(image_size=32, fit="resize")
prepare.prepare(sources.load("brats"), cases, settings, out_dir=out, jobs=1)
"""
TRAIN = "--config.train.steps=24 --config.train.checkpoint_every=2"
TRAIN += " --config.train.sample_every=8 --config.train.log_every=1"


def main(config, folder, *options):
    names = [sys.executable, "-m", "jaxsyn.main", f"--config=configs/{config}"]
    return [*names, f"--workdir={folder}", *options]


def train(folder, made):
    prepared = f"--config.data.prepared_dir={made / 'prepared'}"
    return main("quickstart.py:runlocal", folder, prepared, *TRAIN.split())


def prepare(folder, made):
    return [sys.executable, "-c", PREPARE, str(made / "cases"), str(folder)]


def synthesize(folder, made):
    prepared = f"--config.data.prepared_dir={made / 'prepared'}"
    generator = f"--config.generator={made / 'generator'}"
    return main("synthesize_brats.py:runlocal", folder, prepared, generator)


def experiment(folder, made):
    return main("experiments/contest.py:runlocal,systems=pix2pix", folder)


def restorable(folder):
    """Every checkpoint there is can be restored."""
    if (folder / "checkpoints").exists():
        checkpoints = Checkpoints(folder / "checkpoints", readonly=True)
        for step in sorted(int(p.name) for p in _steps(folder / "checkpoints")):
            checkpoints.restore_arrays(step)


def _steps(folder):
    return [path for path in folder.iterdir() if path.name.isdigit()]


def trained(folder):
    checkpoints = Checkpoints(folder / "checkpoints", readonly=True)
    arrays = jax.tree.leaves(checkpoints.restore_arrays(24))
    content = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
    pictures = hashes(folder / "samples", "*.png")
    return {
        "weights": hashlib.sha256(content).hexdigest(),
        "metrics": (folder / "metrics.jsonl").read_text(),
        **pictures,
    }


def hashes(folder, pattern):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob(pattern))
        if path.is_file()
    }


def prepared(folder):
    """The files that there are, no more and no fewer, and what the slices are.

    Memos of hashes are left out: one is written of files that have not changed for some
    seconds, so whether it is there is a matter of the clock.
    """
    memos = ("fingerprints.json", integrity.MEMO)
    names = {name for name in hashes(folder, "*") if Path(name).name not in memos}
    (path,) = (file.parent for file in folder.glob("*/manifest.json"))
    found = PreparedSet.open(path)
    contents = {}
    for part in found.counts:
        slices = found.cache(part)
        arrays = (slices.image, slices.label, slices.position)
        content = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
        contents[part] = hashlib.sha256(content).hexdigest(), list(slices.rows)
    return {"names": names, **contents}


def synthesised(folder):
    return hashes(folder, "*.nii.gz")


def experimented(folder):
    """All tables but that of seconds."""
    tables = hashes(folder, "*.csv")
    del tables["tables/costs.csv"]
    return tables


JOBS = {
    "training": (train, trained),
    "preparing": (prepare, prepared),
    "synthesis": (synthesize, synthesised),
    "experiment": (experiment, experimented),
}
LONG = ("training", "synthesis", "experiment")


def finish(command):
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr[-3000:]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What jobs start from."""
    folder = tmp_path_factory.mktemp("made")
    phantom = [sys.executable, "-m", "jaxsyn.data.phantom", "--patients", "3"]
    size = ["--seed", "0", "--spacing", "5", "--shape", "48", "48", "31"]
    finish([*phantom, *size, "--out", str(folder / "cases")])
    return folder


def run_and_kill(command, seconds):
    """Runs a command; returns whether it had to be killed after so many seconds."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return True
    assert process.returncode == 0, said.decode()[-3000:]
    return False


@pytest.mark.parametrize(
    "job",
    [pytest.param(j, marks=[pytest.mark.slow] if j in LONG else []) for j in JOBS],
)
def test_killed_at_random_it_ends_as_if_undisturbed(
    job, made, tmp_path, record_property
):
    command_of, result_of = JOBS[job]
    if job == "synthesis":
        finish(train(made / "generator", made))
    finish(command_of(tmp_path / "first", made))  # Compiled once, it takes less.
    began = time.monotonic()
    finish(command_of(tmp_path / "undisturbed", made))
    took = time.monotonic() - began
    expected = result_of(tmp_path / "undisturbed")
    assert expected and result_of(tmp_path / "first") == expected
    rng, kills, rounds = random.Random(f"crash {job}"), 0, 0
    while kills < KILLS:
        folder, rounds = tmp_path / f"killed{rounds}", rounds + 1
        command = command_of(folder, made)
        while run_and_kill(command, rng.uniform(0.0, took) if kills < KILLS else None):
            kills += 1
            for manifest in folder.rglob(integrity.MANIFEST):
                assert not integrity.damage(manifest.parent)
            restorable(folder)
        assert result_of(folder) == expected
    record_property("attempts", kills)
    print(f"{job}: killed {kills} times in {rounds} rounds of {took:.0f} s; 0 failures")
