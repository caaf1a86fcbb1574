import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsyn.nn.equalised import EqualConv, EqualDense

X = np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype(np.float32)


def test_a_dense_layer_by_hand():
    variables = {"params": {"kernel": jnp.ones((4, 1)), "bias": jnp.full((1,), 10.0)}}
    x = jnp.array([[1.0, 2.0, 3.0, 4.0]])
    layer = EqualDense(1, gain=3.0, lr_multiplier=0.1)
    # 10 · (0.1 · 3 / √4) + 0.1 · 10
    np.testing.assert_allclose(layer.apply(variables, x), [[2.5]], rtol=1e-6)


@pytest.mark.parametrize("axes", [2, 3])
def test_a_convolution_by_hand(axes):
    window = (3,) * axes
    kernel, bias = jnp.ones((*window, 2, 1)), jnp.full((1,), 10.0)
    x = jnp.ones((1, *(5,) * axes, 2))
    layer = EqualConv(1, gain=1.0, lr_multiplier=0.5)
    y = layer.apply({"params": {"kernel": kernel, "bias": bias}}, x)
    assert y.shape == (1, *(5,) * axes, 1)
    fan_in = 2 * 3**axes
    # Inside, the window sees fan_in ones; in a corner, 2 of 3 along each axis.
    inside, corner = y[(0, *(2,) * axes, 0)], y[(0, *(0,) * axes, 0)]
    assert inside == pytest.approx(0.5 * math.sqrt(fan_in) + 5.0)
    assert corner == pytest.approx(0.5 * 2 * 2**axes / math.sqrt(fan_in) + 5.0)


def test_stride_and_padding():
    y, _ = EqualConv(2, 4, stride=2, padding=1).init_with_output(jax.random.key(0), X)
    assert y.shape == (2, 2, 3, 2)


def test_another_form_gets_the_scaled_kernel():
    def form(x, kernel):
        return x[..., :1] * kernel.sum()

    kernel = jnp.ones((3, 3, 3, 1))
    layer = EqualConv(1, gain=1.0, use_bias=False, form=form)
    y = layer.apply({"params": {"kernel": kernel}}, X)
    np.testing.assert_allclose(y, X[..., :1] * math.sqrt(27), rtol=1e-5)


@pytest.mark.parametrize("multiplier", [1.0, 0.01])
def test_kernels_start_with_the_deviation_that_the_multiplier_undoes(multiplier):
    layer = EqualDense(512, lr_multiplier=multiplier, bias_init=1.0)
    x = np.random.default_rng(0).normal(size=(64, 256)).astype(np.float32)
    y, variables = layer.init_with_output(jax.random.key(0), x)
    assert np.std(variables["params"]["kernel"]) == pytest.approx(
        1.0 / multiplier, rel=0.02
    )
    assert np.mean(y) == pytest.approx(1.0, abs=0.05)
    assert np.std(y) == pytest.approx(math.sqrt(2.0), rel=0.05)


@pytest.mark.parametrize("layer", [EqualConv(4), EqualDense(4)])
def test_parameters_are_float32_and_the_input_decides_what_is_computed_in(layer):
    y, variables = layer.init_with_output(jax.random.key(0), X.astype(jnp.bfloat16))
    assert y.dtype == jnp.bfloat16
    assert {p.dtype for p in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


@pytest.mark.parametrize("kind", [EqualConv, EqualDense])
def test_a_layer_without_bias_has_none(kind):
    variables = kind(4, use_bias=False).init(jax.random.key(0), X)
    assert set(variables["params"]) == {"kernel"}
