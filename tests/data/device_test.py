"""Features: numbers by hand, and the two ways a batch can reach the step."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxsyn.data import device, pipeline
from jaxsyn.data.cache import Cache
from jaxsyn.data.device import Augment
from jaxsyn.data.preprocess import dequantise
from jaxsyn.errors import UsageError
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


def augmented(slices, augment, key=KEY):
    image, label = slices
    run = jax.jit(lambda i, m, k: device.features(i, m, SPEC, k, augment))
    return jax.device_get(run(image, label, key))


def test_a_flip_exchanges_left_and_right_of_all_maps(slices):
    plain = augmented(slices, device.NONE)
    flipped = augmented(slices, Augment(flip=1.0))
    for name in ("image", "label", "one_hot", "boundary"):
        np.testing.assert_array_equal(flipped[name], plain[name][:, :, ::-1])


def test_about_half_of_the_slices_are_flipped(slices):
    image, label = (np.tile(x[:1], (400,) + (1,) * (x.ndim - 1)) for x in slices)
    batch = augmented((image, label), Augment(flip=0.5))
    flips = (batch["label"] == label[:, :, ::-1]).all(axis=(1, 2))
    kept = (batch["label"] == label).all(axis=(1, 2))
    assert (flips ^ kept).all()
    assert 150 < flips.sum() < 250


def test_augmentation_is_a_function_of_the_key(slices):
    augment = Augment(flip=0.5, shift=0.2, rotate=20.0, zoom=(0.8, 1.2))
    one, again = augmented(slices, augment), augmented(slices, augment)
    other = augmented(slices, augment, jax.random.key(4))
    np.testing.assert_array_equal(one["image"], again["image"])
    assert (one["image"] != other["image"]).any()
    assert (one["label"] != other["label"]).any()


@pytest.mark.parametrize(
    "augment",
    [
        Augment(flip=0.0, shift=0.3),
        Augment(flip=0.0, rotate=45.0),
        Augment(flip=0.5, shift=0.1, rotate=90.0, zoom=(0.7, 2.0)),
    ],
)
def test_labels_move_with_the_image(augment):
    # A disc off centre, bright in the image exactly where the label is brain.
    rows, columns = np.indices((32, 32))
    disc = (rows - 12) ** 2 + (columns - 20) ** 2 < 49
    label = np.tile(np.where(disc, 2, 0).astype(np.uint8), (16, 1, 1))
    image = np.where(label[..., None] == 2, 65535, 0).astype(np.uint16)
    batch = augmented((image, label), augment)
    moved = batch["label"] == 2
    assert (moved != disc).any(axis=(1, 2)).mean() > 0.8
    bright = batch["image"][..., 0]
    # Three pixels off the rim the two agree; at it, the image is in between.
    disc_alone = ndimage.binary_erosion(moved, np.ones((1, 3, 3)), iterations=3)
    rest_alone = ndimage.binary_erosion(~moved, np.ones((1, 3, 3)), iterations=3)
    assert disc_alone.any(axis=(1, 2)).mean() > 0.5
    assert (bright[disc_alone] > 0.999).all()
    assert (bright[rest_alone] < -0.999).all()
    # What comes in from outside is background.
    assert set(np.unique(batch["label"])) <= {0, 2}
    assert bright.min() == -1.0


def test_a_quarter_turn_and_a_shift_by_hand(monkeypatch):
    label = np.arange(16, dtype=np.uint8).reshape(1, 4, 4) % 3
    image = np.arange(16, dtype=np.uint16).reshape(1, 4, 4, 1) * 4096

    def at_most(key, shape=(), minval=0.0, maxval=1.0):
        return jnp.full(shape, maxval, jnp.float32)

    monkeypatch.setattr(device.jax.random, "uniform", at_most)
    turned = augmented((image, label), Augment(flip=0.0, rotate=90.0))
    np.testing.assert_array_equal(turned["label"][0], np.rot90(label[0], -1))
    np.testing.assert_allclose(
        turned["image"][0, ..., 0],
        np.rot90(dequantise(image)[0, ..., 0], -1),
        atol=1e-5,
    )
    moved = augmented((image, label), Augment(flip=0.0, shift=0.25))
    expected = np.zeros((4, 4), int)
    expected[1:, 1:] = label[0, :-1, :-1]
    np.testing.assert_array_equal(moved["label"][0], expected)
    np.testing.assert_allclose(moved["image"][0, 0], -1.0)
    dot = np.zeros((1, 5, 5), np.uint8)
    dot[0, 2, 2] = 1
    dots = (dot[..., None].astype(np.uint16), dot)
    grown = augmented(dots, Augment(flip=0.0, zoom=(3.0, 3.0)))
    expected = np.zeros((5, 5), int)
    expected[1:4, 1:4] = 1
    np.testing.assert_array_equal(grown["label"][0], expected)


@pytest.mark.parametrize(
    "wrong", [{"flip": 1.5}, {"shift": -0.1}, {"rotate": 200.0}, {"zoom": (1.2, 0.8)}]
)
def test_augmentations_that_make_no_sense_are_refused(wrong):
    with pytest.raises(UsageError, match="makes no sense.*\n.*flip and shift"):
        Augment(**wrong)
    with pytest.raises(TypeError, match="blur"):
        Augment(blur=1.0)
