"""The records: an ordinary TFDS data set that notices damage."""

import json

import numpy as np
import pytest
import tensorflow_datasets as tfds

from jaxsyn.data import builders
from jaxsyn.data.preprocess import PrepareSettings, prepare_case
from jaxsyn.errors import DataError
from toy_cases import volumes


@pytest.fixture
def staged(tmp_path):
    """Two staged cases: their files and contents."""
    cases = []
    for seed in range(2):
        prepared = prepare_case(
            volumes(seed), PrepareSettings(image_size=16), case=f"c{seed}", patient="p"
        )
        path = tmp_path / f"{seed}.npz"
        info = json.dumps(prepared.info.to_json())
        np.savez(path, image=prepared.image, label=prepared.label, info=info)
        cases.append((path, prepared))
    return cases


def write(folder, staged, shards):
    done = []
    builders.write(
        folder, shards, image_size=16, channels=4, on_case=lambda: done.append(1)
    )
    return len(done)


def test_examples_come_back_in_order(tmp_path, staged):
    (one, first), (two, second) = staged
    shards = {"train": [(two, [0, 2]), (one, [1])], "test": [(one, [0])], "empty": []}
    assert write(tmp_path / "records", staged, shards) == 3
    found = list(builders.read(tmp_path / "records", "train"))
    expected = [(second, 0), (second, 2), (first, 1)]
    assert len(found) == 3
    for example, (prepared, row) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(example["image"], prepared.image[row])
        np.testing.assert_array_equal(example["label"], prepared.label[row])
        assert example["case"].decode() == prepared.info.case
        assert example["slice"] == prepared.info.kept[row]


def test_others_can_read_it_with_tfds(tmp_path, staged):
    write(tmp_path / "records", staged, {"train": [(staged[0][0], [0, 1])]})
    [directory] = (tmp_path / "records" / "slices").glob("*/*")
    builder = tfds.builder_from_directory(directory)
    assert builder.info.splits["train"].num_examples == 2
    assert builder.info.features["image"].dtype == np.uint16


def test_a_damaged_record_is_noticed(tmp_path, staged):
    folder = tmp_path / "records"
    write(folder, staged, {"train": [(staged[0][0], [0, 1, 2])]})
    [shard] = folder.glob("**/*array_record*")
    whole = shard.read_bytes()
    used = [at for at, byte in enumerate(whole) if byte]  # The rest is padding.
    intact = [example["image"] for example in builders.read(folder, "train")]
    noticed = 0
    for at in used[::31]:
        damaged = bytearray(whole)
        damaged[at] ^= 4
        shard.write_bytes(damaged)
        try:
            found = [example["image"] for example in builders.read(folder, "train")]
            np.testing.assert_array_equal(found, intact)
        except DataError as error:
            assert "cannot be read" in str(error)
            noticed += 1
    assert noticed >= 0.9 * len(used[::31]) > 20


def test_a_missing_set_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read.*"):
        list(builders.read(tmp_path, "train"))
