import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsyn.errors import UsageError
from jaxsyn.nn.conv import Conv, Dense
from jaxsyn.nn.initializers import initializer

KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("shape", "kernel", "out"),
    [
        ((2, 6, 6, 3), (3, 3, 3, 5), (2, 6, 6, 5)),
        ((1, 4, 4, 4, 2), (3, 3, 3, 2, 5), (1, 4, 4, 4, 5)),
    ],
)
def test_rank_of_the_input_gives_the_rank_of_the_window(shape, kernel, out):
    y, variables = Conv(5).init_with_output(KEY, jnp.ones(shape))
    assert variables["params"]["kernel"].shape == kernel
    assert y.shape == out


def test_a_sum_over_the_window_by_hand():
    x = jnp.arange(9.0).reshape(1, 3, 3, 1)
    params = {"kernel": jnp.ones((3, 3, 1, 1)), "bias": jnp.array([100.0])}
    y = Conv(1).apply({"params": params}, x)[0, :, :, 0]
    # Zeros outside: the corner sees 0 1 3 4, the centre all of 0 to 8.
    assert (y[0, 0], y[1, 1], y[0, 1]) == (108.0, 136.0, 115.0)


def test_stride_and_padding_give_the_patch_discriminators_sizes():
    x = jnp.zeros((1, 64, 64, 2))
    assert Conv(1, 4, stride=2).init_with_output(KEY, x)[0].shape[1] == 33
    assert Conv(1, 4, stride=2, padding=1).init_with_output(KEY, x)[0].shape[1] == 32


@pytest.mark.parametrize("layer", [Conv(4), Dense(4), Conv(4, spectral=True)])
def test_computes_in_the_dtype_of_the_input_with_float32_parameters(layer):
    x = jax.random.normal(KEY, (2, 8, 8, 16))
    kwargs = {} if isinstance(layer, Dense) else {"train": False}
    variables = layer.init(KEY, x, **kwargs)
    exact = layer.apply(variables, x, **kwargs)
    rounded = layer.apply(variables, x.astype(jnp.bfloat16), **kwargs)
    assert {v.dtype for v in jax.tree.leaves(variables)} == {jnp.dtype(jnp.float32)}
    assert (exact.dtype, rounded.dtype) == (jnp.float32, jnp.bfloat16)
    scale = float(jnp.abs(exact).max())
    np.testing.assert_allclose(rounded.astype(jnp.float32), exact, atol=0.03 * scale)
    assert (rounded.astype(jnp.float32) != exact).any()


def test_a_bias_can_be_left_out_and_starts_at_zero():
    x = jnp.ones((1, 4, 4, 2))
    assert set(Conv(3, use_bias=False).init(KEY, x)["params"]) == {"kernel"}
    np.testing.assert_array_equal(Conv(3).init(KEY, x)["params"]["bias"], 0)


@pytest.mark.parametrize(
    ("name", "deviation"),
    [
        # Fan in 9 x 64, fan out 9 x 32.
        ("xavier", 0.02 * np.sqrt(2 / (576 + 288))),
        ("normal", 0.02),
        ("he", np.sqrt(2 / 576)),
    ],
)
def test_initialisers_have_their_deviation(name, deviation):
    kernel = initializer(name)(KEY, (3, 3, 64, 32))
    # The standard error of a deviation of 18,432 draws is half a per cent.
    np.testing.assert_allclose(kernel.std(), deviation, rtol=0.03)
    # Not truncated: 18,432 normal draws reach beyond three deviations.
    assert jnp.abs(kernel).max() > 3 * deviation


def test_an_unknown_initialiser_lists_the_known():
    with pytest.raises(UsageError, match="xavier, normal, he"):
        Conv(1, kernel_init="xaver").init(KEY, jnp.ones((1, 4, 4, 1)))


def test_a_spectral_convolution_insists_on_train():
    with pytest.raises(TypeError, match="needs `train`"):
        Conv(1, spectral=True).init(KEY, jnp.ones((1, 4, 4, 1)))
