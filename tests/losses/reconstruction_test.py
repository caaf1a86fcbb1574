import jax
import jax.numpy as jnp
import numpy as np

from jaxsyn.losses import reconstruction


def image(*values):
    return jnp.array(values, jnp.float32).reshape(1, 1, -1, 1)


# Two scales of two layers and logits; the logits differ wildly.
FAKE = [
    [image(1, 2), image(0, 0, 0, 4), image(100)],
    [image(5), image(1, 1), image(-100)],
]
REAL = [
    [image(3, 1), image(0, 0, 0, 0), image(0)],
    [image(2), image(1, 2), image(0)],
]


def test_l1_is_the_mean_absolute_difference():
    np.testing.assert_allclose(reconstruction.l1(image(1, -2), image(0, 2)), 2.5)


def test_feature_matching_by_hand():
    # Layers are summed, without the logits: 1.5 + 1 and 3 + 0.5; scales averaged.
    got = reconstruction.feature_matching(FAKE, REAL)
    np.testing.assert_allclose(got, (2.5 + 3.5) / 2)


def test_feature_matching_holds_the_real_features():
    on_fake, on_real = jax.grad(reconstruction.feature_matching, (0, 1))(FAKE, REAL)
    assert all((g == 0).all() for g in jax.tree.leaves(on_real))
    # d/dx |x - y| / 2 pixels / 2 scales, and nothing from the logits.
    np.testing.assert_allclose(on_fake[0][0].ravel(), [-0.25, 0.25])
    np.testing.assert_allclose(on_fake[0][2], 0.0)


def test_kl_divergence_is_summed_over_code_and_batch():
    mean = jnp.array([[1.0, 0.0], [0.0, 2.0]])
    log_variance = jnp.array([[0.0, np.log(4.0)], [0.0, 0.0]])
    # 1/2 (m^2 + v - 1 - log v): 0.5, (3 - log 4) / 2, 0 and 2.
    expected = 0.5 + (3.0 - np.log(4.0)) / 2 + 2.0
    got = reconstruction.kl_divergence(mean, log_variance)
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert reconstruction.kl_divergence(jnp.zeros((3, 4)), jnp.zeros((3, 4))) == 0.0


def test_binary_cross_entropy_by_hand():
    # tanh 0.6 is a probability of 0.8; -1 and 1 are off and on.
    got = reconstruction.binary_cross_entropy(image(0.6, 0.6), image(1, -1))
    np.testing.assert_allclose(got, -(np.log(0.8) + np.log(0.2)) / 2, rtol=1e-5)


def test_binary_cross_entropy_stays_finite_at_the_ends():
    value, gradient = jax.value_and_grad(reconstruction.binary_cross_entropy)(
        image(1.0, -1.0), image(-1, 1)
    )
    assert 10 < value < 20
    assert jnp.isfinite(gradient).all()


def test_perceptual_weighs_the_layers():
    fake = [image(1), image(2), image(3), image(4), image(5)]
    real = [image(0)] * 5
    # 1/32 + 2/16 + 3/8 + 4/4 + 5.
    np.testing.assert_allclose(reconstruction.perceptual(fake, real), 6.53125)
