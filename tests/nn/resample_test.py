import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsyn.errors import UsageError
from jaxsyn.nn import resample


def line(*values):
    """A row as an image [1, 1, W, 1]."""
    return jnp.array(values, jnp.float32).reshape(1, 1, -1, 1)


def square(rows):
    return jnp.array(rows, jnp.float32)[None, :, :, None]


def test_nearest_doubling_repeats_pixels():
    got = resample.upsample(square([[1, 2], [3, 4]]))[0, :, :, 0]
    expected = [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    np.testing.assert_array_equal(got, expected)


def test_bilinear_doubling_has_its_centres_at_halves():
    got = resample.upsample(line(0, 4, 8), "bilinear")[0, :, :, 0]
    np.testing.assert_array_equal(got, [[0, 1, 3, 5, 7, 8]] * 2)


def test_bilinear_doubling_is_separable():
    got = resample.upsample(square([[0, 4], [8, 12]]), "bilinear")[0, :, :, 0]
    rows = np.array([0, 2, 6, 8])[:, None]
    np.testing.assert_array_equal(got, rows + np.array([0, 1, 3, 4]))


def test_nearest_takes_the_first_pixel_of_each_block():
    x = square(np.arange(16).reshape(4, 4))
    np.testing.assert_array_equal(resample.nearest(x, 2)[0, :, :, 0], [[0, 2], [8, 10]])


def test_nearest_rounds_down_where_sides_do_not_divide():
    x = square(np.arange(25).reshape(5, 5))
    # floor(i * 5 / 3) = 0, 1, 3.
    np.testing.assert_array_equal(
        resample.nearest(x, 3)[0, :, :, 0], [[0, 1, 3], [5, 6, 8], [15, 16, 18]]
    )


def test_max_pooling_keeps_a_line_that_nearest_loses():
    x = np.zeros((1, 8, 8, 1), np.float32)
    x[0, 3, :, 0] = 1
    assert resample.nearest(x, 2).sum() == 0
    np.testing.assert_array_equal(resample.max_pool(x, 2)[0, :, :, 0], [[1, 1], [0, 0]])


def test_average_pooling_does_not_count_the_padding():
    got = resample.average_pool(square(np.arange(16).reshape(4, 4)))[0, :, :, 0]
    # Corner: mean of 0 1 4 5; centre: of 5 6 7, 9 10 11, 13 14 15.
    np.testing.assert_allclose(got, [[2.5, 4.0], [8.5, 10.0]])


def test_average_pooling_rounds_odd_sides_up_and_keeps_constants():
    got = resample.average_pool(jnp.full((1, 5, 5, 2), 7.0))
    assert got.shape == (1, 3, 3, 2)
    np.testing.assert_allclose(got, 7.0, rtol=1e-6)


def test_an_unknown_method_lists_the_known():
    with pytest.raises(UsageError, match="(?s)cubic.*nearest, bilinear"):
        resample.upsample(line(1), "cubic")


def test_every_method_can_be_differentiated():
    x = square(np.arange(16).reshape(4, 4))
    gradient = jax.grad(lambda x: resample.average_pool(x).sum())(x)
    # A corner pixel is in one mean, of four; pixel (1, 1) in means of 4, 6, 6 and 9.
    np.testing.assert_allclose(gradient[0, 0, 0, 0], 1 / 4)
    np.testing.assert_allclose(gradient[0, 1, 1, 0], 1 / 4 + 1 / 6 + 1 / 6 + 1 / 9)
    gradient = jax.grad(lambda x: resample.max_pool(x, 2).sum())(x)
    np.testing.assert_array_equal(gradient[0, :, :, 0].sum(), 4)
    gradient = jax.grad(lambda x: resample.upsample(x, "bilinear").sum())(x)
    np.testing.assert_allclose(gradient, 4.0)


def test_halving_keeps_the_largest_of_each_block():
    x = square(np.arange(16).reshape(4, 4))
    np.testing.assert_array_equal(
        resample.max_pool_half(x)[0, :, :, 0], [[5, 7], [13, 15]]
    )
    volume = jnp.arange(8.0).reshape(1, 2, 2, 2, 1)
    np.testing.assert_array_equal(resample.max_pool_half(volume).ravel(), [7])
