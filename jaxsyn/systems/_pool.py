"""A pool of past fakes, so that a discriminator does not forget them.

Shrivastava et al. 2017, https://arxiv.org/abs/1612.07828, section 2.3, as CycleGAN
has it. It lives in a system's memory, and so in checkpoints.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Pool = Mapping[str, jax.Array]


def empty(size: int, image_shape: tuple[int, ...]) -> Pool:
    """A pool of `size` images, of which none is there yet.

    Returns:
      `images` [size, *image_shape] and their `count`, at first 0.
    """
    return {
        "images": jnp.zeros((size, *image_shape)),
        "count": jnp.zeros((), jnp.int32),
    }


def exchange(
    pool: Pool, images: Float[Array, "b h w c"], rng: jax.Array
) -> tuple[Float[Array, "b h w c"], Pool]:
    """Hands images in, one after another, and past ones out.

    While the pool is not full it keeps each image, and gives it back too. A full one
    swaps it, with probability 1/2, for any of those it keeps.

    Args:
      pool: The pool; one of size 0 gives back what it gets.
      images: What is handed in.
      rng: A key.

    Returns:
      As many images, and the pool as it is then.
    """
    size = len(pool["images"])
    if not size:
        return images, pool

    def hand_in(pool, item):
        image, key = item
        of_swap, of_place = jax.random.split(key)
        full = pool["count"] == size
        swap = full & jax.random.bernoulli(of_swap)
        any_place = jax.random.randint(of_place, (), 0, size)
        place = jnp.where(full, any_place, pool["count"])
        there = pool["images"][place]
        kept = jnp.where(full & ~swap, there, image)
        pool = {
            "images": pool["images"].at[place].set(kept),
            "count": jnp.minimum(pool["count"] + 1, size),
        }
        return pool, jnp.where(swap, there, image)

    keys = jax.random.split(rng, len(images))
    pool, given = jax.lax.scan(hand_in, pool, (images, keys))
    return given, pool
