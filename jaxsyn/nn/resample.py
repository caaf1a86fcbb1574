"""Changing the size of images and maps; channels last, any spatial rank."""

from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped
import numpy as np

from jaxsyn import settings


def upsample(x: Float[Array, "b h w c"], method: str = "nearest"):
    """Doubles height and width.

    Args:
      x: Images.
      method: `nearest`, or `bilinear` with pixel centres at halves, as PyTorch's
        `align_corners=False`.
    """
    if method == "nearest":
        b, h, w, c = x.shape
        grown = jnp.broadcast_to(x[:, :, None, :, None], (b, h, 2, w, 2, c))
        return grown.reshape(b, 2 * h, 2 * w, c)
    if method == "bilinear":
        return _double(_double(x, 1), 2)
    raise settings.unknown(f"upsampling={method!r}", method, ["nearest", "bilinear"])


def nearest(x: Shaped[Array, "b h w c"], size: int) -> Shaped[Array, "b s s c"]:
    """Takes every n-th pixel of a square map: pixel i is i·side/size rounded down."""
    side = x.shape[1]
    if side == size:
        return x
    if side % size == 0:
        step = side // size
        return x[:, ::step, ::step]
    index = np.arange(size) * side // size
    return x[:, index[:, None], index]


def max_pool(x: Float[Array, "b h w c"], size: int) -> Float[Array, "b s s c"]:
    """Shrinks a square map by a whole factor, keeping what is on anywhere."""
    factor = x.shape[1] // size
    window = (1, factor, factor, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")


def max_pool_half(x: Float[Array, "b *size c"]) -> Float[Array, "b *half c"]:
    """Halves all sides, keeping the largest of each 2×2 (×2) pixels.

    Written without a window, whose gradient is very slow on the CPU, and without a
    maximum, whose gradient asks which pixel equals it: where XLA computes the pixels
    twice and rounds them differently, none does, and the gradient is 0/0.
    """
    for axis in range(1, x.ndim - 1):
        shape = (*x.shape[:axis], x.shape[axis] // 2, 2, *x.shape[axis + 1 :])
        pairs = x.reshape(shape)
        first, second = (
            lax.index_in_dim(pairs, i, axis + 1, keepdims=False) for i in (0, 1)
        )
        x = jnp.where(first >= second, first, second)
    return x


def average_pool(x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c"]:
    """Halves images: 3×3 means at stride 2, padding not counted."""
    dims, strides = (1, 3, 3, 1), (1, 2, 2, 1)
    padding = [(0, 0), (1, 1), (1, 1), (0, 0)]

    def total(values):
        zero = np.zeros((), values.dtype)  # Not jnp: the gradient needs a constant.
        return lax.reduce_window(values, zero, lax.add, dims, strides, padding)

    return total(x) / total(jnp.ones((1, *x.shape[1:3], 1), x.dtype))


def _double(x, axis):
    """Doubles one axis bilinearly: each new pixel is 3/4 of one and 1/4 of a next."""
    first = lax.slice_in_dim(x, 0, 1, axis=axis)
    last = lax.slice_in_dim(x, x.shape[axis] - 1, None, axis=axis)
    before = jnp.concatenate([first, lax.slice_in_dim(x, 0, -1, axis=axis)], axis)
    after = jnp.concatenate([lax.slice_in_dim(x, 1, None, axis=axis), last], axis)
    pair = jnp.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis + 1)
    shape = list(x.shape)
    shape[axis] *= 2
    return pair.reshape(shape)
