import jax.numpy as jnp
import numpy as np
import pytest

from jaxsyn.engine import optimizers
from jaxsyn.engine.optimizers import Adam
from jaxsyn.errors import UsageError


def test_constant_rate():
    rate = Adam(learning_rate=1e-4).schedule(100)
    assert [float(rate(i)) for i in (0, 50, 99)] == pytest.approx([1e-4] * 3)


def test_linear_decay_ends_at_zero():
    rate = Adam(learning_rate=2.0, decay_from=0.5).schedule(100)
    np.testing.assert_allclose(
        [rate(i) for i in (0, 50, 75, 100)], [2.0, 2.0, 1.0, 0.0], atol=1e-6
    )


def test_warmup_rises_from_zero():
    rate = Adam(learning_rate=1.0, warmup_steps=4).schedule(100)
    np.testing.assert_allclose([rate(i) for i in (0, 1, 4, 9)], [0, 0.25, 1, 1])


def test_first_adam_step_is_the_learning_rate():
    # With b1 = 0 the first update is -lr * g / (|g| + eps): Kingma & Ba, alg. 1.
    transform = Adam(learning_rate=0.1).build(10)
    params = {"w": jnp.array([1.0, -2.0])}
    updates, _ = transform.update(
        {"w": jnp.array([3.0, -5.0])}, transform.init(params), params
    )
    np.testing.assert_allclose(updates["w"], [-0.1, 0.1], rtol=1e-5)


def test_clipping_bounds_the_norm_that_adam_sees():
    transform = Adam(learning_rate=1.0, b2=0.0, eps=1.0, clip_norm=1.0).build(10)
    params = {"w": jnp.zeros(2)}
    updates, _ = transform.update(
        {"w": jnp.array([30.0, 40.0])}, transform.init(params), params
    )
    clipped = np.array([0.6, 0.8])
    np.testing.assert_allclose(updates["w"], -clipped / (clipped + 1), rtol=1e-5)


def test_every_network_needs_an_optimiser():
    settings = {"generator": Adam(learning_rate=1.0)}
    networks = {"generator": None, "critic": None}
    with pytest.raises(UsageError, match=r"networks are \['critic', 'generator'\]"):
        optimizers.build(settings, networks, 10)


def test_ema_decay_starts_low():
    decay = optimizers.ema_decay(0.999)
    assert float(decay(0)) == pytest.approx(0.1)
    assert float(decay(10**6)) == pytest.approx(0.999)
