import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsyn.nn import fused, growing, resample
from jaxsyn.nn.convolve import conv

RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.normal(size=(2, 4, 6, 3)), jnp.float32)
KERNEL = jnp.asarray(RNG.normal(size=(3, 3, 3, 5)), jnp.float32)


def doubled_then_convolved(x, kernel):
    return conv(resample.upsample(x), kernel, padding=1)


def convolved_then_halved(x, kernel):
    return growing.shrink(conv(x, kernel, padding=1))


FORMS = [
    (fused.doubling_conv, doubled_then_convolved),
    (fused.halving_conv, convolved_then_halved),
]


@pytest.mark.parametrize(("one", "two"), FORMS)
def test_one_step_is_two(one, two):
    got, expected = one(X, KERNEL), two(X, KERNEL)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("one", "two"), FORMS)
def test_second_gradients_are_the_same(one, two):
    def penalty(form):
        def of(kernel):
            gradient = jax.grad(lambda x: jnp.sum(jnp.tanh(form(x, kernel))))(X)
            return jnp.sum(gradient**2)

        return jax.grad(of)(KERNEL)

    np.testing.assert_allclose(penalty(one), penalty(two), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("one", "two"), FORMS)
def test_the_dtype_is_the_inputs(one, two):
    assert one(X.astype(jnp.bfloat16), KERNEL).dtype == jnp.bfloat16
