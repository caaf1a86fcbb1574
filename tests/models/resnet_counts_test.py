"""Trainable parameters of CycleGAN's and pix2pixHD's networks."""

import jax
import jax.numpy as jnp
import pytest

from jaxsyn.models.patchgan import PatchGan
from jaxsyn.models.resnet import ResnetGenerator

SIZE = 256


def count(model, channels, *args, size=SIZE, **kwargs):
    """Counted from shapes: nothing is computed."""

    def init(*args):
        return model.init(jax.random.key(0), *args, train=True, **kwargs)["params"]

    x = jax.ShapeDtypeStruct((1, size, size, channels), jnp.float32)
    return sum(p.size for p in jax.tree.leaves(jax.eval_shape(init, x, *args)))


@pytest.mark.parametrize(
    ("inputs", "outputs", "options", "expected"),
    [
        (3, 3, {}, 11_378_179),
        (3, 3, {"blocks": 6}, 7_837_699),
        (36, 3, {"downs": 4}, 182_546_755),  # Cityscapes: 182.5 M.
        (5, 5, {"downs": 4}, 182_455_813),
        (5, 5, {"downs": 3}, 45_605_893),
    ],
)
def test_generator(inputs, outputs, options, expected):
    assert count(ResnetGenerator(outputs, **options), inputs) == expected


def test_batch_norms_have_two_parameters_a_channel_and_replace_one_bias():
    # A channel of each layer but the last: 64 + 128 + 256 + 18 x 256 + 128 + 64.
    channels = 640 + 18 * 256
    assert count(ResnetGenerator(3, norm="batch"), 3) == 11_378_179 + channels


def test_local_enhancer():
    model = ResnetGenerator(3, ngf=32, downs=1, blocks=3)
    coarse = jax.ShapeDtypeStruct((1, SIZE // 2, SIZE // 2, 64), jnp.float32)
    layers = [(7, 36, 32), (3, 32, 64), *[(3, 64, 64)] * 6, (3, 64, 32), (7, 32, 3)]
    expected = sum(k * k * i * o + o for k, i, o in layers)
    assert count(model, 36, coarse) == expected == 319_715


def test_features_need_no_last_convolution():
    whole = ResnetGenerator(3, downs=4)
    assert count(whole, 36, features=True) == 182_546_755 - (7 * 7 * 64 * 3 + 3)


@pytest.mark.parametrize(
    ("channels", "norm", "expected"),
    [
        (6, "batch", 2_768_705),
        (10, "batch", 2_772_801),
        (3, "instance", 2_764_737),
        (3, "none", 2_764_737),
    ],
)
def test_patchgan(channels, norm, expected):
    assert count(PatchGan(norm=norm), channels) == expected
