import numpy as np
import pytest

from jaxsyn.evaluate.features import RememberingInception
from jaxsyn.metrics.inception import Inception


@pytest.fixture
def looks(monkeypatch):
    """How many images the network looked at, call by call."""
    found = []

    def features(self, images):
        found.append(len(images))
        return np.full((len(images), 2048), images.mean(), np.float32)

    monkeypatch.setattr(Inception, "__call__", features)
    return found


def test_the_same_images_are_looked_at_once(looks, tmp_path):
    images = np.random.default_rng(0).uniform(-1, 1, (3, 8, 8, 1)).astype("f")
    inception = RememberingInception(weights={}, folder=tmp_path / "features")
    first = inception(images)
    again = RememberingInception(weights={}, folder=tmp_path / "features")(images)
    np.testing.assert_array_equal(first, again)
    assert looks == [3]


def test_other_images_shapes_and_weights_are_looked_at(looks, tmp_path):
    images = np.zeros((2, 8, 8, 1), np.float32)
    inception = RememberingInception(weights={}, folder=tmp_path)
    inception(images)
    inception(images + 1)
    inception(images.reshape(1, 8, 16, 1))
    other = {"kernel": np.ones(1, np.float32)}
    RememberingInception(weights=other, folder=tmp_path)(images)
    assert looks == [2, 2, 1, 2]


@pytest.mark.parametrize("place", [0, 200, -1])
def test_a_damaged_memory_is_named_and_not_believed(looks, tmp_path, place, caplog):
    images = np.zeros((2, 8, 8, 1), np.float32)
    inception = RememberingInception(weights={}, folder=tmp_path)
    first = inception(images)
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    np.testing.assert_array_equal(inception(images), first)
    assert f"{path} is damaged" in caplog.text and looks == [2, 2]
    inception(images)
    assert looks == [2, 2]
