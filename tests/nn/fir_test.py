"""Filtered doubling and halving, against the definition computed pixel by pixel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsyn.nn import fir

X = np.random.default_rng(0).normal(size=(2, 6, 8, 3)).astype(np.float32)


def defined(x, up, down, before, after, gain):
    """Zeros between pixels, padding, the filter, every n-th pixel, in that order."""
    kernel = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64.0 * gain
    b, h, w, c = x.shape
    spread = np.zeros((b, h * up, w * up, c))
    spread[:, ::up, ::up] = x
    sides = (before, after)
    padded = np.pad(spread, ((0, 0), sides, sides, (0, 0)))
    rows, columns = padded.shape[1] - 3, padded.shape[2] - 3
    out = sum(
        kernel[i, j] * padded[:, i : i + rows, j : j + columns]
        for i in range(4)
        for j in range(4)
    )
    return out[:, ::down, ::down]


# Paddings as in the published code: the filter's surplus, split as evenly as can be.
@pytest.mark.parametrize(
    ("function", "definition", "size"),
    [
        (fir.upsample, (2, 1, 2, 1, 4.0), (12, 16)),
        (fir.downsample, (1, 2, 1, 1, 1.0), (3, 4)),
        (lambda x: fir.blur(x, 1), (1, 1, 1, 1, 1.0), (5, 7)),
        (lambda x: fir.blur(x, 2), (1, 1, 2, 2, 1.0), (7, 9)),
    ],
    ids=["up", "down", "blur 1", "blur 2"],
)
def test_is_what_the_definition_gives(function, definition, size):
    made = function(jnp.asarray(X))
    assert made.shape == (2, *size, 3)
    np.testing.assert_allclose(made, defined(X, *definition), atol=1e-6)


def test_constants_stay_inside():
    flat = jnp.full((1, 8, 8, 1), 5.0)
    for function in (fir.upsample, fir.downsample):
        inside = function(flat)[:, 1:-1, 1:-1]
        np.testing.assert_allclose(inside, 5.0, rtol=1e-6)
    # At the edge, a quarter of each axis comes from beyond (an eighth, when halving).
    assert float(fir.upsample(flat)[0, 0, 0, 0]) == 5.0 * 0.75**2
    assert float(fir.downsample(flat)[0, 0, 0, 0]) == 5.0 * 0.875**2


def test_one_is_the_others_transpose_but_for_their_sums():
    # Halving is four times weaker: its weights have the sum 1, not 4.
    y = np.random.default_rng(1).normal(size=(2, 12, 16, 3)).astype(np.float32)
    (back,) = jax.vjp(fir.upsample, jnp.asarray(X))[1](jnp.asarray(y))
    np.testing.assert_allclose(back, 4.0 * fir.downsample(y), atol=1e-5)


def test_the_dtype_is_kept():
    for function in (fir.upsample, fir.downsample):
        assert function(jnp.asarray(X, jnp.bfloat16)).dtype == jnp.bfloat16
