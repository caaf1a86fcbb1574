import numpy as np
import pytest

from fixtures import brats_spec, label_maps
from jaxsyn.data import device
from jaxsyn.data.blocks import Blocks
from jaxsyn.data.cache import Cache
from jaxsyn.data.subset import Subset, holding
from jaxsyn.errors import DataError, UsageError

SPEC = brats_spec()


def cache_of(labels):
    count = len(labels)
    image = np.arange(count * 256 * 4, dtype=np.uint16).reshape(count, 16, 16, 4)
    return Cache(image=image, label=labels, rows=tuple(("a", i) for i in range(count)))


@pytest.fixture
def cache():
    labels = label_maps(5)
    labels[[0, 1, 3]] = np.where(labels[[0, 1, 3]] == 1, 4, labels[[0, 1, 3]])
    return cache_of(labels)  # Slices 2 and 4 alone hold label 1.


def test_slices_that_hold_a_label(cache):
    some = holding(cache, SPEC, ["necrotic"])
    assert len(some) == 2 and some.rows == (("a", 2), ("a", 4))
    np.testing.assert_array_equal(some.image[np.array([1])], cache.image[[4]])
    np.testing.assert_allclose(some.position[np.array([0, 1])], [0.5, 1.0])
    assert len(holding(cache, SPEC, ["necrotic", "brain"])) == 5


def test_volumes_that_hold_a_label():
    labels = label_maps(8)
    labels[labels == 1] = 4
    labels[7, 5, 5] = 1
    some = holding(Blocks(cache_of(labels), 4), SPEC, ["necrotic"])
    assert some.rows == (("a", 4),)
    np.testing.assert_array_equal(some.label[np.array([0])], labels[None, 4:])


def test_it_can_reside_on_the_device(cache):
    resident = device.put(Subset(cache, np.array([3, 1])))
    np.testing.assert_array_equal(resident["label"], cache.label[[3, 1]])
    assert resident["image"].dtype == np.uint16


def test_labels_that_there_are_not(cache):
    with pytest.raises(UsageError, match="No label 'core'"):
        holding(cache, SPEC, ["core"])
    blank = cache_of(np.zeros((3, 16, 16), np.uint8))
    with pytest.raises(DataError, match="None of 3 slices or volumes holds brain"):
        holding(blank, SPEC, ["brain"])
