"""The residual block of SPADE and the block of BORDE."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from weights import random_variables

from jaxsyn.nn.borde import BordeBlock, Noise
from jaxsyn.nn.spade import Spade, SpadeBlock

KEY = jax.random.key(0, impl="rbg")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 6, 6, 8)).astype(np.float32)
ONE_HOT = np.eye(3, dtype=np.float32)[RNG.integers(0, 3, (2, 6, 6))]
# Two channels in the last map, as BORDE's tumour core.
PRIORS = [RNG.integers(0, 2, (2, 6, 6, k)).astype(np.float32) for k in (1, 1, 2)]
BORDE = BordeBlock(4, hidden=3)


@jax.jit
def run_borde(params, priors):
    return BORDE.apply({"params": params}, X, priors, rngs={"noise": KEY})


def run(layer, variables, *args, **kwargs):
    def apply(variables, *args):
        return layer.apply(variables, *args, rngs={"noise": KEY}, **kwargs)

    return jax.jit(apply)(variables, *args)


def kernels(layer, *args, **kwargs):
    """Input and output channels of each convolution of a block itself."""
    params = random_variables(layer, *args, **kwargs)["params"]
    return {k: p["kernel"].shape[-2:] for k, p in params.items() if "conv" in k}


def test_spade_is_the_modulated_norm():
    layer = Spade(norm="instance", hidden=4)
    variables = random_variables(layer, X, ONE_HOT, train=True)
    zeros = jax.tree.map(np.zeros_like, variables)
    got = run(layer, zeros, X, ONE_HOT, train=True)
    normalised = (X - X.mean((1, 2), keepdims=True)) / X.std((1, 2), keepdims=True)
    np.testing.assert_allclose(got, normalised, rtol=1e-3, atol=1e-4)


def test_spade_block_has_a_shortcut_only_where_channels_change():
    narrow = kernels(SpadeBlock(4), X, ONE_HOT, train=True)
    assert narrow == {"conv_0": (8, 4), "conv_1": (4, 4), "conv_s": (8, 4)}
    wide = kernels(SpadeBlock(16), X, ONE_HOT, train=True)
    assert wide == {"conv_0": (8, 8), "conv_1": (8, 16), "conv_s": (8, 16)}
    assert set(kernels(SpadeBlock(8), X, ONE_HOT, train=True)) == {"conv_0", "conv_1"}


def branch_of_last_tap():
    """A block whose last convolution passes its input through, doubled."""
    layer = SpadeBlock(8, functools.partial(Spade, norm="instance", hidden=4))
    variables = jax.tree.map(
        np.zeros_like, random_variables(layer, X, ONE_HOT, train=True)
    )
    unit = np.zeros((3, 3, 8, 8), np.float32)
    unit[1, 1] = np.eye(8)
    for name in ("conv_0", "conv_1"):
        variables["params"][name]["kernel"] = unit
        # sigma = v^T W u = 1/2: the kernel is doubled.
        u, v = np.eye(8, dtype=np.float32)[0], np.zeros((3, 3, 8), np.float32)
        v[1, 1, 0] = 0.5
        variables["spectral"][name]["norm"] = {"u": u, "v": v.ravel()}
    return layer, variables


def test_spade_block_in_numpy():
    layer, variables = branch_of_last_tap()

    def leaky_norm(x):
        mean, variance = x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)
        x = (x - mean) / np.sqrt(variance + 1e-5)
        return np.where(x > 0, x, 0.2 * x)

    expected = X + 2 * leaky_norm(2 * leaky_norm(X))
    got = run(layer, variables, X, ONE_HOT, train=False)
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)


def test_spade_block_in_bfloat16():
    layer = SpadeBlock(4, functools.partial(Spade, hidden=4))
    variables = random_variables(layer, X, ONE_HOT, train=True)
    exact = run(layer, variables, X, ONE_HOT, train=False)
    low = (jnp.asarray(a, jnp.bfloat16) for a in (X, ONE_HOT))
    rounded = run(layer, variables, *low, train=False)
    assert rounded.dtype == jnp.bfloat16
    scale = float(jnp.abs(exact).max())
    np.testing.assert_allclose(rounded.astype(jnp.float32), exact, atol=0.05 * scale)


@pytest.mark.parametrize("injection", range(3))
def test_an_injection_sees_only_its_own_map(injection):
    params = random_variables(BORDE, X, PRIORS)["params"]
    own = params[f"modulation_{injection}"]["embedding_kernel"]
    assert own.shape[2] == PRIORS[injection].shape[-1]
    for i in range(3):
        if i != injection:
            name = f"modulation_{i}"
            params[name] = jax.tree.map(np.zeros_like, params[name])
    reference = run_borde(params, PRIORS)
    for changed in range(3):
        priors = [1 - m if i == changed else m for i, m in enumerate(PRIORS)]
        same = np.array_equal(run_borde(params, priors), reference)
        assert same == (changed != injection)


def test_borde_block_in_numpy():
    # Kernels of the modulations are 0: what they add are their biases alone.
    layer = BordeBlock(4, hidden=3, residual=False, noise=False, gamma_offset=0.5)
    params = random_variables(layer, X, PRIORS)["params"]
    h = X
    for i in range(3):
        modulation = params[f"modulation_{i}"]
        modulation["kernel"] = np.zeros_like(modulation["kernel"])
        gamma, beta = np.split(modulation["bias"], 2)
        h = (h - h.mean((1, 2), keepdims=True)) / np.sqrt(
            h.var((1, 2), keepdims=True) + 1e-5
        )
        h = np.maximum(h * (0.5 + gamma) + beta, 0)
        conv = params[f"conv_{i}"]
        h = h @ conv["kernel"][0, 0] + conv["bias"]
    np.testing.assert_allclose(
        run(layer, {"params": params}, X, PRIORS), h, rtol=1e-3, atol=1e-4
    )


def test_where_channels_shrink():
    assert kernels(BordeBlock(4), X, PRIORS) == {
        "conv_0": (8, 4),
        "conv_1": (4, 4),
        "conv_2": (4, 4),
    }
    assert kernels(BordeBlock(4, halve="every"), X, PRIORS) == {
        "conv_0": (8, 4),
        "conv_1": (4, 2),
        "conv_2": (2, 4),
    }


@pytest.mark.parametrize(("features", "has"), [(8, False), (4, True)])
def test_borde_shortcut(features, has):
    layer = BordeBlock(features, hidden=3)
    params = random_variables(layer, X, PRIORS)["params"]
    assert ("shortcut" in params) == has
    params["conv_2"] = jax.tree.map(np.zeros_like, params["conv_2"])
    got = run(layer, {"params": params}, X, PRIORS)
    # The shortcut has neither bias nor noise.
    expected = X @ params["shortcut"]["kernel"][0, 0] if has else X
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_noise_is_one_map_scaled_by_channel():
    scale = jnp.arange(8.0)
    added = run(Noise(), {"params": {"scale": scale}}, X) - X
    np.testing.assert_allclose(added[..., 2], 2 * added[..., 1], rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(added[..., 0], 0)
    assert added[0, :, :, 1].std() > 0.5
    assert (added[0] != added[1]).any()


def test_noise_starts_at_nothing():
    variables = Noise().init({"params": KEY, "noise": KEY}, X)
    np.testing.assert_array_equal(run(Noise(), variables, X), X)
