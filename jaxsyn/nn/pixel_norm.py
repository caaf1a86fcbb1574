"""Normalisation of each pixel's features by themselves.

Karras et al. 2018, https://arxiv.org/abs/1710.10196, section 4.2
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def pixel_norm(x: Float[Array, "*shape c"]) -> Float[Array, "*shape c"]:
    """Divides by √(mean square over channels + 1e-8).

    The mean is float32; the result has the dtype of `x`.
    """
    exact = x.astype(jnp.float32)
    mean_square = jnp.mean(jnp.square(exact), axis=-1)
    return (exact * jax.lax.rsqrt(mean_square + 1e-8)[..., None]).astype(x.dtype)
