"""The convolution that every layer uses, in the form its device computes fastest.

Elsewhere than on the CPU it is `lax.conv_general_dilated`. XLA on the CPU multiplies
matrices and convolves well, but (measured with jax 0.10)

* it falls to a naive loop, a hundred times slower, where a window is larger than the
  unpadded array it slides over. The filter gradient's window is the output's
  gradient: 4x4 with padding 2, as in every PatchGAN, is such a case;
* a convolution without any padding runs three to eight times slower than a padded one;
* convolutions of few channels, or of few pixels with large kernels, waste most of it;
* gradients of narrow convolutions with a stride, which put zeros between pixels, run
  up to five times slower than products;
* kernels' gradients of many channels or large windows run up to four times slower
  than sums by rows;
* convolutions of volumes run fifty times slower than those of images.

The forms below avoid all that and are equal up to rounding.
"""

from collections.abc import Sequence
import functools
import itertools
import math

import jax
from jax import lax
import jax.numpy as jnp

from jaxsyn.nn import target
from jaxsyn.nn.kernel_gradient import kernel_gradient

_NARROW = 64  # Channels times window, up to which a matrix product is faster.
_DEEP = 512  # Inputs times window, above which a kernel's gradient is by rows.


def conv(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: int = 1,
    padding: int = 0,
    mode: str = "zero",
) -> jax.Array:
    """A convolution, in the dtype of x.

    Args:
      x: [B, *spatial, I].
      kernel: [*window, I, O].
      stride: Step of the window.
      padding: Pixels added at each side of each spatial axis.
      mode: What is added: `zero` or `reflect`.

    Returns:
      [B, *spatial', O].
    """
    kernel = kernel.astype(x.dtype)
    if mode != "zero":
        x, padding = _pad(x, _both(x, padding), mode), 0
    if target.is_cpu():
        return _form(x, kernel, stride, padding)(x, kernel, stride, padding)
    return _native(x, kernel, stride, _both(x, padding))


def patches(
    x: jax.Array, window: Sequence[int], *, stride: int = 1, padding: int = 0
) -> jax.Array:
    """What a window sees at each of its positions.

    Args:
      x: [B, *spatial, I].
      window: Sides of the window.
      stride: Its step.
      padding: Zeros added at each side of each spatial axis.

    Returns:
      [B, *spatial', window * I], ordered as a kernel [*window, I, O] is.
    """
    sides = _sides(x, window, stride, padding)
    x = _pad(x, _both(x, padding))
    # Axis by axis: a window of 5x5x5 takes 15 slices to compile, not 125.
    for axis, (width, side) in enumerate(zip(window, sides, strict=True), start=1):
        end = (side - 1) * stride + 1
        shifted = [
            lax.slice_in_dim(x, tap, tap + end, stride, axis) for tap in range(width)
        ]
        x = jnp.stack(shifted, axis=-2)
    return x.reshape(*x.shape[: 1 + len(window)], -1)


def by_patches(x, kernel, stride, padding):
    """Gathers the input's patches, then multiplies once."""
    gathered = patches(x, kernel.shape[:-2], stride=stride, padding=padding)
    return gathered @ kernel.reshape(-1, kernel.shape[-1])


def by_products(x, kernel, stride, padding):
    """Multiplies with the kernel of each tap at once, then shifts and adds.

    Only for stride 1.
    """
    del stride
    *window, inputs, outputs = kernel.shape
    sides = _sides(x, window, 1, padding)
    products = x @ jnp.moveaxis(kernel, -2, 0).reshape(inputs, -1)
    products = _pad(products, _both(x, padding))
    shares = jnp.split(products, math.prod(window), axis=-1)
    shifted = [
        _shifted(share, tap, sides)
        for share, tap in zip(shares, _taps(window), strict=True)
    ]
    return sum(shifted[1:], shifted[0])


def by_phases(x, kernel, stride, padding):
    """Makes pixels less than a stride apart channels, then multiplies at stride 1."""
    window = kernel.shape[:-2]
    strides = _strides(window, stride)
    more = [(0, n * stride - w) for n, w in zip(strides, window, strict=True)]
    kernel = jnp.pad(kernel, [*more, (0, 0), (0, 0)])
    seen = [
        stride * (side + n - 1)
        for side, n in zip(_sides(x, window, stride, padding), strides, strict=True)
    ]
    # What no window sees is cut off: such a width is negative.
    widths = [
        (padding, n - size - padding, 0)
        for n, size in zip(seen, x.shape[1:-1], strict=True)
    ]
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *widths, (0, 0, 0)])
    axes = len(window)
    return by_products(
        _phases(x, axes, stride), _phases(kernel[None], axes, stride)[0], 1, 0
    )


def by_slices(x, kernel, stride, padding):
    """Convolves volumes as images whose channels are the slices a window sees."""
    taps, inputs, outputs = kernel.shape[0], *kernel.shape[-2:]
    (count, *_), kept = _sides(x, kernel.shape[:-2], stride, padding), x.shape[2:-1]
    x = jnp.pad(x, [(0, 0), (padding, padding)] + [(0, 0)] * 3)
    seen = [
        lax.slice_in_dim(x, tap, tap + (count - 1) * stride + 1, stride, 1)
        for tap in range(taps)
    ]
    images = jnp.concatenate(seen, -1).reshape(-1, *kept, taps * inputs)
    flat = jnp.moveaxis(kernel, 0, 2).reshape(*kernel.shape[1:3], -1, outputs)
    y = conv(images, flat, stride=stride, padding=padding)
    return y.reshape(-1, count, *y.shape[1:])


def by_same_size(x, kernel, stride, padding):
    """Convolves with some native padding, but never to more pixels than it gets."""
    window = kernel.shape[:-2]
    if stride == 1 and padding == 0:
        y = _native(x, kernel, 1, [(0, 1)] * len(window))
        return y[:, *(slice(n) for n in _sides(x, window, 1, 0))]
    surplus = [max(2 * padding - (w - 1), 0) * (stride == 1) for w in window]
    first = [(n // 2, n - n // 2) for n in surplus]
    rest = [(padding - low, padding - high) for low, high in first]
    if any(surplus):
        # Without the barrier XLA moves the padding back into the convolution.
        x = lax.optimization_barrier(_pad(x, first))
    return _native(x, kernel, stride, rest)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def by_rows(x, kernel, stride, padding):
    """Convolves natively, but for the gradients.

    That of the kernel is summed by rows, that of x is the convolution that it is.
    Only for images at stride 1, square windows, and less padding than a window.
    """
    return by_same_size(x, kernel, stride, padding)


def _by_rows_forward(x, kernel, stride, padding):
    return by_rows(x, kernel, stride, padding), (x, kernel)


def _by_rows_backward(stride, padding, seen, g):
    x, kernel = seen
    turned = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
    back = conv(g, turned, stride=stride, padding=kernel.shape[0] - 1 - padding)
    return back, kernel_gradient(_pad(x, _both(x, padding)), g)


by_rows.defvjp(_by_rows_forward, _by_rows_backward)


def _form(x, kernel, stride, padding):
    """Picks the form."""
    *window, inputs, outputs = kernel.shape
    if len(window) == 3:
        return by_slices
    taps = math.prod(window)
    positions = x.shape[0] * math.prod(_sides(x, window, stride, padding))
    larger = any(w > s for w, s in zip(window, x.shape[1:-1], strict=True))
    # With no more positions than outputs, the patches are smaller than the kernel.
    if larger or positions <= outputs or taps == 1:
        return by_patches
    if stride > 1 and math.prod(_strides(window, stride)) * outputs <= _NARROW:
        return by_phases
    if stride == 1 and taps * outputs <= _NARROW:
        return by_products
    if stride == 1 and taps * inputs <= _NARROW:
        return by_patches
    square = len(window) == 2 and window[0] == window[1] > padding
    # The kernel's gradient is slow where images, its channels, are few.
    if stride == 1 and square and taps * inputs > _DEEP and x.shape[0] < inputs:
        return by_rows
    return by_same_size


def _native(x, kernel, stride, widths):
    axes = "DHW"[-len(widths) :]
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride,) * len(widths),
        widths,
        dimension_numbers=(f"N{axes}C", f"{axes}IO", f"N{axes}C"),
    )


def _sides(x, window, stride, padding):
    """Positions of the window along each spatial axis."""
    return [
        (s + 2 * padding - w) // stride + 1
        for s, w in zip(x.shape[1:-1], window, strict=True)
    ]


def _strides(window, stride):
    """How many strides cover each side of the window."""
    return [-(-side // stride) for side in window]


def _phases(x, axes, stride):
    """Puts each pixel's place within its stride before the channels, and joins them.

    From [B, *spatial, I, ...] to [B, *(spatial / stride), stride**axes * I, ...].
    """
    sides, rest = x.shape[1 : 1 + axes], x.shape[1 + axes :]
    x = x.reshape(-1, *(n for s in sides for n in (s // stride, stride)), *rest)
    order = (*range(1, 2 * axes, 2), *range(2, 2 * axes + 1, 2))
    x = x.transpose(0, *order, *range(2 * axes + 1, x.ndim))
    joined = stride**axes * rest[0], *rest[1:]
    return x.reshape(-1, *(side // stride for side in sides), *joined)


def _taps(window):
    return itertools.product(*map(range, window))


def _shifted(x, tap, sides):
    """What one tap of the window sees at all its positions, at stride 1."""
    return x[:, *(slice(t, t + n) for t, n in zip(tap, sides, strict=True))]


def _both(x, padding):
    """The same width at both sides of each spatial axis."""
    return [(padding, padding)] * (x.ndim - 2)


def _pad(x, widths, mode="constant"):
    """Pads the spatial axes by pairs of low and high."""
    return jnp.pad(x, [(0, 0), *widths, (0, 0)], mode=mode)
