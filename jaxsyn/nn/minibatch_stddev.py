"""A channel that tells a discriminator how different the images of a batch are.

Karras et al. 2018, https://arxiv.org/abs/1710.10196, section 3
"""

import jax.numpy as jnp
from jaxtyping import Array, Float


def minibatch_stddev(
    x: Float[Array, "b *size c"], group: int = 4
) -> Float[Array, "b *size c1"]:
    """Appends the deviation within a group of images, averaged to one number.

    Groups have as many images as the largest divisor of B that is at most `group`;
    image i is with those at a distance of multiples of B over that. Deviations are
    √(variance + 1e-8), so 1e-4 for an image alone.

    Args:
      x: Features of a batch.
      group: Most images in a group.

    Returns:
      `x` with one channel more, in its dtype; statistics are float32.
    """
    batch = x.shape[0]
    members = max(n for n in range(1, min(group, batch) + 1) if batch % n == 0)
    grouped = x.astype(jnp.float32).reshape(members, batch // members, -1)
    centred = grouped - jnp.mean(grouped, axis=0)[None]
    deviation = jnp.sqrt(jnp.mean(jnp.square(centred), axis=0) + 1e-8)
    of_image = jnp.tile(jnp.mean(deviation, axis=1), members).astype(x.dtype)
    of_image = of_image.reshape(batch, *(1,) * (x.ndim - 1))
    channel = jnp.broadcast_to(of_image, (*x.shape[:-1], 1))
    return jnp.concatenate([x, channel], axis=-1)
