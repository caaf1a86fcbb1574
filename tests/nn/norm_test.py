import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsyn.errors import UsageError
from jaxsyn.nn.norm import BatchNorm, Norm, instance_norm

X = np.random.default_rng(0).normal(3.0, 2.0, (4, 5, 6, 3)).astype(np.float32)


def apply(state, x, train):
    return BatchNorm().apply(
        {"batch_stats": state}, x, train=train, mutable=["batch_stats"]
    )


def fresh():
    return BatchNorm().init(jax.random.key(0), X, train=True)["batch_stats"]


def test_instance_norm_is_numpys():
    mean = X.mean((1, 2), keepdims=True)
    variance = X.var((1, 2), keepdims=True)
    np.testing.assert_allclose(
        instance_norm(X), (X - mean) / np.sqrt(variance + 1e-5), rtol=1e-4, atol=1e-5
    )


def test_instance_norm_sees_one_image_at_a_time():
    both = instance_norm(X[:2])
    np.testing.assert_allclose(both[:1], instance_norm(X[:1]), rtol=1e-6)


def test_instance_norm_survives_a_large_mean():
    # In float32, the mean square minus the squared mean would be noise here.
    shifted = instance_norm(X + np.float32(4096.0))
    np.testing.assert_allclose(shifted, instance_norm(X), atol=2e-3)


def test_instance_norm_of_bfloat16_is_rounded_once_at_the_end():
    low = jnp.asarray(X, jnp.bfloat16)
    got = instance_norm(low)
    assert got.dtype == jnp.bfloat16
    exact = instance_norm(low.astype(jnp.float32))
    np.testing.assert_array_equal(got, exact.astype(jnp.bfloat16))


def test_batch_norm_is_numpys_and_its_running_variance_unbiased():
    y, new = apply(fresh(), X, True)
    mean, variance = X.mean((0, 1, 2)), X.var((0, 1, 2))
    np.testing.assert_allclose(
        y, (X - mean) / np.sqrt(variance + 1e-5), rtol=1e-4, atol=1e-5
    )
    stats = new["batch_stats"]
    count = X.size // 3
    np.testing.assert_allclose(stats["mean"], 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(
        stats["var"], 0.9 + 0.1 * variance * count / (count - 1), rtol=1e-5
    )


def test_batch_norm_evaluates_with_running_statistics():
    state = {"mean": jnp.array([1.0, 2.0, 3.0]), "var": jnp.array([4.0, 1.0, 0.25])}
    y, new = apply(state, X, False)
    expected = (X - np.array([1, 2, 3])) / np.sqrt(np.array([4, 1, 0.25]) + 1e-5)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(new["batch_stats"]["mean"], state["mean"])


def test_batch_norm_can_evaluate_with_the_batchs_own_statistics():
    y = BatchNorm(running_average=False).apply({"batch_stats": fresh()}, X, train=False)
    np.testing.assert_allclose(y, apply(fresh(), X, True)[0], rtol=1e-5)


def test_a_frozen_collection_is_left_alone_in_training():
    y = BatchNorm().apply({"batch_stats": fresh()}, X, train=True)
    np.testing.assert_allclose(y, apply(fresh(), X, True)[0], rtol=1e-5)


def test_an_unknown_norm_lists_the_known():
    with pytest.raises(UsageError, match="(?s)layer.*batch, instance"):
        Norm("layer").apply({}, X, train=True)


def test_neither_has_parameters():
    assert set(BatchNorm().init(jax.random.key(0), X, train=True)) == {"batch_stats"}
    np.testing.assert_array_equal(fresh()["mean"], 0)
    np.testing.assert_array_equal(fresh()["var"], 1)
