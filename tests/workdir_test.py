import json
import os

import pytest

from jaxsyn import workdir
from jaxsyn.errors import CheckpointError, ResourceError

CONFIG = {"seed": 0, "train": {"steps": 10, "batch_size": 8}}


def test_the_same_configuration_is_recognised(tmp_path):
    workdir.claim(tmp_path / "run", CONFIG)
    workdir.claim(tmp_path / "run", CONFIG, data="of these cases")
    assert json.loads((tmp_path / "run/config.json").read_text()) == CONFIG
    record = json.loads((tmp_path / "run/environment.json").read_text())
    assert record["packages"]["jax"]
    assert len(record["devices"]) == 4
    assert record["data"] == "of these cases"


def test_another_is_refused_with_the_difference(tmp_path):
    workdir.claim(tmp_path, CONFIG)
    other = {"seed": 1, "train": {"steps": 10, "batch_size": 4}}
    with pytest.raises(CheckpointError, match="belongs to another") as error:
        workdir.claim(tmp_path, other)
    assert "seed: 0 -> 1" in str(error.value)
    assert "train.batch_size: 8 -> 4" in str(error.value)
    assert "steps" not in str(error.value)


def test_a_run_may_be_made_longer(tmp_path):
    workdir.claim(tmp_path, CONFIG)
    longer = {"seed": 0, "train": {"steps": 20, "batch_size": 8}}
    workdir.claim(tmp_path, longer)
    assert json.loads((tmp_path / "config.json").read_text()) == longer


def test_tuples_compare_equal_after_a_trip_through_json(tmp_path):
    config = {"system": {"regions": (("a",), ("b", "c"))}}
    workdir.claim(tmp_path, config)
    workdir.claim(tmp_path, config)
    assert (tmp_path / "config.json").exists()


def test_a_folder_that_cannot_be_written_is_a_resource_error(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ResourceError, match="a file is in its way"):
        workdir.claim(blocked / "run", CONFIG)
    assert not os.path.exists(blocked / "run")
