"""Modulated convolutions, against kernels scaled for each image."""

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsyn.nn import fir
from jaxsyn.nn.modulated import ModulatedConv, StyledConv, activate, doubled_conv

KEY = jax.random.key(0)
X = jax.random.normal(KEY, (3, 8, 8, 5))
W = jax.random.normal(jax.random.key(1), (3, 6))


def made(layer, x=X, w=W, **rngs):
    params = layer.init({"params": KEY, **rngs}, x, w)["params"]
    return layer.apply({"params": params}, x, w, rngs=rngs), params


def convolve(x, kernel):
    return lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def scaled_kernels(params, demodulate):
    """The kernel of each image, as the paper writes it (equations 1 and 3)."""
    dense = {k: np.asarray(v) for k, v in params["style"].items()}
    style = np.asarray(W) @ dense["kernel"] / np.sqrt(6) + dense["bias"]
    kernel = np.asarray(params["kernel"])
    kernel = kernel / np.sqrt(kernel[..., 0].size)
    kernels = kernel[None] * style[:, None, None, :, None]
    if demodulate:
        norms = np.sqrt(np.square(kernels).sum((1, 2, 3), keepdims=True) + 1e-8)
        kernels = kernels / norms
    return kernels


@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize("size", [1, 3])
def test_each_image_has_its_own_kernel(size, demodulate):
    layer = ModulatedConv(4, size, demodulate=demodulate)
    y, params = made(layer)
    expected = [
        convolve(x[None], kernel)[0]
        for x, kernel in zip(X, scaled_kernels(params, demodulate), strict=True)
    ]
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


def test_doubling_with_its_own_kernel_each():
    y, params = made(ModulatedConv(4, up=True))
    expected = [
        doubled_conv(x[None], jnp.asarray(kernel))[0]
        for x, kernel in zip(X, scaled_kernels(params, True), strict=True)
    ]
    assert y.shape == (3, 16, 16, 4)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


def test_doubling_is_filtered_doubling_then_convolving():
    kernel = jax.random.normal(KEY, (3, 3, 5, 4))
    # Room around the image: without, the convolution would not see beyond it.
    x = jnp.pad(X, ((0, 0), (2, 2), (2, 2), (0, 0)))
    expected = convolve(fir.upsample(x), jnp.flip(kernel, (0, 1)))[:, 4:-4, 4:-4]
    np.testing.assert_allclose(doubled_conv(X, kernel), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_demodulation_keeps_the_variance(scale):
    x = jax.random.normal(KEY, (4, 64, 64, 32))
    w = scale * jax.random.normal(jax.random.key(2), (4, 16))
    y, _ = made(ModulatedConv(8), x, w)
    deviations = y[:, 1:-1, 1:-1].std(axis=(1, 2))
    np.testing.assert_allclose(deviations, 1.0, atol=0.15)


def test_a_style_of_zero_is_a_plain_convolution():
    # Its affine map starts with a bias of 1.
    y, params = made(ModulatedConv(4, demodulate=False), w=jnp.zeros_like(W))
    kernel = params["kernel"] / np.sqrt(9 * 5)
    np.testing.assert_allclose(y, convolve(X, kernel), rtol=1e-4, atol=1e-5)


def test_noise_is_one_map_an_image_and_starts_at_none():
    layer = StyledConv(4)
    noises = [{"noise": jax.random.key(i)} for i in range(2)]
    silent, params = made(layer, **noises[0])
    assert params["noise_strength"].shape == ()
    plain = ModulatedConv(4).apply({"params": params["conv"]}, X, W)
    np.testing.assert_allclose(silent, activate(plain), rtol=1e-5)

    def linear(noise, strength, bias=50.0):  # So far from 0 activation is a product.
        changed = {
            "noise_strength": jnp.full((), strength),
            "bias": jnp.full((4,), bias),
        }
        y = layer.apply({"params": params | changed}, X, W, rngs=noise)
        return y / np.sqrt(2.0)

    change = linear(noises[0], 0.5) - linear(noises[0], 0.0)
    np.testing.assert_allclose(change, change[..., :1].repeat(4, -1), atol=1e-4)
    assert 0.4 < float(change[..., 0].std()) < 0.6
    assert float(jnp.abs(change[0] - change[1]).max()) > 0.1
    other = linear(noises[1], 0.5) - linear(noises[1], 0.0)
    assert float(jnp.abs(change - other).max()) > 0.1


def test_activation_by_hand():
    y = activate(jnp.array([-10.0, 0.0, 1.0]))
    np.testing.assert_allclose(y, [-2.0 * 2**0.5, 0.0, 2**0.5], rtol=1e-6)


def test_the_dtype_is_kept():
    for layer in (ModulatedConv(4), ModulatedConv(4, up=True), StyledConv(4)):
        y, params = made(
            layer, X.astype(jnp.bfloat16), W.astype(jnp.bfloat16), noise=KEY
        )
        assert y.dtype == jnp.bfloat16
        assert {p.dtype for p in jax.tree.leaves(params)} == {jnp.dtype("float32")}
