"""Contiguous arrays: what is written is what is read."""

import numpy as np
import pytest

from jaxsyn import integrity
from jaxsyn.data import cache as cache_lib
from jaxsyn.data.cache import Cache
from jaxsyn.errors import DataError


def examples(count):
    for i in range(count):
        yield {
            "image": np.full((4, 4, 2), 1000 * i, np.uint16),
            "label": np.full((4, 4), i, np.uint8),
            "case": b"c%d" % (i // 2),
            "slice": np.int32(i % 2),
        }


def write(folder, count=3, given=3):
    cache_lib.write(folder, examples(given), count=count, image_size=4, channels=2)


@pytest.mark.parametrize("in_memory", [False, True])
def test_arrays_come_back(tmp_path, in_memory):
    write(tmp_path / "train")
    cache = Cache.open(tmp_path / "train", in_memory=in_memory)
    assert len(cache) == 3
    assert cache.rows == (("c0", 0), ("c0", 1), ("c1", 0))
    assert cache.image.shape == (3, 4, 4, 2)
    np.testing.assert_array_equal(cache.image[:, 1, 2, 0], [0, 1000, 2000])
    np.testing.assert_array_equal(cache.label[:, 3, 3], [0, 1, 2])
    assert isinstance(cache.image, np.memmap) != in_memory
    assert not (cache.image.flags.writeable and not in_memory)


def test_an_interrupted_cache_is_not_used(tmp_path):
    def interrupted():
        yield next(examples(1))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache_lib.write(
            tmp_path / "train", interrupted(), count=2, image_size=4, channels=2
        )
    with pytest.raises(DataError, match="missing or damaged"):
        Cache.open(tmp_path / "train")
    write(tmp_path / "train")
    assert len(Cache.open(tmp_path / "train")) == 3


def test_missing_slices_are_noticed(tmp_path):
    with pytest.raises(DataError, match="2 slices in the records where 3"):
        write(tmp_path / "train", given=2)


@pytest.mark.parametrize("name", ["image.npy", "label.npy", "index.json"])
def test_a_truncated_cache_is_refused(tmp_path, name):
    write(tmp_path / "train")
    path = tmp_path / "train" / name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="damaged.*\n.*Delete that folder"):
        Cache.open(tmp_path / "train")


def test_arrays_of_another_length_are_refused(tmp_path):
    write(tmp_path / "train")
    np.save(tmp_path / "train" / "label.npy", np.zeros((2, 4, 4), np.uint8))
    integrity.write(tmp_path / "train")
    with pytest.raises(DataError, match=r"\(3, 3, 2\) rows, images and labels"):
        Cache.open(tmp_path / "train")
