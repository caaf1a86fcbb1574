import jax
import jax.numpy as jnp
import numpy as np

from jaxsyn.nn.modulation import Modulation, ModulationParams, gamma_beta

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 6, 6, 4)).astype(np.float32)
MAP = RNG.integers(0, 2, (2, 6, 6, 3)).astype(np.float32)


def three_by_three(x, kernel, bias):
    """A zero-padded convolution, pixel by pixel."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    out = np.zeros((*x.shape[:3], kernel.shape[-1]), np.float32)
    for i, j in np.ndindex(x.shape[1:3]):
        out[:, i, j] = np.tensordot(padded[:, i : i + 3, j : j + 3], kernel, 3) + bias
    return out


def random_params(layer):
    shapes = layer.init(KEY, X, MAP)["params"]
    return jax.tree.map(lambda p: RNG.normal(size=p.shape).astype(np.float32), shapes)


def test_is_two_separate_branches_in_numpy():
    params = random_params(Modulation(hidden=5))
    embedding = np.maximum(
        three_by_three(MAP, params["embedding_kernel"], params["embedding_bias"]), 0
    )
    gamma_kernel, beta_kernel = np.split(params["kernel"], 2, axis=-1)
    gamma_bias, beta_bias = np.split(params["bias"], 2)
    gamma = three_by_three(embedding, gamma_kernel, gamma_bias)
    beta = three_by_three(embedding, beta_kernel, beta_bias)
    for offset in (0.0, 1.0):
        layer = Modulation(hidden=5, gamma_offset=offset)
        got = layer.apply({"params": params}, X, MAP)
        np.testing.assert_allclose(
            got, X * (offset + gamma) + beta, rtol=1e-4, atol=1e-3
        )


def test_counts_as_an_embedding_and_two_convolutions():
    params = Modulation(hidden=128).init(KEY, X, MAP)["params"]
    expected = 3 * 128 * 9 + 128 + 2 * (128 * 4 * 9 + 4)
    assert sum(p.size for p in jax.tree.leaves(params)) == expected


def test_halves_start_as_separate_convolutions():
    x = jnp.zeros((1, 4, 4, 256))
    kernel = Modulation(hidden=64).init(KEY, x, jnp.zeros((1, 4, 4, 2)))["params"][
        "kernel"
    ]
    # Fan out is that of gamma alone, 9 x 256, not of both.
    deviation = 0.02 * np.sqrt(2 / (9 * 64 + 9 * 256))
    gamma, beta = np.split(np.asarray(kernel), 2, axis=-1)
    np.testing.assert_allclose([gamma.std(), beta.std()], deviation, rtol=0.02)
    assert (gamma != beta).any()


def test_sees_five_by_five_pixels():
    params = ModulationParams(**random_params(Modulation(hidden=5)))
    other = MAP.copy()
    other[0, 0, 0] = 1 - other[0, 0, 0]
    changed = np.any(gamma_beta(params, MAP)[0] != gamma_beta(params, other)[0], (0, 3))
    np.testing.assert_array_equal(np.argwhere(changed).max(0), [2, 2])


def test_computes_in_bfloat16_with_float32_parameters():
    layer = Modulation(hidden=16)
    variables = layer.init(KEY, X, MAP)
    exact = layer.apply(variables, X, MAP)
    rounded = layer.apply(variables, X.astype(jnp.bfloat16), MAP.astype(jnp.bfloat16))
    assert rounded.dtype == jnp.bfloat16
    assert {p.dtype for p in jax.tree.leaves(variables)} == {jnp.dtype(jnp.float32)}
    np.testing.assert_allclose(rounded.astype(jnp.float32), exact, atol=0.05)
