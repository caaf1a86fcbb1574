"""Adaptive augmentation: what it moves, what it leaves, and how strong it becomes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsyn.nn import ada

KEY = jax.random.key(0)
IMAGES = jax.random.uniform(KEY, (8, 16, 16, 3), minval=-1.0)


def augment(images, probability, key=KEY, colours=2):
    return jax.jit(ada.augment, static_argnames="colours")(
        images, key, jnp.float32(probability), colours=colours
    )


def test_a_probability_of_zero_changes_no_bit():
    np.testing.assert_array_equal(augment(IMAGES, 0.0), IMAGES)


def test_each_image_is_changed_in_its_own_way():
    same = augment(IMAGES[:1].repeat(8, 0), 1.0)
    others = jnp.abs(same - same[:1]).max(axis=(1, 2, 3))[1:]
    assert (others > 0.05).all()


def test_some_are_left_at_a_small_probability():
    images = augment(IMAGES[:1].repeat(400, 0), 0.05)
    left = (images == IMAGES[:1]).all(axis=(1, 2, 3)).mean()
    # Five changes happen with 0.05, and with that one of two rotations; of the blits a
    # shift is none in 1 of 16 cases, a quarter turn in 1 of 4, and a flip in 1 of 2.
    blits = (1 - 0.05 * 15 / 16) * (1 - 0.05 * 3 / 4) * (1 - 0.05 / 2)
    assert abs(left - 0.95**6 * blits) < 0.07


def test_all_channels_move_alike_but_only_colours_change():
    channel = IMAGES[..., :1].repeat(3, -1)
    moved = augment(channel, 1.0)
    for image in moved:
        # The first two have one brightness and one contrast, which the third has not.
        slope, offset = np.polyfit(image[..., 2].ravel(), image[..., 0].ravel(), 1)
        line = slope * image[..., 2] + offset
        np.testing.assert_allclose(image[..., 0], line, atol=1e-4)
        np.testing.assert_array_equal(image[..., 0], image[..., 1])
        assert abs(slope - 1.0) + abs(offset) > 1e-3
    uncoloured = augment(channel, 1.0, colours=0)
    np.testing.assert_allclose(uncoloured[..., 0], moved[..., 2], atol=1e-6)


def test_what_is_moved_stays_within_its_range():
    moved = augment(IMAGES, 1.0, colours=0)
    assert float(jnp.abs(moved).max()) <= 1.0  # Nothing comes in but mirror images.
    assert (moved.std(axis=(1, 2, 3)) > 0.05).all()


def test_blits_are_exact():
    # Whatever they are: the pixels are those of the image, mirrored beyond its edge.
    grid = jnp.arange(16.0) - 7.5
    rows, columns = jnp.meshgrid(grid, grid, indexing="ij")
    found = set()
    for seed in range(30):
        at = ada._blit(rows, columns, jax.random.key(seed), 1.0, 16)
        for along in at:
            np.testing.assert_array_equal(along * 2 % 2, 1.0)  # At pixels' centres.
        step = tuple(float(a[1, 0] - a[0, 0]) for a in at)
        step += tuple(float(a[0, 1] - a[0, 0]) for a in at)
        found.add(step)
    turned, straight = (0.0, 1.0), (1.0, 0.0)
    assert {tuple(map(abs, step[:2])) for step in found} == {turned, straight}
    assert len(found) == 8  # Four turns, each with and without a flip.


def test_gradients_reach_the_images():
    def energy(images):
        return jnp.square(augment(images, 1.0)).sum()

    direction = jax.random.normal(jax.random.key(1), IMAGES.shape)
    slope = jnp.vdot(jax.grad(energy)(IMAGES), direction)
    higher, lower = (energy(IMAGES + step * direction) for step in (0.01, -0.01))
    np.testing.assert_allclose(slope, (higher - lower) / 0.02, rtol=1e-3)


@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        ([1, 2, 3, 4, 5, 6, 7, -1], 0.3 + 8 / 100),  # 0.75 exceeds 0.6.
        ([1, 2, 3, 4, 5, 6, -7, -1], 0.3 - 8 / 100),
    ],
)
def test_the_probability_follows_the_signs(logits, expected):
    adapted = ada.adapt(jnp.float32(0.3), jnp.float32(logits), 0.6, 100)
    np.testing.assert_allclose(adapted, expected, rtol=1e-6)


def test_the_probability_stays_one():
    sure, unsure = jnp.ones(8), -jnp.ones(8)
    assert float(ada.adapt(jnp.float32(0.99), sure, 0.6, 100)) == 1.0
    assert float(ada.adapt(jnp.float32(0.01), unsure, 0.6, 100)) == 0.0
