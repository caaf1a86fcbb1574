"""Trainable parameters, against the papers' figures and closed-form counts."""

import jax
import jax.numpy as jnp
import pytest

from jaxsyn.models.borde import BordeGenerator
from jaxsyn.models.patch import BordeDiscriminator, MultiscaleDiscriminator
from jaxsyn.models.spade import SpadeGenerator
from jaxsyn.models.spade_encoder import SpadeEncoder

SIZE = 256


def image(channels):
    return jax.ShapeDtypeStruct((1, SIZE, SIZE, channels), jnp.float32)


def count(model, *args):
    """Counted from shapes: nothing is computed."""

    def init(*args):
        rngs = {"params": jax.random.key(0), "noise": jax.random.key(1)}
        return model.init(rngs, *args, train=True)["params"]

    return sum(p.size for p in jax.tree.leaves(jax.eval_shape(init, *args)))


@pytest.mark.parametrize(
    ("labels", "channels", "upsampling", "expected"),
    [
        (184, 3, "normal", 97_480_899),  # COCO-Stuff: 97.5 M in the paper.
        (151, 3, "normal", 96_492_483),  # ADE20K: 96.5 M.
        (36, 3, "more", 93_048_003),  # Cityscapes: 93.0 M.
        (7, 1, "normal", 92_178_241),
        (5, 4, "normal", 92_120_068),
        (5, 5, "normal", 92_120_645),
    ],
)
def test_spade_generator(labels, channels, upsampling, expected):
    model = SpadeGenerator(
        out_channels=channels, image_size=SIZE, upsampling=upsampling
    )
    assert count(model, image(labels)) == expected


def test_spade_generator_of_a_code():
    model = SpadeGenerator(out_channels=1, image_size=SIZE, z_dim=256)
    z = jax.ShapeDtypeStruct((1, 256), jnp.float32)
    assert count(model, image(7), z) == 108_955_457


@pytest.mark.parametrize(("channels", "expected"), [(3, 10_463_424), (1, 10_462_272)])
def test_spade_encoder(channels, expected):
    assert count(SpadeEncoder(), image(channels)) == expected


@pytest.mark.parametrize(
    ("channels", "expected"),
    [(184 + 3, 5_904_514), (7 + 1, 5_537_922), (5 + 4, 5_539_970)],
)
def test_spade_discriminator(channels, expected):
    assert count(MultiscaleDiscriminator(), image(channels)) == expected


@pytest.mark.parametrize(
    ("channels", "num_scales", "expected"),
    [(39, 1, 2_801_601), (39, 2, 5_603_202), (10, 2, 5_543_810)],
)
def test_pix2pixhd_discriminator(channels, num_scales, expected):
    model = MultiscaleDiscriminator(
        num_scales=num_scales, spectral=False, inner_bias=True
    )
    assert count(model, image(channels)) == expected


# Channels of the prior maps in the rows of BORDE's Table IV.
ROWS = {
    "semantic": (5,),
    "b+semantic": (1, 5),
    "b+2": (1, 1, 3),
    "b+3": (1, 1, 1, 2),
    "b+4": (1, 1, 1, 1, 1),
}


def borde(priors, out_channels=5, **flags):
    model = BordeGenerator(out_channels=out_channels, image_size=SIZE, **flags)
    return count(model, [image(k) for k in priors], image(5))


@pytest.mark.parametrize(
    ("row", "ngf", "expected"),
    [
        ("semantic", 32, 13_909_189),
        ("b+semantic", 32, 17_997_925),
        ("b+2", 32, 22_072_837),
        ("b+3", 32, 26_154_661),
        ("b+4", 32, 30_236_485),
        ("semantic", 64, 29_527_941),
        ("b+semantic", 64, 38_920_389),
        ("b+2", 64, 48_299_013),
        ("b+3", 64, 57_684_549),
        ("b+4", 64, 67_070_085),
    ],
)
def test_borde_table_iv(row, ngf, expected):
    assert borde(ROWS[row], ngf=ngf) == expected


@pytest.mark.parametrize(
    ("out_channels", "flags", "expected"),
    [
        (4, {"residual": False, "noise": False}, 25_978_308),
        (5, {"residual": False, "noise": False}, 25_978_597),
        (5, {"noise": False}, 26_152_677),
        (5, {}, 26_154_661),
        (5, {"hidden": 64}, 18_652_453),
    ],
)
def test_borde_table_v(out_channels, flags, expected):
    assert borde(ROWS["b+3"], out_channels, **flags) == expected


@pytest.mark.parametrize(("ngf", "expected"), [(32, 6_684_164), (64, 16_320_196)])
def test_borde_as_published(ngf, expected):
    flags = {
        "hidden": 64,
        "skip_second": True,
        "start": "seg_noise",
        "upsampling": "nearest",
        "residual": False,
        "noise": False,
    }
    assert borde(ROWS["b+3"], 4, ngf=ngf, **flags) == expected


def test_borde_constant_start_adds_the_constant():
    assert borde(ROWS["b+3"], start="constant") == 26_154_661 + 256


@pytest.mark.parametrize(("channels", "expected"), [(9, 2_762_241), (10, 2_763_265)])
def test_borde_discriminator(channels, expected):
    assert count(BordeDiscriminator(), image(channels)) == expected
