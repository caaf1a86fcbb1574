"""Penalties on gradients, of discriminators and of generators.

All reckon in the dtype of what they are given: give float32, and networks as
`Nets.pure` gives them. Images are [B, *spatial, C]; an image's gradient is one vector
over all its pixels and channels.
"""

from collections.abc import Callable
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

Images = Float[Array, "b *size c"]
Critic = Callable[[Images], jax.Array]


def gradient_penalty(
    critic: Critic,
    real: Images,
    fake: Images,
    rng: PRNGKeyArray,
    target: float = 1.0,
    one_sided: bool = False,
) -> Float[Array, ""]:
    """The mean of (‖∇critic‖ - target)² at points between real and fake images.

    Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028, equation 3; not weighted.

    Args:
      critic: Gives [B] or [B, 1].
      real: Real images.
      fake: Synthetic ones, as many.
      rng: Draws one point between each real and its fake.
      target: The norm that costs nothing.
      one_sided: Whether smaller norms cost nothing either.
    """
    share = jax.random.uniform(rng, (len(real), *(1,) * (real.ndim - 1)))
    between = real + share.astype(real.dtype) * (fake - real)
    excess = _root(_squared_norms(_gradients(critic, between))) - target
    return jnp.mean(jnp.square(jax.nn.relu(excess) if one_sided else excess))


def r1(critic: Critic, real: Images) -> Float[Array, ""]:
    """Half of the mean of ‖∇critic‖² at real images; not weighted.

    Mescheder et al. 2018, https://arxiv.org/abs/1801.04406, equation 9.

    Args:
      critic: Gives [B] or [B, 1].
      real: Real images.
    """
    return 0.5 * jnp.mean(_squared_norms(_gradients(critic, real)))


def path_lengths(
    synthesis: Callable[[jax.Array], Images],
    w: Float[Array, "b *layers z"],
    rng: PRNGKeyArray,
) -> Float[Array, " b"]:
    """How far an image moves, in a random direction, with its latent code.

    Karras et al. 2020, https://arxiv.org/abs/1912.04958, equation 4: ‖Jᵀy‖, where y
    is normal noise; it is divided by the root of the number of pixels, as their code
    does. A code of many layers gives the root of its layers' mean square.

    Args:
      synthesis: Makes an image of each code.
      w: Latent codes.
      rng: Draws y.
    """
    images, pull_back = jax.vjp(synthesis, w)
    y = jax.random.normal(rng, images.shape, images.dtype)
    (gradients,) = pull_back(y / math.sqrt(math.prod(images.shape[1:-1])))
    layers = math.prod(w.shape[1:-1])
    return _root(_squared_norms(gradients) / layers)


def _gradients(critic, images):
    return jax.grad(lambda x: jnp.sum(critic(x)))(images)


def _squared_norms(gradients):
    return jnp.sum(jnp.square(gradients.reshape(len(gradients), -1)), axis=1)


def _root(squares):
    """The square root, with gradient 0 instead of infinity at 0."""
    positive = squares > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1.0)), 0.0)
