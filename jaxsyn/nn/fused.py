"""3x3 convolutions and a change of size, in one: with less than half of the products.

Doubling by nearest neighbours shows a window the same pixel more than once, and a mean
of four windows sees pixels more than once: it is their weights that are added here.
Both forms are equal to the two steps, up to rounding.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxsyn.nn.convolve import conv
from jaxsyn.nn.transposed import transposed_conv


def doubling_conv(
    x: Float[Array, "b h w i"], kernel: Float[Array, "3 3 i o"]
) -> Float[Array, "b 2*h 2*w o"]:
    """Doubles by nearest neighbours, then convolves with padding 1."""
    return transposed_conv(x, _widened(jnp.flip(kernel, (0, 1))))


def halving_conv(
    x: Float[Array, "b h w i"], kernel: Float[Array, "3 3 i o"]
) -> Float[Array, "b h//2 w//2 o"]:
    """Convolves with padding 1, then takes the mean of each 2x2 pixels."""
    # Squares of pixels become channels: a stride's second gradient is slow on the CPU.
    x = _squares(jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))))
    kernel = jnp.moveaxis(_widened(kernel) / 4, -1, 0)
    return conv(x, jnp.moveaxis(_squares(kernel), 0, -1))


def _widened(kernel: jax.Array) -> jax.Array:
    """[4, 4, I, O]: the sum of the kernel at its four places."""
    rest = [(0, 0)] * 2
    return sum(
        jnp.pad(kernel, [(y, 1 - y), (x, 1 - x), *rest]) for y in (0, 1) for x in (0, 1)
    )


def _squares(x: jax.Array) -> jax.Array:
    """[B, H, W, C] to [B, H / 2, W / 2, 4 C]."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // 2, 2, w // 2, 2, c).swapaxes(2, 3)
    return x.reshape(b, h // 2, w // 2, 4 * c)
