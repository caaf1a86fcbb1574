"""Sliced Wasserstein: the pyramid by hand, references by loops, invariants."""

import numpy as np
import pytest

from jaxsyn.errors import UsageError
from jaxsyn.metrics import swd
from jaxsyn.metrics.swd import sliced_wasserstein

RNG = np.random.default_rng(11)


def noise(count, side, seed, channels=1):
    shape = (count, side, side, channels)
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def test_the_pyramid_adds_up_and_ends_at_16_px():
    images = noise(2, 64, 0)
    *details, last = swd.pyramid(images)
    assert [level.shape[1] for level in (*details, last)] == [64, 32, 16]
    for detail in reversed(details):
        spread = np.zeros_like(detail)
        spread[:, ::2, ::2] = 4 * last
        last = detail + swd._blur(spread)
    np.testing.assert_allclose(last, images, atol=1e-5)


def test_a_blur_mirrors_at_the_edge_pixels():
    row = np.arange(16.0, dtype=np.float32) ** 2
    image = np.broadcast_to(row[None, None, :, None], (1, 16, 16, 1))
    blurred = swd._blur(image)[0, 5, :, 0]
    # At 0: (6·0 + 2·4·1 + 2·1·4) / 16; at 1: (0 + 6·1 + 4·(0 + 4) + 9 + 1) / 16.
    np.testing.assert_allclose(blurred[:2], [1.0, 2.0])
    assert blurred[8] == pytest.approx(64 + 1)


def test_flat_images_have_no_detail():
    *details, last = swd.pyramid(np.full((1, 32, 32, 1), 0.5, np.float32))
    np.testing.assert_allclose(details[0], 0.0, atol=1e-6)
    np.testing.assert_allclose(last, 0.5, atol=1e-6)


def test_patches_are_windows_of_their_own_image():
    rows, columns = np.indices((16, 16))
    image = np.stack([rows * 16 + columns, rows * 16 + columns + 1000])[..., None]
    drawn = swd._draw(image, np.random.default_rng(0))
    assert drawn.shape == (2 * 128, 49, 1)
    offsets = (np.arange(7)[:, None] * 16 + np.arange(7)).ravel()
    np.testing.assert_array_equal(drawn[:, :, 0] - drawn[:, :1, 0], [offsets] * 256)
    assert (drawn[:128] < 256).all() and (drawn[128:] >= 1000).all()
    corners = np.unique(drawn[:, 0] % 1000)
    assert corners.min() < 20 and corners.max() > 9 * 16  # All places are reached.
    assert (corners // 16).max() <= 9 and (corners % 16).max() <= 9


def test_the_distance_of_shifted_clouds_by_hand():
    # Every projection of a cloud moved by d moves by the direction's product with d.
    rng = np.random.default_rng(0)
    cloud = rng.standard_normal((50, 49, 3)).astype(np.float32)
    moved = cloud + np.float32(0.1)
    found = swd._distance(cloud, moved, np.random.default_rng(3))
    directions = np.random.default_rng(3).standard_normal((4, 49 * 3, 128))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    assert found == pytest.approx(np.abs(0.1 * directions.sum(1)).mean(), rel=1e-4)


def test_one_channel_stands_for_three_equal_ones():
    real, fake = noise(3, 32, 0), noise(3, 32, 1) ** 3
    one = sliced_wasserstein(real, fake, seed=5)
    three = sliced_wasserstein(real.repeat(3, -1), fake.repeat(3, -1), seed=5)
    assert list(one.levels) == [32, 16] and one.n == 3
    for side in one.levels:
        assert one.levels[side] == pytest.approx(three.levels[side], rel=1e-3)
    assert one.average == pytest.approx(np.mean(list(one.levels.values())))


def test_the_scale_and_offset_of_a_set_cancel():
    real, fake = noise(3, 16, 0), noise(3, 16, 1)
    one = sliced_wasserstein(real, fake, seed=5).average
    assert sliced_wasserstein(real, 3 * fake + 7, seed=5).average == pytest.approx(
        one, rel=1e-3
    )
    assert sliced_wasserstein(real, fake, seed=6).average != one


def test_batches_of_images_make_no_difference_to_the_pyramid(monkeypatch):
    monkeypatch.setattr(swd, "_IMAGES", 2)
    counted = [p.shape[0] for _, p in swd._patches(noise(5, 32, 0), RNG)]
    assert counted == [5 * 128] * 2


def test_a_blur_shows_in_the_finest_level():
    real = noise(8, 64, 0)
    same = sliced_wasserstein(real, noise(8, 64, 1)).levels
    blurred = sliced_wasserstein(real, swd._blur(noise(8, 64, 1))).levels
    assert blurred[64] > 2 * same[64]
    assert blurred[16] == pytest.approx(same[16], rel=0.3)


@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        ((2, 16, 16, 1), (3, 16, 16, 1), "are .2, 16, 16, 1. and .3"),
        ((2, 48, 48, 1), (2, 48, 48, 1), "48x48 px have no pyramid"),
        ((2, 16, 32, 1), (2, 16, 32, 1), "16x32 px"),
        ((2, 16, 16, 4), (2, 16, 16, 4), "are .2, 16, 16, 4"),
    ],
)
def test_images_without_a_pyramid_are_refused(real, fake, message):
    with pytest.raises(UsageError, match=message):
        sliced_wasserstein(np.ones(real), np.ones(fake))


def test_constant_images_are_refused():
    with pytest.raises(UsageError, match="constant"):
        sliced_wasserstein(noise(2, 16, 0), np.ones((2, 16, 16, 1)))
