"""The training job on the phantom, in this process."""

import json

import jax
import numpy as np
import pytest

from configs import quickstart, wgan3d_brats
from jaxsyn import train
from jaxsyn import workdir as workdir_lib
from jaxsyn.data.prepared import PreparedSet
from jaxsyn.engine.checkpoint import Checkpoints
from jaxsyn.errors import CheckpointError, DataError, UsageError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("train")


def run(folder, name, steps, **data):
    config = quickstart.get_config("runlocal")
    config.data.prepared_dir = str(folder / "prepared")
    config.data.update(data)
    config.train.update({"steps": steps, "log_every": 1, "checkpoint_every": 100})
    config.train.ema = {"generator": 0.99}
    train.run(config, folder / name)
    checkpoints = Checkpoints(folder / name / "checkpoints", readonly=True)
    metrics = (folder / name / "metrics.jsonl").read_text()
    return checkpoints.restore_arrays(steps), metrics


@pytest.fixture(scope="module")
def whole(folder):
    return run(folder, "whole", 6)


def assert_equal(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_three_and_three_steps_are_six_bit_for_bit(folder, whole):
    state, metrics = whole
    run(folder, "parts", 3)
    again, measured = run(folder, "parts", 6)
    assert set(state) >= {"params", "ema", "opt", "stats", "step"}
    assert_equal(state, again)
    assert metrics == measured
    rows = map(json.loads, metrics.splitlines())
    steps = [row["step"] for row in rows if "generator/grad_norm" in row]
    assert steps == [*range(1, 7)]


@pytest.mark.parametrize("cache", ["device", "mmap"])
def test_where_the_slices_are_kept_changes_nothing(folder, whole, cache):
    state, metrics = run(folder, cache, 6, cache=cache)
    assert_equal(whole[0], state)
    assert whole[1] == metrics


def test_a_prepared_set_can_be_named_itself(folder, whole):
    (path,) = (
        p.parent
        for p in (folder / "prepared").glob("*/manifest.json")
        if PreparedSet.open(p.parent).spec.image_size == 32
    )
    state, _ = run(folder, "named", 6, prepared_dir=str(path))
    assert_equal(whole[0], state)


def test_data_that_cannot_be_used_leave_the_folder_free(folder, tmp_path):
    with pytest.raises(DataError, match="no folder"):
        run(folder, "unclaimed", 2, source_dir=str(tmp_path / "absent"))
    assert not (folder / "unclaimed").exists()


def test_another_configuration_is_refused_before_data_are_looked_at(folder, tmp_path):
    workdir_lib.claim(folder / "taken", {"job": "train"})
    with pytest.raises(CheckpointError, match="belongs to another configuration"):
        run(folder, "taken", 2, source_dir=str(tmp_path / "absent"))


@pytest.mark.parametrize(
    ("config", "depth", "works_on"),
    [(quickstart, 8, "slices"), (wgan3d_brats, 0, "volumes")],
)
def test_slices_are_not_for_volumes_nor_the_other_way(
    config, depth, works_on, tmp_path
):
    config = config.get_config("runlocal")
    config.depth = depth
    with pytest.raises(
        UsageError, match=f"works on {works_on}; config.depth is {depth}"
    ):
        train.run(config, tmp_path)


def test_training_has_a_length():
    with pytest.raises(UsageError, match="steps is 0 and config.train.epochs is 0"):
        train.TrainSettings(steps=0, epochs=0)
    with pytest.raises(UsageError, match="steps is 5 and config.train.epochs is 2"):
        train.TrainSettings(steps=5, epochs=2)
    assert train.TrainSettings(epochs=3, batch_size=8).total_steps(20) == 7


def test_an_unknown_dtype_lists_the_known():
    with pytest.raises(UsageError, match="dtype='float8'") as error:
        train.TrainSettings(steps=1, dtype="float8")
    assert "bfloat16" in error.value.hint


def test_a_batch_that_devices_cannot_share(folder):
    config = quickstart.get_config("runlocal")
    config.train.batch_size = 6
    with pytest.raises(UsageError, match="A batch of 6 cannot be split over 4"):
        train.run(config, folder / "batch")
    assert not (folder / "batch").exists()


def test_bfloat16_and_accumulation_train(folder):
    config = quickstart.get_config("runlocal")
    config.data.prepared_dir = str(folder / "prepared")
    config.train.update({"dtype": "bfloat16", "accumulate": 2, "batch_size": 8})
    config.train.update({"steps": 2, "log_every": 1})
    train.run(config, folder / "bf16")
    rows = (folder / "bf16" / "metrics.jsonl").read_text().splitlines()
    assert all(np.isfinite(list(json.loads(row).values())).all() for row in rows)
