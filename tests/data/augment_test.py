"""Augmentation: landmarks by hand, and what must hold whatever is drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxsyn.data import augment as augment_lib
from jaxsyn.data.augment import NONE, PRESETS, Augment
from jaxsyn.errors import UsageError

KEY = jax.random.key(3)


def apply(augment, image, label, key=KEY):
    return jax.device_get(jax.jit(augment.apply)(image, label, key))


def random_examples(shape, seed=0):
    """Images [*shape, 2] in [-1, 1] and labels of which there is no 2."""
    rng = np.random.default_rng(seed)
    image = rng.uniform(-1, 1, (*shape, 2)).astype(np.float32)
    return image, rng.choice(np.array([0, 1, 3], np.int32), shape)


def disc(size=32, row=12, column=20, radius=7):
    """A disc off centre, bright in the image exactly where the label is 2."""
    rows, columns = np.indices((size, size))
    inside = (rows - row) ** 2 + (columns - column) ** 2 < radius**2
    label = np.tile(np.where(inside, 2, 0).astype(np.int32), (16, 1, 1))
    return np.where(label[..., None] == 2, 1.0, -1.0).astype(np.float32), label


def always(monkeypatch, share):
    """Every uniform number is drawn at this share of its range."""

    def drawn(key, shape=(), minval=0.0, maxval=1.0):
        return jnp.full(shape, minval + share * (maxval - minval), jnp.float32)

    monkeypatch.setattr(augment_lib.jax.random, "uniform", drawn)


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 4, 8, 8)])
def test_nothing_is_changed_where_all_is_off(shape):
    image, label = random_examples(shape)
    same, same_label = apply(NONE, image, label)
    np.testing.assert_array_equal(same, image)
    np.testing.assert_array_equal(same_label, label)


@pytest.mark.parametrize("shape", [(3, 8, 6), (2, 4, 8, 6)])
def test_flips_mirror_exactly(shape):
    image, label = random_examples(shape)
    flipped, flipped_label = apply(Augment(flip=1.0), image, label)
    np.testing.assert_array_equal(flipped, image[..., ::-1, :])
    np.testing.assert_array_equal(flipped_label, label[..., ::-1])
    upright = Augment(flip=0.0, flip_vertical=1.0)
    flipped, flipped_label = apply(upright, image, label)
    np.testing.assert_array_equal(flipped, image[..., ::-1, :, :])
    np.testing.assert_array_equal(flipped_label, label[..., ::-1, :])


def test_about_half_are_flipped_and_the_two_ways_independently():
    image, label = (
        np.tile(x, (400, 1, 1, 1)[: x.ndim]) for x in random_examples((1, 4, 4))
    )
    _, found = apply(Augment(flip=0.5, flip_vertical=0.5), image, label)
    ways = [label, label[:, :, ::-1], label[:, ::-1], label[:, ::-1, ::-1]]
    counts = [(found == way).all(axis=(1, 2)).sum() for way in ways]
    assert sum(counts) == 400
    assert min(counts) > 70


def test_a_quarter_turn_by_hand(monkeypatch):
    always(monkeypatch, 1.0)
    image, label = random_examples((1, 4, 4))
    turned, turned_label = apply(Augment(flip=0.0, rotate=90.0), image, label)
    np.testing.assert_array_equal(turned_label[0], np.rot90(label[0], -1))
    np.testing.assert_allclose(turned[0], np.rot90(image[0], -1), atol=1e-5)


def test_a_shift_by_hand(monkeypatch):
    always(monkeypatch, 1.0)
    image, label = random_examples((1, 4, 8))
    moved, moved_label = apply(Augment(flip=0.0, shift=0.25), image, label)
    np.testing.assert_array_equal(moved_label[0, 1:, 2:], label[0, :-1, :-2])
    np.testing.assert_allclose(moved[0, 1:, 2:], image[0, :-1, :-2], atol=1e-6)
    # What comes in is background.
    assert not moved_label[0, 0].any() and not moved_label[0, :, :2].any()
    assert (moved[0, 0] == -1).all() and (moved[0, :, :2] == -1).all()


@pytest.mark.parametrize(
    "augment", [Augment(flip=0.0, zoom=(3.0, 3.0)), Augment(flip=0.0, stretch=0.5)]
)
def test_magnification_by_hand(monkeypatch, augment):
    always(monkeypatch, 1.0)
    times = augment.zoom[1] * (1 + augment.stretch)
    label = np.zeros((1, 9, 9), np.int32)
    label[0, 3:6, 3:6] = 1
    _, grown = apply(augment, label[..., None] * 2.0 - 1.0, label)
    # Three pixels across become nine, or four and a half: the five nearest.
    inside = np.abs(np.arange(9) - 4) < 1.5 * times
    np.testing.assert_array_equal(grown[0], np.outer(inside, inside))


def test_a_shear_by_hand(monkeypatch):
    always(monkeypatch, 1.0)
    augment = Augment(flip=0.0, shear=0.25)
    source = augment_lib._coordinates(KEY, augment, (5, 9))
    # From the centre to a corner of 5 rows by 9 columns it is 2 and 4 pixels: the
    # rows slide by 5/9 of a quarter of 4, the columns by 9/5 of a quarter of 2.
    np.testing.assert_allclose(source[:, 4, 8], [4 + 5 / 9, 8 + 0.9], rtol=1e-6)
    np.testing.assert_allclose(source[:, 2, 4], [2, 4], rtol=1e-6)


WARPS = {
    "shift": Augment(flip=0.0, shift=0.3),
    "rotate": Augment(flip=0.0, rotate=45.0),
    "stretch and shear": Augment(flip=0.0, stretch=0.3, shear=0.3),
    "elastic": Augment(flip=0.0, elastic=2.0, elastic_sigma=8.0),
    "all": Augment(
        flip_vertical=0.5,
        shift=0.1,
        rotate=90.0,
        zoom=(0.7, 2.0),
        shear=0.1,
        elastic=1.0,
    ),
}


@pytest.mark.parametrize("augment", WARPS.values(), ids=WARPS)
def test_labels_move_with_the_image(augment):
    image, label = disc()
    warped, moved = apply(augment, image, label)
    moved = moved == 2
    assert (moved != (label == 2)).any(axis=(1, 2)).mean() > 0.8
    bright = warped[..., 0]
    # Three pixels off the rim the two agree; at it, the image is in between.
    disc_alone = ndimage.binary_erosion(moved, np.ones((1, 3, 3)), iterations=3)
    rest_alone = ndimage.binary_erosion(~moved, np.ones((1, 3, 3)), iterations=3)
    assert disc_alone.any(axis=(1, 2)).mean() > 0.5
    assert (bright[disc_alone] > 0.999).all()
    assert (bright[rest_alone] < -0.999).all()


def test_a_landmark_of_one_voxel_moves_with_its_label(monkeypatch):
    always(monkeypatch, 1.0)
    label = np.zeros((1, 4, 8, 8), np.int32)
    label[0, 1, 3, 4] = 3
    image = np.where(label[..., None] == 3, 1.0, -1.0).astype(np.float32)
    # Shifted by 1, 2 and 2 voxels, the slice turned about (3.5, 3.5) before:
    # column 4 becomes row 4, and row 3 column 7 - 3.
    augment = Augment(flip=0.0, shift=0.25, rotate=90.0)
    warped, moved = apply(augment, image, label)
    assert np.argwhere(moved).tolist() == [[0, 2, 6, 6]]
    np.testing.assert_allclose(warped[0, 2, 6, 6], 1.0, atol=1e-5)
    assert (warped > -0.999).sum() == 1


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("shape", [(4, 12, 12), (2, 6, 12, 12)])
def test_presets_keep_ranges_and_label_values(name, shape):
    image, label = random_examples(shape)
    changed, changed_label = apply(PRESETS[name], image, label)
    assert (changed.shape, changed.dtype) == (image.shape, image.dtype)
    assert (changed_label.shape, changed_label.dtype) == (label.shape, label.dtype)
    assert np.abs(changed).max() <= 1.0
    assert set(np.unique(changed_label)) <= {0, 1, 3}
    same = (changed == image).all() and (changed_label == label).all()
    assert same == (PRESETS[name] == NONE)


@pytest.mark.parametrize("shape", [(4, 12, 12), (2, 6, 12, 12)])
def test_changes_are_a_function_of_the_key_and_differ_between_examples(shape):
    one = tuple(np.repeat(x[:1], shape[0], axis=0) for x in random_examples(shape))
    for name in ("classical", "004-geometric", "004-noise", "004-intensity"):
        augment = PRESETS[name]
        found, again = apply(augment, *one), apply(augment, *one)
        jax.tree.map(np.testing.assert_array_equal, found, again)
        other = apply(augment, *one, key=jax.random.key(4))
        assert (found[0] != other[0]).any()
        assert (found[0][0] != found[0][1]).any()


def test_an_elastic_displacement_has_its_deviation_and_is_smooth():
    augment = Augment(flip=0.0, elastic=1.5, elastic_sigma=8.0)
    keys = jax.random.split(KEY, 64)
    source = jax.vmap(lambda k: augment_lib._coordinates(k, augment, (40, 24)))(keys)
    moved = np.asarray(source) - np.indices((40, 24))
    assert abs(moved.mean()) < 0.1
    # The same everywhere, the border included, where fewer knots are near.
    np.testing.assert_allclose(moved.std(axis=(0, 1)).mean(), 1.5, rtol=0.05)
    np.testing.assert_allclose(
        moved.std(axis=(0, 1))[[0, 20, -1]].mean(1), 1.5, rtol=0.2
    )
    # Neighbours differ by elastic / (sqrt(2) sigma): the covariance is that of
    # exp(-d^2 / (4 sigma^2)).
    steps = np.diff(moved, axis=2)
    np.testing.assert_allclose(steps.std(), 1.5 / (np.sqrt(2) * 8), rtol=0.1)


def test_remap_is_a_rising_curve_from_background_to_the_brightest():
    ramp = np.linspace(-1, 1, 201, dtype=np.float32)
    image = np.broadcast_to(ramp[:, None, None], (5, 201, 1, 3))
    label = np.zeros(image.shape[:-1], np.int32)
    curves, _ = apply(Augment(flip=0.0, remap=0.8), image, label)
    assert (curves[:, 0] == -1.0).all()
    np.testing.assert_allclose(curves[:, -1], 1.0, atol=1e-6)
    assert (np.diff(curves, axis=1) > 0).all()
    assert np.abs(curves - image).max() > 0.2
    assert np.ptp(curves[:, 100, 0], axis=1).min() > 0  # A curve for each channel.


def test_a_remapped_intensity_by_hand(monkeypatch):
    slopes = jnp.array([1.0, -1.0, 0.0, -0.5]).reshape(4, 1, 1, 1)
    monkeypatch.setattr(
        augment_lib.jax.random, "uniform", lambda *args, **kwargs: slopes
    )
    # Slopes 1.5, 0.5, 1 and 0.75 have the mean 0.9375, each over half a unit.
    values = np.array([-1.0, -0.5, 0.0, 0.25, 1.0], np.float32).reshape(1, 5, 1, 1)
    found, _ = apply(
        Augment(flip=0.0, remap=0.5), values, np.zeros((1, 5, 1), np.int32)
    )
    rises = np.array([0.0, 0.75, 1.0, 1.25, 1.875]) / 0.9375
    np.testing.assert_allclose(found.ravel(), rises - 1.0, rtol=1e-6)


def test_noise_has_its_deviation_and_leaves_labels_alone():
    image, label = np.zeros((2, 64, 64, 2), np.float32), np.ones((2, 64, 64), np.int32)
    noisy, same = apply(Augment(flip=0.0, noise=0.1), image, label)
    np.testing.assert_allclose(noisy.std(), 0.1, rtol=0.03)
    assert abs(noisy.mean()) < 0.005
    np.testing.assert_array_equal(same, label)


@pytest.mark.parametrize(
    "wrong",
    [
        {"flip": 1.5},
        {"flip_vertical": -0.5},
        {"shift": -0.1},
        {"rotate": 200.0},
        {"stretch": 0.6},
        {"shear": 1.0},
        {"elastic": 4.5},
        {"elastic": 1.0, "elastic_sigma": 3.0},
        {"noise": float("nan")},
        {"remap": 1.1},
    ],
)
def test_augmentations_that_make_no_sense_are_refused(wrong):
    name = next(iter(wrong))
    with pytest.raises(UsageError, match=rf"augment\.{name} is .*\n.*between 0 and"):
        Augment(**wrong)


def test_wrong_zooms_and_unknown_names_are_refused():
    for zoom in ((1.2, 0.8), (0.0, 1.0)):
        with pytest.raises(UsageError, match=r"augment\.zoom is .*\n.*smallest"):
            Augment(zoom=zoom)
    with pytest.raises(TypeError, match="blur"):
        Augment(blur=1.0)
