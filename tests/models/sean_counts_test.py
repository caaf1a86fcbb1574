"""SEAN's trainable parameters, against the paper's figure and closed-form counts."""

import jax
import jax.numpy as jnp
import pytest

from jaxsyn.models.sean import SeanGenerator
from jaxsyn.models.sean_encoder import SeanEncoder


def count(model, channels, labels, *args):
    """Counted from shapes: nothing is computed."""

    def init(*args):
        rngs = {"params": jax.random.key(0), "noise": jax.random.key(1)}
        return model.init(rngs, *args, train=True)["params"]

    args = [jnp.zeros((1, 256, 256, c)) for c in (channels, labels) if c] + list(args)
    return sum(p.size for p in jax.tree.leaves(jax.eval_shape(init, *args)))


def generator(labels, channels, **options):
    model = SeanGenerator(out_channels=channels, image_size=256, **options)
    return count(model, 0, labels, jnp.zeros((1, labels, 512)))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_encoder(channels):
    # 3x3 kernels from the image to 32, 64, 128, 256 and 512, all with biases.
    expected = 1_568_576 + (channels - 3) * 9 * 32
    assert count(SeanEncoder(), channels, 5) == expected


# The figures are of encoder and generator, and of the shares of two mixes in each of
# the last block's three normalisations, which have nothing to mix.
UNUSED = 6


@pytest.mark.parametrize(
    ("labels", "channels", "expected"),
    [
        (19, 3, 266_907_367),  # CelebAMask-HQ: 266.9 M printed.
        (5, 4, 211_331_144),
        (7, 1, 219_268_133),
    ],
)
def test_generator(labels, channels, expected):
    encoder = count(SeanEncoder(), channels, labels)
    assert generator(labels, channels) + encoder + UNUSED == expected


def test_shared_layers_do_not_grow_with_the_labels():
    # Of fifteen normalisations, each has a layer of 512 x 512 and a bias.
    saved = generator(19, 3) - generator(19, 3, style_layers="shared")
    assert saved == 15 * 18 * (512 * 512 + 512)
