import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsyn.nn.minibatch_stddev import minibatch_stddev


def added(x, **options):
    """The new channel's value of each image, which all of its pixels share."""
    y = minibatch_stddev(jnp.asarray(x, jnp.float32), **options)
    assert y.shape == (*x.shape[:-1], x.shape[-1] + 1)
    np.testing.assert_array_equal(y[..., :-1], x)
    channel = np.asarray(y[..., -1]).reshape(len(x), -1)
    np.testing.assert_array_equal(channel, np.tile(channel[:, :1], channel.shape[1]))
    return channel[:, 0]


def images(values, size=(2, 2)):
    """An image of one channel for each value."""
    shape = (len(values), *(1,) * (len(size) + 1))
    return np.asarray(values, np.float32).reshape(shape) * np.ones((*size, 1))


def test_a_group_of_four_by_hand():
    # Deviation of 1, 2, 3, 6: the mean is 3, the variance 14 / 4.
    np.testing.assert_allclose(added(images([1, 2, 3, 6])), np.sqrt(3.5), rtol=1e-6)


@pytest.mark.parametrize("size", [(2, 2), (2, 3, 4), (7,)])
def test_deviations_are_averaged_over_pixels_and_channels(size):
    x = np.random.default_rng(0).normal(size=(4, *size, 3)).astype(np.float32)
    expected = np.sqrt(x.var(axis=0) + 1e-8).mean()
    np.testing.assert_allclose(added(x), expected, rtol=1e-5)


def test_an_image_is_grouped_with_those_at_a_distance():
    # Eight images are two groups: 0, 2, 4, 6 and 1, 3, 5, 7.
    got = added(images([5, 0, 5, 0, 5, 4, 5, 4]))
    np.testing.assert_allclose(got, [1e-4, 2] * 4, rtol=1e-5)


@pytest.mark.parametrize(
    ("values", "group", "expected"),
    [
        ([1, 3, 9], 4, np.std([1, 3, 9])),  # Three, though four are asked for.
        ([0, 0, 3, 0, 0, 3], 4, [np.sqrt(2), np.sqrt(2)] * 3),  # Two groups of three.
        ([0, 1, 2, 3, 4], 4, 1e-4),  # Five have no divisor but 1.
        ([7], 4, 1e-4),
        ([0, 0, 4, 6], 2, [2, 3, 2, 3]),
    ],
)
def test_the_largest_divisor_that_fits(values, group, expected):
    np.testing.assert_allclose(added(images(values), group=group), expected, rtol=1e-5)


def test_the_gradient_of_equal_images_is_finite():
    gradient = jax.grad(lambda x: minibatch_stddev(x).sum())(jnp.ones((4, 2, 2, 1)))
    assert np.isfinite(gradient).all()


def test_statistics_of_bfloat16_are_float32():
    x = jnp.asarray(256.0 + images([0, 2, 0, 2]), jnp.bfloat16)
    y = minibatch_stddev(x)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_array_equal(y[..., -1], 1.0)
