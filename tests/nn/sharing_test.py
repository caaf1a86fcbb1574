"""One forward pass for all phases of a step.

The discriminator's phase and the generator's see the same fake. XLA computes it once,
as long as it does not first rewrite it differently in each of them.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsyn.nn.borde import BordeBlock
from jaxsyn.nn.spade import Spade, SpadeBlock

KEY = jax.random.key(0)
X = jax.random.normal(KEY, (2, 32, 32, 8))
LABEL = np.stack([np.mgrid[:32, :32][axis] // 16 for axis in (0, 1)])
MAP = np.eye(2, dtype=np.float32)[LABEL]


def _spade_block(norm):
    block = SpadeBlock(4, spade=functools.partial(Spade, norm=norm, hidden=8))
    state = jax.jit(block.init, static_argnames="train")(KEY, X, MAP, train=False)
    params = state.pop("params")

    def forward(params):
        variables = {"params": params, **state}
        return block.apply(variables, X, MAP, train=True, mutable=list(state))[0]

    return forward, params


def _borde_block():
    block = BordeBlock(4, hidden=8)
    params = jax.jit(block.init)({"params": KEY, "noise": KEY}, X, [MAP])["params"]

    def forward(params):
        return block.apply({"params": params}, X, [MAP], rngs={"noise": KEY})

    return forward, params


def _norm_with_kept_axes():
    def forward(kernel):
        x = X @ kernel
        variance = jnp.mean(jnp.square(x), (0, 1, 2), keepdims=True)
        return x * jax.lax.rsqrt(variance + 1e-5) @ kernel

    return forward, jnp.eye(8)


def _flops_of_a_second_pass(forward, params):
    """What a phase adds that only looks at the fake, as a share of a forward pass."""

    def generator(params):
        return jax.grad(lambda p: jnp.square(forward(p)).mean())(params)

    def both(params):
        return forward(params).mean(), generator(params)

    def flops(function):
        return jax.jit(function).lower(params).compile().cost_analysis()["flops"]

    return (flops(both) - flops(generator)) / flops(forward)


@pytest.mark.parametrize(
    "make",
    [
        functools.partial(_spade_block, "batch"),
        functools.partial(_spade_block, "instance"),
        _borde_block,
    ],
)
def test_blocks_are_computed_once(make):
    assert _flops_of_a_second_pass(*make()) < 0.05


def test_what_is_rewritten_is_computed_twice():
    # The reason for how the norms are written; if it fails, XLA has learned it.
    assert _flops_of_a_second_pass(*_norm_with_kept_axes()) > 0.4
