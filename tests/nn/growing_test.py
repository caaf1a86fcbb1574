import jax.numpy as jnp
import numpy as np
import pytest

from jaxsyn.nn.growing import blend, shrink
from jaxsyn.nn.pixel_norm import pixel_norm


def test_shrinking_takes_means_of_squares():
    x = jnp.arange(16.0).reshape(1, 4, 4, 1)
    # The first square holds 0, 1, 4, 5.
    np.testing.assert_array_equal(shrink(x)[0, ..., 0], [[2.5, 4.5], [10.5, 12.5]])
    np.testing.assert_array_equal(shrink(x, 4)[0, ..., 0], [[7.5]])
    np.testing.assert_array_equal(shrink(x, 1), x)


def test_shrinking_keeps_images_and_channels_apart():
    x = np.random.default_rng(0).normal(size=(2, 4, 6, 3)).astype(np.float32)
    got = shrink(jnp.asarray(x))
    assert got.shape == (2, 2, 3, 3)
    np.testing.assert_allclose(
        got[1, 1, 2, 2], x[1, 2:4, 4:6, 2].mean(), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(("alpha", "expected"), [(0.0, 2.0), (0.25, 3.0), (1.0, 6.0)])
def test_blending_by_hand(alpha, expected):
    old, new = jnp.full((1, 2), 2.0), jnp.full((1, 2), 6.0)
    np.testing.assert_array_equal(blend(old, new, jnp.asarray(alpha)), expected)


def test_blending_keeps_the_dtype():
    old = new = jnp.ones((1, 2), jnp.bfloat16)
    assert blend(old, new, jnp.asarray(0.3)).dtype == jnp.bfloat16


def test_pixel_norm_by_hand():
    # The mean square of 3 and 4 is 12.5.
    x = jnp.array([[3.0, 4.0], [0.0, 0.0]])
    expected = np.array([[3.0, 4.0], [0.0, 0.0]]) / np.sqrt(12.5)
    np.testing.assert_allclose(pixel_norm(x), expected, rtol=1e-6)


def test_pixel_norm_of_almost_nothing_is_held_by_epsilon():
    x = jnp.full((1, 4), 1e-4)
    np.testing.assert_allclose(pixel_norm(x), np.sqrt(0.5), rtol=1e-5)
