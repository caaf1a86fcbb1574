import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsyn.losses import adversarial

# Two scales of different sizes: means 1.0 and -0.5 of plain logits.
LOGITS = [
    jnp.array([[2.0, 0.0]]).reshape(1, 1, 2, 1),
    jnp.array([-2.0, 0.0, 0.5, -0.5]).reshape(1, 2, 2, 1),
]


def softplus(x):
    return np.log1p(np.exp(x))


@pytest.mark.parametrize(
    ("kind", "fake", "real", "generator"),
    [
        # relu(1 + x): (3 + 1) / 2 = 2 and (0 + 1 + 1.5 + 0.5) / 4 = 0.75.
        # relu(1 - x): (0 + 1) / 2 = 0.5 and (3 + 1 + 0.5 + 1.5) / 4 = 1.5.
        ("hinge", 1.375, 1.0, -0.25),
        # x^2: 2 and 4.5 / 4; (x - 1)^2: 1 and (9 + 1 + 0.25 + 2.25) / 4 = 3.125.
        ("lsgan", 1.5625, 2.0625, 2.0625),
        ("wasserstein", 0.25, -0.25, -0.25),
    ],
)
def test_by_hand(kind, fake, real, generator):
    loss = getattr(adversarial, kind)
    got = [loss.fake(LOGITS), loss.real(LOGITS), loss.generator(LOGITS)]
    np.testing.assert_allclose(got, [fake, real, generator], rtol=1e-6)


def test_vanilla_by_hand():
    scales = [np.asarray(x) for x in LOGITS]
    fake = np.mean([softplus(x).mean() for x in scales])
    real = np.mean([softplus(-x).mean() for x in scales])
    loss = adversarial.vanilla
    got = [loss.fake(LOGITS), loss.real(LOGITS), loss.generator(LOGITS)]
    np.testing.assert_allclose(got, [fake, real, real], rtol=1e-6)


def test_vanilla_is_finite_at_large_logits():
    large = [jnp.array([[1e4, -1e4]])]
    np.testing.assert_allclose(adversarial.vanilla.fake(large), 5e3)


def test_hinge_gives_no_gradient_to_what_is_judged_well():
    gradient = jax.grad(lambda x: adversarial.hinge.fake([x]))(jnp.array([[-2.0, 3.0]]))
    np.testing.assert_allclose(gradient, [[0.0, 0.5]])


def test_one_scale_needs_no_list():
    logits = LOGITS[1]
    got = adversarial.hinge.fake(logits)
    np.testing.assert_allclose(got, adversarial.hinge.fake([logits]))
    np.testing.assert_allclose(got, 0.75)
