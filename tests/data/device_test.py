"""Features: numbers by hand, and the two ways a batch can reach the step."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsyn.data import device, pipeline
from jaxsyn.data.augment import Augment
from jaxsyn.data.cache import Cache
from jaxsyn.data.preprocess import dequantise
from jaxsyn.spec import DataSpec, Label

SPEC = DataSpec(
    image_size=8,
    modalities=("t1", "t2"),
    labels=tuple(Label(name=name) for name in ("background", "lesion", "brain")),
)
KEY = jax.random.key(3)


@pytest.fixture
def slices():
    """Six random slices whose labels can be read from the image: bright is brain."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, (6, 8, 8)).astype(np.uint8)
    image = np.stack(
        [label * np.uint16(32767), rng.integers(0, 65536, label.shape)], -1
    )
    return image.astype(np.uint16), label


def test_boundaries_by_hand():
    label = jnp.array(
        [
            [
                [0, 0, 0, 0, 0],
                [0, 2, 2, 2, 0],
                [0, 2, 1, 2, 0],
                [0, 2, 2, 2, 0],
                [0, 0, 0, 0, 0],
            ],
            [[2] * 5] * 5,
            [[0, 0, 0, 0, 1]] * 5,
        ]
    )
    expected = [
        [
            [0, 1, 1, 1, 0],  # A corner touches the brain with no side.
            [1, 1, 1, 1, 1],
            [1, 1, 1, 1, 1],
            [1, 1, 1, 1, 1],
            [0, 1, 1, 1, 0],
        ],
        np.zeros((5, 5)),  # The edge of the image is no boundary.
        [[0, 0, 0, 1, 1]] * 5,
    ]
    boundary = device.boundary_map(label)
    assert (boundary.shape, boundary.dtype) == ((3, 5, 5, 1), jnp.float32)
    np.testing.assert_array_equal(boundary[..., 0], expected)


def test_features_of_a_plain_batch(slices):
    image, label = slices
    batch = jax.jit(lambda i, m: device.features(i, m, SPEC))(image, label)
    np.testing.assert_allclose(batch["image"], dequantise(image), atol=1e-7)
    assert batch["image"].min() >= -1 and batch["image"].max() <= 1
    np.testing.assert_array_equal(batch["label"], label)
    np.testing.assert_array_equal(batch["one_hot"], np.eye(3)[label])
    np.testing.assert_array_equal(
        batch["boundary"], device.boundary_map(jnp.asarray(label))
    )
    dtypes = {name: str(array.dtype) for name, array in batch.items()}
    assert dtypes == {
        "image": "float32",
        "label": "int32",
        "one_hot": "float32",
        "boundary": "float32",
    }


def test_extreme_levels_are_exact():
    image = jnp.array([0, 65535], jnp.uint16).reshape(2, 1, 1, 1)
    batch = device.features(image, jnp.zeros((2, 1, 1), jnp.uint8), SPEC)
    assert batch["image"].ravel().tolist() == [-1.0, 1.0]


def test_slices_on_the_device_give_the_same_batches_bit_for_bit(slices):
    image, label = slices
    cache = Cache(image=image, label=label, rows=(("c", 0),) * 6)
    augment = Augment(flip=0.5, rotate=10.0)
    place = {"batch_size": 4, "seed": 5}
    key = lambda step: jax.random.fold_in(KEY, step)  # noqa: E731

    @jax.jit
    def from_host(batch, key):
        return device.features(batch["image"], batch["label"], SPEC, key, augment)

    @jax.jit
    def from_device(resident, rows, key):
        return from_host(device.gather(resident, rows), key)

    resident = device.put(cache)
    batches = pipeline.batches(cache, start_step=2, **place)
    for step, batch in zip(range(2, 6), itertools.islice(batches, 4), strict=True):
        rows = pipeline.local_rows(len(cache), step, **place)
        expected = from_host(batch, key(step))
        found = from_device(resident, rows.astype(np.int32), key(step))
        jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_put_follows_a_sharding(slices):
    image, label = slices
    cache = Cache(image=image, label=label, rows=(("c", 0),) * 6)
    mesh = jax.make_mesh((2,), ("data",), devices=jax.devices()[:2])
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    resident = device.put(cache, everywhere)
    assert resident["image"].sharding.is_fully_replicated
    assert len(resident["image"].devices()) == 2


def test_augmentation_comes_before_what_is_made_of_labels(slices):
    image, label = slices
    plain = device.features(image, label, SPEC)
    flipped = device.features(image, label, SPEC, KEY, Augment(flip=1.0))
    for name in ("image", "label", "one_hot", "boundary"):
        np.testing.assert_array_equal(flipped[name], plain[name][:, :, ::-1])
