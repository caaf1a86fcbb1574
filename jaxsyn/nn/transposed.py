"""The transposed convolution of stride 2, in the form its device computes fastest.

An output pixel's phase, even or odd along each axis, says which taps reach it: one or
two along each axis. XLA on the CPU would multiply with all of them, most of the time
with the zeros between the pixels. The forms below do not, and are equal up to rounding.
Elsewhere it is `lax.conv_general_dilated`, as in the gradient of a strided convolution.
"""

import itertools
import math

import jax
from jax import lax
import jax.numpy as jnp

from jaxsyn.nn import target
from jaxsyn.nn.convolve import conv

_WIDE = 65  # Inputs from which products of all taps are faster than a convolution.


def transposed_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A transposed convolution with stride 2 that doubles each side, in x's dtype.

    Pixel i of the input reaches output pixels 2i - p to 2i - p + w - 1 with tap 0 to
    w - 1, where p is 0 for w = 2 and 1 for 3 and 4, as PyTorch's padding: what a
    convolution of stride 2 and padding 1 has taken from somewhere goes back there.

    Args:
      x: [B, *spatial, I].
      kernel: [*window, I, O], of equal sides 2, 3 or 4.

    Returns:
      [B, *(2 * spatial), O].

    Raises:
      ValueError: The window has other sides.
    """
    window = set(kernel.shape[:-2])
    if window not in ({2}, {3}, {4}):
        raise ValueError(
            f"The window is {kernel.shape[:-2]}; its sides must all be 2, 3 or 4."
        )
    kernel = kernel.astype(x.dtype)
    if not target.is_cpu():
        return _native(x, kernel)
    axes = x.ndim - 2
    y = _form(x, kernel)(x, kernel)
    order = [axis for i in range(axes) for axis in (1 + i, 1 + axes + i)]
    y = y.transpose(0, *order, 2 * axes + 1)
    return y.reshape(x.shape[0], *(2 * n for n in x.shape[1:-1]), kernel.shape[-1])


def _native(x, kernel):
    """The output itself, by a convolution with zeros between the pixels."""
    axes, side = x.ndim - 2, kernel.shape[0]
    low = side - 1 - (side > 2)
    letters = "DHW"[-axes:]
    return lax.conv_general_dilated(
        x,
        jnp.flip(kernel, range(axes)),
        (1,) * axes,
        [(low, side - low)] * axes,
        lhs_dilation=(2,) * axes,
        dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"),
    )


def _form(x, kernel):
    """Picks what computes all phases, [B, *spatial, *(2, ...), O]."""
    side, inputs, outputs = kernel.shape[0], *kernel.shape[-2:]
    if side == 2:
        return single_taps
    if math.prod(x.shape[:-1]) <= outputs:
        return phase_by_phase
    return by_products if side == 3 or inputs >= _WIDE else pairs_of_taps


def single_taps(x, kernel):
    """One product, where each phase has one tap."""
    *window, inputs, outputs = kernel.shape
    # Transposed: its gradient is then a product that XLA computes twice as fast.
    rows = jnp.swapaxes(kernel, -1, -2).reshape(-1, inputs)
    y = x.reshape(-1, inputs) @ rows.T
    return y.reshape(*x.shape[:-1], *window, outputs)


def phase_by_phase(x, kernel):
    """A product for each phase.

    The kernel keeps its order: where it is larger than what it is applied to, another
    order would cost more than the products.
    """
    axes = x.ndim - 2
    padded, phases = jnp.pad(x, [(0, 0), *[(1, 1)] * axes, (0, 0)]), []
    for phase in itertools.product((0, 1), repeat=axes):
        taps = kernel[*(slice(1 - p, None, 2) for p in phase)]
        # Where each tap looks; of two, the first sees the next pixel.
        places = itertools.product(
            *(
                [slice(p + 1 - tap, p + 1 - tap + n) for tap in range(count)]
                for p, count, n in zip(phase, taps.shape, x.shape[1:], strict=False)
            )
        )
        seen = [padded[:, *place] for place in places]
        rows = taps.reshape(-1, kernel.shape[-1])
        phases.append(jnp.concatenate(seen, -1) @ rows)
    y = jnp.stack(phases, -2)
    return y.reshape(*x.shape[:-1], *(2,) * axes, kernel.shape[-1])


def by_products(x, kernel):
    """One product with all taps, of which those of a phase are then added."""
    *window, inputs, outputs = kernel.shape
    axes, side = len(window), window[0]
    rows = jnp.moveaxis(kernel, -2, 0).reshape(inputs, -1)
    y = (x.reshape(-1, inputs) @ rows).reshape(*x.shape[:-1], *window, outputs)
    for axis in range(1, 1 + axes):
        shares = [
            lax.index_in_dim(y, t, axis + axes, keepdims=False) for t in range(side)
        ]
        even, odd = shares[1], shares[2] + _shifted(shares[0], -1, axis)
        if side == 4:
            even = even + _shifted(shares[3], 1, axis)
        y = jnp.stack([even, odd], axis + axes)
    return y


def pairs_of_taps(x, kernel):
    """One convolution, where each phase has two taps and is a share of the channels."""
    axes = x.ndim - 2
    flipped = jnp.flip(kernel, range(axes))
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


def _shifted(x, by, axis):
    """Moves x along an axis by a pixel, up or down; what comes in is zero."""
    widths = [(0, 0, 0)] * x.ndim
    widths[axis] = (by, -by, 0)
    return lax.pad(x, jnp.zeros((), x.dtype), widths)
