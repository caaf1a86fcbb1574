"""Doubling and halving images through the low-pass filter [1, 3, 3, 1].

Karras et al. 2020, https://arxiv.org/abs/1912.04958, as their published code aligns it.
Beyond the image there are zeros. The filter is applied as sums of shifted images, an
axis at a time: XLA fuses these, and convolves channel by channel slowly.
"""

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Float

TAPS = (0.125, 0.375, 0.375, 0.125)

Images = Float[Array, "b h w c"]


def blur(x: Images, padding: int, stride: int = 1) -> Images:
    """Means of 4x4 pixels, weighted by the filter, whose weights have the sum 1.

    Args:
      x: Images.
      padding: Zeros added at each side: an image of n pixels gets n + 2·padding - 3
      stride: over this, rounded up.
    """
    for axis in (1, 2):
        x = _blur_axis(x, axis, padding, stride)
    return x


def downsample(x: Images) -> Images:
    """Halves images of even sides."""
    return blur(x, padding=1, stride=2)


def upsample(x: Images) -> Images:
    """Doubles images: zeros between their pixels, then four times the filter.

    Every new pixel is then 3/4 of one and 1/4 of its next, along each axis.
    """
    for axis in (1, 2):
        x = _double_axis(x, axis)
    return x


def _blur_axis(x, axis, padding, stride):
    last = x.shape[axis] + 2 * padding - len(TAPS)  # Where the last window starts.
    x = _pad(x, axis, padding)
    shares = [
        tap * lax.slice_in_dim(x, i, i + last + 1, stride, axis)
        for i, tap in enumerate(TAPS)
    ]
    return sum(shares[1:], shares[0])


def _double_axis(x, axis):
    size = x.shape[axis]
    padded = _pad(x, axis, 1)
    before = lax.slice_in_dim(padded, 0, size, axis=axis)
    after = lax.slice_in_dim(padded, 2, size + 2, axis=axis)
    pair = jnp.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis + 1)
    return pair.reshape(*x.shape[:axis], 2 * size, *x.shape[axis + 1 :])


def _pad(x: jax.Array, axis: int, width: int) -> jax.Array:
    widths = [(width, width) if i == axis else (0, 0) for i in range(x.ndim)]
    return jnp.pad(x, widths)
