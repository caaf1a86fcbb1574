"""The gradient of a convolution's kernel, by rows.

That gradient is itself a convolution, whose window is as large as the image and whose
channels are the batch. XLA for the CPU gathers so few channels slowly: it takes several
times as long as the convolution itself (jax 0.10). If the rows of all images become
channels, too, it slides along the columns alone, and gathers long stretches of memory.
"""

import jax
from jax import lax
import jax.numpy as jnp

_PIECE = 16_384  # Pixels of all images together; larger pieces take longer.
_PIECES = 8  # More of them would take long to compile.


def kernel_gradient(x: jax.Array, g: jax.Array) -> jax.Array:
    """The gradient of the kernel of a convolution of images at stride 1.

    It sums over at most eight pieces of the rows.

    Args:
      x: The convolution's input with its padding, [B, H + h - 1, W + w - 1, I].
      g: The gradient of its output, [B, H, W, O].

    Returns:
      [h, w, I, O].
    """
    count, height, width = g.shape[:3]
    window = x.shape[1] - height + 1
    pieces = min(_PIECES, height, -(-count * height * width // _PIECE))
    rows = -(-height // pieces)
    shares = [
        _of_piece(x[:, first : first + rows + window - 1], g[:, first : first + rows])
        for first in range(0, height, rows)
    ]
    return sum(shares[1:], shares[0])


def _of_piece(x, g):
    inputs, outputs = x.shape[-1], g.shape[-1]
    window = x.shape[1] - g.shape[1] + 1
    # The output's rows at each of their places within the input's.
    placed = [
        jnp.pad(g, [(0, 0), (row, window - 1 - row), (0, 0), (0, 0)])
        for row in range(window)
    ]
    g = jnp.concatenate(placed, -1).transpose(2, 0, 1, 3)
    g = g.reshape(g.shape[0], -1, window * outputs)
    x = x.transpose(3, 2, 0, 1).reshape(inputs, x.shape[2], -1)
    found = lax.conv_general_dilated(
        x, g, (1,), "VALID", dimension_numbers=("NWC", "WIO", "WNC")
    )
    return found.reshape(-1, inputs, window, outputs).transpose(2, 0, 1, 3)
