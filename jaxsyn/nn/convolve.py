"""The convolution that every layer uses, in the form its device computes fastest.

Elsewhere than on the CPU it is `lax.conv_general_dilated`. XLA on the CPU multiplies
matrices and convolves well, but (measured with jax 0.10)

* it falls to a naive loop, a hundred times slower, where a window is larger than the
  unpadded array it slides over. The filter gradient's window is the output's
  gradient: 4x4 with padding 2, as in every PatchGAN, is such a case;
* a convolution without any padding runs three to eight times slower than a padded one;
* convolutions of few channels, or of few pixels with large kernels, waste most of it;
* those of volumes run fifty times slower than those of images.

The forms below avoid all that and are equal up to rounding.
"""

from collections.abc import Sequence
import itertools
import math

import jax
from jax import lax
import jax.numpy as jnp

from jaxsyn.nn import target

_NARROW = 64  # Channels times window, up to which a matrix product is faster.


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


def transposed_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A transposed convolution with stride 2 that doubles each side, in x's dtype.

    Pixel i of the input reaches output pixels 2i - p to 2i - p + w - 1 with tap 0 to
    w - 1, where p is 0 for w = 2 and 1 for 3 and 4, as PyTorch's padding: what a
    convolution of stride 2 and padding 1 has taken from somewhere goes back there.
    Each phase, even or odd along each axis, is a convolution with half of the taps; all
    phases are channels of one, and are then interleaved. On the CPU, where there are no
    more pixels than outputs, a kernel is larger than what it is applied to: to sort all
    of it into one would cost more than a product for each phase.

    Args:
      x: [B, *spatial, I].
      kernel: [*window, I, O], of equal sides 2, 3 or 4.

    Returns:
      [B, *(2 * spatial), O].
    """
    axes, side, pixels = x.ndim - 2, kernel.shape[0], math.prod(x.shape[:-1])
    if side == 2:
        y = _single_taps(x, kernel)
    elif target.is_cpu() and pixels <= kernel.shape[-1]:
        y = _phase_by_phase(x, kernel)
    else:
        y = _pairs_of_taps(x, kernel)
    order = [axis for i in range(axes) for axis in (1 + i, 1 + axes + i)]
    y = y.transpose(0, *order, 2 * axes + 1)
    return y.reshape(x.shape[0], *(2 * n for n in x.shape[1:-1]), kernel.shape[-1])


def _single_taps(x, kernel):
    """All phases [B, *spatial, *(2, ...), O] where each has one tap."""
    *window, inputs, outputs = kernel.shape
    # Transposed: its gradient is then a product that XLA computes twice as fast.
    rows = jnp.swapaxes(kernel, -1, -2).reshape(-1, inputs).astype(x.dtype)
    y = x.reshape(-1, inputs) @ rows.T
    return y.reshape(*x.shape[:-1], *window, outputs)


def _phase_by_phase(x, kernel):
    """The same where each has two taps along each axis, a product for each phase."""
    axes = x.ndim - 2
    kernel = _of_four_taps(kernel).astype(x.dtype)
    padded, phases = _pad(x, _both(x, 1)), []
    for phase in itertools.product((0, 1), repeat=axes):
        # Its taps, in the kernel's order, and what each of them sees.
        taps = kernel[*(slice(1 - p, None, 2) for p in phase)]
        offsets = itertools.product(*((p + 1, p) for p in phase))
        seen = [_shifted(padded, offset, x.shape[1:-1]) for offset in offsets]
        gathered = jnp.concatenate(seen, -1)
        phases.append(gathered @ taps.reshape(-1, kernel.shape[-1]))
    y = jnp.stack(phases, -2)
    return y.reshape(*x.shape[:-1], *(2,) * axes, kernel.shape[-1])


def _of_four_taps(kernel):
    """The kernel with as many zeros as it takes to have four taps along each axis."""
    axes = kernel.ndim - 2
    return jnp.pad(kernel, [(0, 4 - kernel.shape[0])] * axes + [(0, 0)] * 2)


def _pairs_of_taps(x, kernel):
    """The same, in one convolution."""
    axes = x.ndim - 2
    flipped = jnp.flip(_of_four_taps(kernel), range(axes))
    # Each side of 4 is (tap, phase); phases become channels.
    split = flipped.reshape(*(2, 2) * axes, *kernel.shape[-2:])
    taps, phases = range(0, 2 * axes, 2), range(1, 2 * axes, 2)
    split = split.transpose(*taps, 2 * axes, *phases, 2 * axes + 1)
    y = conv(x, split.reshape(*(2,) * axes, x.shape[-1], -1), padding=1)
    y = y.reshape(*y.shape[:-1], *(2,) * axes, kernel.shape[-1])
    for i, n in enumerate(x.shape[1:-1]):  # Odd phases begin one position later.
        axis, phase = 1 + i, 1 + axes + i
        both = (lax.index_in_dim(y, p, phase, keepdims=False) for p in (0, 1))
        aligned = [
            lax.slice_in_dim(each, p, p + n, axis=axis) for p, each in enumerate(both)
        ]
        y = jnp.stack(aligned, phase)
    return y


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
    if stride == 1 and taps * outputs <= _NARROW:
        return by_products
    if stride == 1 and taps * inputs <= _NARROW:
        return by_patches
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
