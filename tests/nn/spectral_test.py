import jax
import jax.numpy as jnp
import numpy as np

from jaxsyn.nn.spectral import SpectralNorm

KEY = jax.random.key(0)
KERNEL = np.random.default_rng(0).normal(size=(3, 3, 4, 5)).astype(np.float32)


def start():
    return SpectralNorm().init(KEY, KERNEL, train=True)["spectral"]


def step(kernel, state):
    out, new = SpectralNorm().apply(
        {"spectral": state}, kernel, train=True, mutable=["spectral"]
    )
    return out, new["spectral"]


def test_many_iterations_find_the_largest_singular_value():
    state = start()
    for _ in range(200):
        out, state = step(KERNEL, state)
    sigma = np.linalg.svd(KERNEL.reshape(-1, 5), compute_uv=False)[0]
    np.testing.assert_allclose(out, KERNEL / sigma, rtol=1e-5)


def test_one_iteration_by_hand():
    # W = diag(3, 4), u = (0.6, 0.8): v ~ (1.8, 3.2), then u ~ (3 v0, 4 v1).
    kernel = jnp.diag(jnp.array([3.0, 4.0])).reshape(1, 1, 2, 2)
    state = {"u": jnp.array([0.6, 0.8]), "v": jnp.array([1.0, 0.0])}
    out, new = step(kernel, state)
    v = np.array([1.8, 3.2]) / np.hypot(1.8, 3.2)
    u = np.array([5.4, 12.8]) / np.hypot(5.4, 12.8)
    sigma = 3 * u[0] * v[0] + 4 * u[1] * v[1]
    np.testing.assert_allclose(new["v"], v, rtol=1e-6)
    np.testing.assert_allclose(new["u"], u, rtol=1e-6)
    np.testing.assert_allclose(out, kernel / sigma, rtol=1e-6)


def test_evaluation_uses_the_stored_vectors_and_changes_nothing():
    kernel = jnp.diag(jnp.array([3.0, 4.0])).reshape(1, 1, 2, 2)
    state = {"u": jnp.array([0.6, 0.8]), "v": jnp.array([1.0, 0.0])}
    out, new = SpectralNorm().apply(
        {"spectral": state}, kernel, train=False, mutable=["spectral"]
    )
    np.testing.assert_allclose(out, kernel / 1.8, rtol=1e-6)  # v^T W u = 3 x 0.6
    for name, vector in state.items():
        np.testing.assert_array_equal(new["spectral"][name], vector)


def test_initialising_takes_no_step():
    state = start()
    matrix = KERNEL.reshape(-1, 5)
    v = matrix @ np.asarray(state["u"])
    np.testing.assert_allclose(state["v"], v / np.linalg.norm(v), rtol=1e-5)
    np.testing.assert_allclose(jnp.linalg.norm(state["u"]), 1.0, rtol=1e-6)


def test_the_gradient_takes_the_vectors_as_constants():
    state = start()
    weights = np.random.default_rng(1).normal(size=KERNEL.shape).astype(np.float32)
    out, new = step(KERNEL, state)
    got = jax.grad(lambda k: (step(k, state)[0] * weights).sum())(KERNEL)
    # d(W / s) with ds/dW = v u^T: (G - <G, W / s> v u^T) / s.
    u, v = np.asarray(new["u"]), np.asarray(new["v"])
    sigma = v @ KERNEL.reshape(-1, 5) @ u
    outer = np.outer(v, u).reshape(KERNEL.shape)
    expected = (weights - (weights * np.asarray(out)).sum() * outer) / sigma
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_a_frozen_collection_is_left_alone_in_training():
    out = SpectralNorm().apply({"spectral": start()}, KERNEL, train=True)
    np.testing.assert_allclose(out, step(KERNEL, start())[0], rtol=1e-6)
