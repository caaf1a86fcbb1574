"""Region pooling and SEAN's normalisation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from weights import RNGS, random_variables

from jaxsyn.errors import UsageError
from jaxsyn.nn.sean import NoisySpade, Regions, Sean, StyleModulation, region_means

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 6, 6, 4)).astype(np.float32)
LABEL = RNG.integers(0, 3, (2, 6, 6))
ONE_HOT = np.eye(3, dtype=np.float32)[LABEL]
STYLE = RNG.normal(size=(2, 3, 5)).astype(np.float32)
REGIONS = Regions(ONE_HOT, STYLE)


def run(layer, variables, *args, **kwargs):
    def apply(variables, *args):
        return layer.apply(variables, *args, rngs=RNGS, **kwargs)

    return jax.jit(apply)(variables, *args)


def instance_norm(x):
    variance = x.var((1, 2), keepdims=True)
    return (x - x.mean((1, 2), keepdims=True)) / np.sqrt(variance + 1e-5)


def three_by_three(x, kernel):
    """A zero-padded convolution, pixel by pixel."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    out = np.zeros((*x.shape[:3], kernel.shape[-1]), np.float32)
    for i, j in np.ndindex(x.shape[1:3]):
        out[:, i, j] = np.tensordot(padded[:, i : i + 3, j : j + 3], kernel, 3)
    return out


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_region_means_by_hand(dtype):
    label = np.array([[[0, 0, 2], [0, 2, 2]]])
    features = np.array([[[[1, 0], [2, 0], [4, 8]], [[6, 3], [0, 0], [2, 4]]]])
    means, present = region_means(
        features.astype(dtype), jax.nn.one_hot(label, 4, dtype=dtype)
    )
    assert means.dtype == dtype
    # Labels 1 and 3 have no pixels.
    np.testing.assert_array_equal(means[0], [[3, 1], [0, 0], [2, 4], [0, 0]])
    np.testing.assert_array_equal(present, [[True, False, True, False]])


@pytest.mark.parametrize("style_layers", ["per_label", "shared"])
def test_style_modulation_is_two_convolutions_of_the_style_map(style_layers):
    layer = StyleModulation(4, style_layers=style_layers)
    variables = random_variables(layer, REGIONS)
    params = variables["params"]
    codes = np.zeros_like(STYLE)
    for label in range(3):
        if style_layers == "shared":
            kernel, bias = params["layer"]["kernel"], params["layer"]["bias"]
        else:
            kernel = params["layers_kernel"][label]
            bias = params["layers_bias"][label]
        codes[:, label] = np.maximum(STYLE[:, label] @ kernel + bias, 0)
    filled = np.stack([c[m] for c, m in zip(codes, LABEL, strict=True)])
    biases = np.split(params["bias"], 2)
    got = run(layer, variables, REGIONS)
    for i in range(2):
        expected = three_by_three(filled, params["kernel"][i]) + biases[i]
        np.testing.assert_allclose(got[i], expected, rtol=1e-4, atol=1e-5)


def test_stacked_kernels_start_as_separate_ones():
    regions = Regions(jnp.zeros((1, 4, 4, 9)), jnp.zeros((1, 9, 64)))
    params = StyleModulation(32, kernel_init="he").init(RNGS, regions)["params"]
    # Fan in is 64 for a label's layer, and 9 x 64 for gamma and for beta.
    layers, both = params["layers_kernel"], params["kernel"]
    np.testing.assert_allclose(layers.std((1, 2)), np.sqrt(2 / 64), rtol=0.05)
    np.testing.assert_allclose(both.std((1, 2, 3, 4)), np.sqrt(2 / 576), rtol=0.05)
    assert (layers[0] != layers[1]).any()
    assert (both[0] != both[1]).any()


def test_unknown_style_layers_list_the_known():
    with pytest.raises(UsageError, match="style_layers='each'") as error:
        StyleModulation(4, style_layers="each").init(RNGS, REGIONS)
    assert "per_label, shared" in error.value.hint


@pytest.mark.parametrize("blend", [None, (0.7, -1.2), (30.0, 30.0)])
def test_gamma_and_beta_are_mixes_of_both_sources(blend):
    layer = Sean(norm="instance", hidden=4)
    variables = random_variables(layer, X, REGIONS, train=True)
    params = variables["params"]
    # What each source gives are its biases alone; there is no noise.
    for name in ("style", "modulation"):
        params[name]["kernel"] = np.zeros_like(params[name]["kernel"])
    params["noise"]["scale"] = np.zeros(4, np.float32)
    if blend is None:  # It starts with equal shares.
        blend = layer.init(RNGS, X, REGIONS, train=True)["params"]["blend"]
        np.testing.assert_array_equal(blend, 0)
    params["blend"] = np.asarray(blend, np.float32)
    share = 1 / (1 + np.exp(-params["blend"]))
    biases = (np.split(params[name]["bias"], 2) for name in ("style", "modulation"))
    gamma, beta = (
        share[i] * style + (1 - share[i]) * of_map
        for i, (style, of_map) in enumerate(zip(*biases, strict=True))
    )
    got = run(layer, variables, X, REGIONS, train=True)
    expected = instance_norm(X) * (1 + gamma) + beta
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_a_style_reaches_its_region_and_the_pixels_around_it():
    label = np.zeros((2, 9, 9), int)
    label[:, 3:5, 4:7] = 1
    label[:, :, :2] = 2
    x = RNG.normal(size=(2, 9, 9, 4)).astype(np.float32)
    layer = Sean(norm="instance", hidden=4)

    def regions(style):
        return Regions(np.eye(4, dtype=np.float32)[label], style)

    style = RNG.normal(size=(2, 4, 5)).astype(np.float32)
    variables = random_variables(layer, x, regions(style), train=True)

    def changed(index):
        other = style.copy()
        other[0, index] += 1
        pair = [
            run(layer, variables, x, regions(s), train=True) for s in (style, other)
        ]
        return np.any(np.asarray(pair[0] != pair[1]), -1)

    # The rows and columns of the region, and one of its 3x3 windows' beyond.
    for index, rows, columns in ((1, (2, 6), (3, 8)), (2, (0, 9), (0, 3))):
        expected = np.zeros((2, 9, 9), bool)
        expected[0, slice(*rows), slice(*columns)] = True
        np.testing.assert_array_equal(changed(index), expected)
    assert not changed(3).any()  # No pixel has this label.


def test_without_styles_it_is_spade_behind_noise():
    layer = NoisySpade(norm="instance", hidden=4)
    variables = random_variables(layer, X, ONE_HOT, train=True)
    zeros = jax.tree.map(np.zeros_like, variables)
    plain = run(layer, zeros, X, ONE_HOT, train=True)
    np.testing.assert_allclose(plain, instance_norm(X), rtol=1e-3, atol=1e-4)
    zeros["params"]["noise"]["scale"] = np.array([0, 1, 1, 1], np.float32)
    noisy = run(layer, zeros, X, ONE_HOT, train=True)
    np.testing.assert_array_equal(noisy[..., 0], plain[..., 0])
    assert (np.abs(noisy - plain)[..., 1:] > 0.01).mean() > 0.8


def test_sean_in_bfloat16():
    layer = Sean(hidden=8)
    variables = random_variables(layer, X, REGIONS, train=True)
    exact = run(layer, variables, X, REGIONS, train=False)
    low = jax.tree.map(lambda a: jnp.asarray(a, jnp.bfloat16), (X, REGIONS))
    rounded = run(layer, variables, *low, train=False)
    assert rounded.dtype == jnp.bfloat16
    scale = float(jnp.abs(exact).max())
    np.testing.assert_allclose(rounded.astype(jnp.float32), exact, atol=0.05 * scale)
