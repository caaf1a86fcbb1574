"""Gamma and beta computed once for each kind of neighbourhood, equal to the dense ones.

At a pixel they depend on the map within two windows' reach: 5x5 pixels for 3x3
kernels. On label maps most of these neighbourhoods are alike: all one label, or the
same piece of an edge. So pixels are told apart by their neighbourhoods, a row of gamma
and beta is computed for each kind, and every pixel takes its own kind's. Of the pixels
of a brain at 256 px, four in a hundred are the first of their kind.

The rows are computed in a loop that is as long as it has to be: there is no capacity
to choose, and a map without two equal neighbourhoods gives the dense layer's result
too, only more slowly.
"""

import math
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from jaxsyn.nn.convolve import patches

CHUNK = 256  # Rows at a time: what they are made of fits a processor's cache.
_SALTS = (0x9E3779B1, 0x85EBCA77)


class Kinds(NamedTuple):
    """The kinds of neighbourhoods in a map.

    Attributes:
      windows: The map [B, H + 2R, W + 2R, L + 1], zeros around it; its last channel is
        1 inside. R is the reach.
      row: Each pixel's kind [B, H, W], counted from 0.
      pixels: For each kind a pixel that is of it, as flat index; as many as there are
        pixels, the rest past the end.
      count: How many kinds there are.
    """

    windows: jax.Array
    row: jax.Array
    pixels: jax.Array
    count: jax.Array


def pays(condition: jax.Array, kernel_size: int) -> bool:
    """Whether a map [B, H, W, L] is so large that its neighbourhoods repeat.

    The bounds were measured on the CPU, for label maps of brains.
    """
    batch, height, width, _ = condition.shape
    small = min(height, width) < 8 * _reach(kernel_size)
    return not small and batch * height * width >= 1024


def kinds(condition: jax.Array, kernel_size: int) -> Kinds:
    """Tells the neighbourhoods of a map [B, H, W, L] apart.

    Layers that are modulated by one map do this with it once: XLA sees to it.
    """
    condition = _not_differentiable(condition)
    reach = _reach(kernel_size)
    keys, comparable = _keys(condition, reach)
    own = jnp.arange(len(keys))
    first = own
    for salt in _SALTS:  # What collides in one table hardly does so in the other, too.
        candidate = _first_in_slot(_hash(keys, salt))
        equal = (keys[candidate] == keys).all(-1) & comparable
        first = jnp.where((first == own) & equal, candidate, first)
    is_first = first == own
    row = (jnp.cumsum(is_first) - 1)[first]
    inside = jnp.ones((*condition.shape[:-1], 1), condition.dtype)
    border = [(0, 0), (reach, reach), (reach, reach), (0, 0)]
    found = Kinds(
        windows=jnp.pad(jnp.concatenate([condition, inside], -1), border),
        row=row.reshape(condition.shape[:-1]),
        pixels=jnp.flatnonzero(is_first, size=len(own), fill_value=len(own)),
        count=jnp.sum(is_first),
    )
    # Else XLA finds each pixel's row anew for each channel.
    return lax.optimization_barrier(found)


def gamma_beta(params, found: Kinds) -> jax.Array:
    """Scale and shift at each pixel.

    Args:
      params: `ModulationParams` of one modulation.
      found: The map's `kinds`. No gradient flows into the map.

    Returns:
      [B, H, W, 2C] in the map's dtype, gamma first.
    """
    return _rows_of_kinds(_Matrices.of(params), found)[found.row]


class _Matrices(NamedTuple):
    """The parameters as they are multiplied with.

    Attributes:
      embedding: [window * L + 1, E]; the last row is the bias.
      kernel: Transposed, [2C, window * E]: its gradient is a matrix product that XLA
        computes three times as fast as that of the kernel as it is.
      bias: [2C].
    """

    embedding: jax.Array
    kernel: jax.Array
    bias: jax.Array

    @classmethod
    def of(cls, params) -> "_Matrices":
        embedding_kernel, bias, kernel, out_bias = params
        hidden, channels = embedding_kernel.shape[-1], kernel.shape[-1]
        rows = [embedding_kernel.reshape(-1, hidden), bias[None]]
        return cls(jnp.concatenate(rows), kernel.reshape(-1, channels).T, out_bias)


@jax.custom_vjp
def _rows_of_kinds(matrices, found):
    """Gamma and beta of each kind, [as many as pixels and a little more, 2C]."""
    size, chunks = _chunks(found)
    total = -(-found.row.size // size) * size
    rows = jnp.zeros((total, len(matrices.bias)), found.windows.dtype)

    def write(i, rows):
        made = _rows(matrices, _windows_of(found, i * size, size))
        return lax.dynamic_update_slice_in_dim(rows, made, i * size, 0)

    return lax.fori_loop(0, chunks, write, rows)


def _forward(matrices, found):
    return _rows_of_kinds(matrices, found), (matrices, found)


def _backward(saved, gradient):
    matrices, found = saved
    size, chunks = _chunks(found)

    def add(i, total):
        windows = _windows_of(found, i * size, size)
        _, pull = jax.vjp(lambda m: _rows(m, windows), matrices)
        of_rows = lax.dynamic_slice_in_dim(gradient, i * size, size)
        return jax.tree.map(jnp.add, total, pull(of_rows)[0])

    total = lax.fori_loop(0, chunks, add, jax.tree.map(jnp.zeros_like, matrices))
    return total, Kinds(jnp.zeros_like(found.windows), None, None, None)


_rows_of_kinds.defvjp(_forward, _backward)


@jax.custom_vjp
def _not_differentiable(condition):
    """The map itself; asking for its gradient is an error rather than zero."""
    return condition


def _refuse(_, gradient):
    raise TypeError(
        f"The gradient of a map {gradient.shape} was asked for, and sparse modulation"
        " has none. Build the network with sparse=False."
    )


_not_differentiable.defvjp(lambda condition: (condition, None), _refuse)


def _rows(matrices, windows):
    """Gamma and beta at the centres of windows [P, S, S, L + 1]: [P, 2C]."""
    dtype, reach = windows.dtype, windows.shape[1] // 2
    margin, side = reach // 2, reach + 1
    inside = windows[:, margin:-margin, margin:-margin, -1:]
    seen = patches(windows[..., :-1], (side, side))
    # The dense layer pads the embedding, too, with zeros: no bias beyond the rim.
    seen = jnp.concatenate([seen, inside], axis=-1) * inside
    seen = seen.reshape(-1, seen.shape[-1])
    embedding = jax.nn.relu(seen @ matrices.embedding.astype(dtype))
    embedding = embedding.reshape(len(windows), -1)
    product = embedding @ matrices.kernel.T.astype(dtype)
    return product + matrices.bias.astype(dtype)[None]


def _windows_of(found, start, size):
    """The windows of kinds from `start` on; past the last, some window."""
    _, height, width = found.row.shape
    reach = (found.windows.shape[1] - height) // 2
    index = jnp.arange(size) + start
    index = jnp.minimum(found.pixels.at[index].get(mode="clip"), found.row.size - 1)
    image, rest = index // (height * width), index % (height * width)
    shape = (1, 2 * reach + 1, 2 * reach + 1, found.windows.shape[-1])

    def window(b, y, x):
        return lax.dynamic_slice(found.windows, (b, y, x, 0), shape)[0]

    return jax.vmap(window)(image, rest // width, rest % width)


def _chunks(found):
    """Rows at a time, and how many times."""
    size = min(CHUNK, found.row.size)
    return size, -(-found.count // size)


def _reach(kernel_size):
    """How far away a pixel can matter: two windows, one after the other."""
    return 2 * (kernel_size // 2)


def _keys(condition, reach):
    """What tells neighbourhoods apart: integers [B * H * W, n], and whether they do.

    Pixels of a map are told apart if all of them are zeros or one-hot.
    """
    batch, height, width, labels = condition.shape
    vector = condition @ jnp.arange(1, labels + 1, dtype=condition.dtype)
    vector = jnp.clip(jnp.round(vector), 0, labels).astype(jnp.int32)
    known = jnp.eye(labels + 1, labels, k=-1, dtype=condition.dtype)
    comparable = (known[vector] == condition).all()
    border = [(0, 0), (reach, reach), (reach, reach)]
    digits = jnp.pad(vector, border, constant_values=labels + 1)
    # As many digits as an integer holds, of a row of the neighbourhood.
    base, side = labels + 2, 2 * reach + 1
    places = int(31 / math.log2(base))
    numbers = [
        sum(
            digits[:, :, x : x + width] * base ** (x - start)
            for x in range(start, min(start + places, side))
        )
        for start in range(0, side, places)
    ]
    keys = [number[:, y : y + height] for number in numbers for y in range(side)]
    return jnp.stack(keys, axis=-1).reshape(batch * height * width, -1), comparable


def _hash(keys, salt):
    """Slots of keys [N, n] in a table of a power of two of them: [N], and how many."""
    bits = max(8, math.ceil(math.log2(4 * len(keys))))
    mixed = jnp.full(len(keys), salt, jnp.uint32)
    for i in range(keys.shape[1]):
        mixed = (mixed ^ keys[:, i].astype(jnp.uint32)) * np.uint32(salt | 1)
        mixed = mixed ^ (mixed >> 15)
    return (mixed >> (32 - bits)).astype(jnp.int32), 2**bits


def _first_in_slot(hashed):
    """For each pixel the first one that shares its slot."""
    slots, count = hashed
    own = jnp.arange(len(slots))
    return jnp.full(count, len(slots)).at[slots].min(own)[slots]
