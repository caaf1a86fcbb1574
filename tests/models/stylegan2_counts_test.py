"""Trainable parameters of StyleGAN2, against closed-form counts."""

import jax
import jax.numpy as jnp
import pytest

from jaxsyn.models.stylegan2 import Discriminator, Mapping, Synthesis


def count(model, *shapes):
    """Counted from shapes: nothing is computed."""
    inputs = [jax.ShapeDtypeStruct((1, *shape), jnp.float32) for shape in shapes]

    def init(*inputs):
        keys = {"params": jax.random.key(0), "noise": jax.random.key(0)}
        return model.init(keys, *inputs, train=True)["params"]

    return sum(p.size for p in jax.tree.leaves(jax.eval_shape(init, *inputs)))


def counts(channels, size=256, base=32768, condition=0):
    """Of generator and discriminator."""
    synthesis = Synthesis(channels, size, fmap_base=base)
    maps = (size, size, condition)
    generator = count(Mapping(), (512,))
    generator += count(synthesis, (synthesis.num_layers, 512), maps)
    return generator, count(Discriminator(base), (size, size, channels), maps)


# The first is the published code's own: 30.4 and 29.0 million at 1024 px.
@pytest.mark.parametrize(
    ("options", "generator", "discriminator"),
    [
        ({"channels": 3, "size": 1024}, 30_370_060, 29_012_513),
        ({"channels": 1}, 30_028_436, 28_863_873),
        ({"channels": 3}, 30_034_338, 28_864_129),
        ({"channels": 4}, 30_037_289, 28_864_257),
        ({"channels": 5}, 30_040_240, 28_864_385),
        ({"channels": 8}, 30_049_093, 28_864_769),
        ({"channels": 3, "base": 16384}, 24_767_458, 24_001_089),
        ({"channels": 1, "base": 16384}, 24_762_452, 24_000_961),
        ({"channels": 4, "condition": 1}, 30_090_840, 28_889_089),
        ({"channels": 4, "condition": 4}, 30_251_493, 28_963_585),
        ({"channels": 1, "condition": 1}, 30_081_966, 28_888_705),
    ],
    ids=str,
)
def test_both(options, generator, discriminator):
    assert counts(**options) == (generator, discriminator)


@pytest.mark.parametrize(("layers", "expected"), [(8, 2_101_248), (2, 525_312)])
def test_mapping(layers, expected):
    assert count(Mapping(num_layers=layers), (512,)) == expected
