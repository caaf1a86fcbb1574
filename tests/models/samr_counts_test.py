"""Trainable parameters of SAMR, against closed-form counts."""

import jax
import jax.numpy as jnp
import pytest

from jaxsyn.models.patch import PatchDiscriminator
from jaxsyn.models.pix2pix_unet import Pix2PixUNet
from jaxsyn.models.samr import SamrGenerator


def count(model, *channels):
    """Counted from shapes: nothing is computed."""
    images = [jax.ShapeDtypeStruct((1, 256, 256, c), jnp.float32) for c in channels]

    def init(*images):
        return model.init(jax.random.key(0), *images, train=True)["params"]

    return sum(p.size for p in jax.tree.leaves(jax.eval_shape(init, *images)))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"widest": 128}, 31_221_637),
        ({}, 113_219_205),
        ({"widest": 512}, 402_253_957),
        ({"widest": 2048}, 4_781_202_565),
        ({"widest": 512, "downs": 3}, 298_432_645),
        ({"widest": 256, "downs": 3, "ngf": 32}, 74_640_453),
        ({"widest": 512, "ngf": 16}, 298_869_541),
    ],
)
def test_generator(options, expected):
    assert count(SamrGenerator(out_channels=5, **options), 5, 15) == expected


def test_one_decoder_makes_all_modalities():
    # Four decoders fewer: a residual block at 512 channels, transposed convolutions
    # 512-512-512-512-256-128, and a last convolution, of which one now makes five.
    block = 2 * (9 * 512 * 512 + 512)
    widths = (512, 512, 512, 512, 256, 128)
    ups = sum(9 * a * b + b for a, b in zip(widths, widths[1:], strict=False))
    last = 49 * 128 + 1
    expected = 113_219_205 - 4 * (block + ups + last) + 4 * last
    assert count(SamrGenerator(5, stretch_out=False), 5, 15) == expected


def test_without_an_atlas_nothing_is_doubled():
    model = SamrGenerator(5, downs=3, widest=512, blocks=0)
    widths = (64, 128, 256, 512)
    convs = sum(9 * a * b for a, b in zip(widths, widths[1:], strict=False))
    encoder = 49 * 5 * 64 + convs + sum(widths)
    block = 2 * (9 * 512 * 512 + 512)
    decoder = block + convs + sum(widths[:-1]) + 49 * 64 + 1
    assert count(model, 5) == encoder + 5 * decoder


@pytest.mark.parametrize(("channels", "expected"), [(10, 16_631_430), (25, 16_723_590)])
def test_six_discriminators(channels, expected):
    model = PatchDiscriminator(spectral=False, inner_bias=True)
    assert 6 * count(model, channels) == expected


def test_segmenter():
    assert count(Pix2PixUNet(5, num_downs=5), 5) == 16_665_221
