"""Distances between what was made and what should have been."""

from collections.abc import Sequence

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Float

Features = Sequence[Float[Array, "b h w _"]]

# Of relu1_1 to relu5_1, as pix2pixHD and SPADE weigh them.
PERCEPTUAL_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)


def l1(fake: Float[Array, "*shape"], real: Float[Array, "*shape"]) -> jax.Array:
    """The mean absolute difference."""
    return jnp.mean(jnp.abs(fake - real))


def binary_cross_entropy(
    fake: Float[Array, "*shape"], real: Float[Array, "*shape"]
) -> jax.Array:
    """The mean cross-entropy of binary images in [-1, 1], as a tanh gives them."""
    # tanh(x) in [-1, 1] is the probability sigmoid(2x).
    p = jnp.clip((fake + 1.0) / 2.0, 1e-6, 1.0 - 1e-6)
    target = (real + 1.0) / 2.0
    return -jnp.mean(target * jnp.log(p) + (1.0 - target) * jnp.log1p(-p))


def feature_matching(fake: Sequence[Features], real: Sequence[Features]) -> jax.Array:
    """How a discriminator's features of synthetic and real images differ.

    Wang et al. 2018, https://arxiv.org/abs/1711.11585, equation 4, as SPADE weighs
    it: the sum over layers, logits left out, and the mean over scales. No gradient
    flows into the real ones.

    Args:
      fake: For each scale, the features of each layer, logits last.
      real: The same of real images.
    """
    distances = [
        sum(
            l1(x, lax.stop_gradient(y))
            for x, y in zip(fake_scale[:-1], real_scale[:-1], strict=True)
        )
        for fake_scale, real_scale in zip(fake, real, strict=True)
    ]
    return sum(distances) / len(distances)


def perceptual(
    fake: Features,
    real: Features,
    weights: Sequence[float] = PERCEPTUAL_WEIGHTS,
) -> jax.Array:
    """How a fixed network's features of synthetic and real images differ.

    Johnson et al. 2016, https://arxiv.org/abs/1603.08155, with absolute differences.

    Args:
      fake: Features of each layer.
      real: The same of real images.
      weights: One for each layer.
    """
    return sum(w * l1(x, y) for w, x, y in zip(weights, fake, real, strict=True))


def kl_divergence(
    mean: Float[Array, "b z"], log_variance: Float[Array, "b z"]
) -> jax.Array:
    """Divergence of a diagonal normal distribution from the standard one.

    Kingma and Welling 2014, https://arxiv.org/abs/1312.6114, appendix B; summed over
    the code and, as SPADE does, over the batch.
    """
    return -0.5 * jnp.sum(1.0 + log_variance - mean**2 - jnp.exp(log_variance))
