import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsyn.errors import UsageError
from jaxsyn.models.pix2pix_unet import Pix2PixUNet
from jaxsyn.models.unet import UNet

KEY = jax.random.key(0)
CLASSIC = (64, 128, 256, 512, 1024)
SMALL = (16, 32, 64, 128, 256)


def count(model, shape):
    """Counted from shapes: nothing is computed."""

    def init(x):
        return model.init(KEY, x, train=True)["params"]

    shapes = jax.eval_shape(init, jax.ShapeDtypeStruct(shape, jnp.float32))
    return sum(p.size for p in jax.tree.leaves(shapes))


@pytest.mark.parametrize(
    ("classes", "bridge_convs", "expected"),
    [(7, 1, 25_086_023), (4, 1, 25_085_828), (2, 1, 25_085_698), (7, 2, 34_526_279)],
)
def test_parameters_of_paper_001(classes, bridge_convs, expected):
    model = UNet(classes, CLASSIC, bridge_convs, up_kernel=3)
    assert count(model, (1, 64, 64, 1)) == expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (UNet(2, SMALL, norms="up"), 5_645_410),  # 5.6 M in the paper.
        (UNet(2, SMALL, norms="up", up_kernel=3), 6_472_290),
    ],
)
def test_parameters_of_paper_004(model, expected):
    assert count(model, (1, 32, 64, 64, 1)) == expected


@pytest.mark.parametrize(
    ("channels", "downs", "expected"),
    [(5, 5, 16_665_221), (5, 8, 54_420_101), (3, 8, 54_413_955), (3, 7, 41_828_995)],
)
def test_parameters_of_pix2pix(channels, downs, expected):
    model = Pix2PixUNet(channels, num_downs=downs)
    assert count(model, (1, 256, 256, channels)) == expected


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (UNet(3, (2, 4, 8)), (2, 8, 12, 1)),
        (UNet(3, (2, 4, 8), transitions=True, up_kernel=3), (2, 8, 8, 1)),
        (UNet(3, (2, 4, 8), norms="up", dropout=0.5), (1, 4, 8, 8, 2)),
        (Pix2PixUNet(3, ngf=2, num_downs=3), (2, 8, 16, 2)),
    ],
)
def test_logits_have_the_size_of_the_input(model, shape):
    x = jax.random.normal(KEY, shape)
    logits, variables = model.init_with_output(
        {"params": KEY, "noise": KEY}, x, train=True
    )
    assert logits.shape == (*shape[:-1], 3)
    assert set(variables) == {"params", "batch_stats"}


def test_every_level_reaches_the_output():
    model = UNet(2, (2, 4, 8))
    x = jax.random.normal(KEY, (1, 8, 8, 1))
    variables = model.init(KEY, x, train=False)
    base = model.apply(variables, x, train=False)
    for name in ("down_0_conv_0", "down_1_conv_1", "bridge_conv_1", "double_1"):
        params = dict(variables["params"])
        params[name] = jax.tree.map(lambda p: p + 0.5, params[name])
        moved = model.apply({**variables, "params": params}, x, train=False)
        assert float(jnp.abs(moved - base).max()) > 1e-3, name


def test_dropout_is_drawn_in_training_alone():
    model = UNet(2, (4, 8), dropout=0.5)
    x = jax.random.normal(KEY, (1, 8, 8, 1))
    variables = model.init({"params": KEY, "noise": KEY}, x, train=True)

    def apply(seed, train):
        rngs = {"noise": jax.random.key(seed)}
        return model.apply(variables, x, train=train, rngs=rngs, mutable=train and [])

    one, other = (apply(seed, False) for seed in (1, 2))
    np.testing.assert_array_equal(one, other)
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(apply(1, True)[0], apply(2, True)[0])


@pytest.mark.parametrize("model", [UNet(2, (2, 4, 8)), Pix2PixUNet(2, 2, 2)])
def test_a_side_that_cannot_be_halved(model):
    with pytest.raises(UsageError, match="10x8 cannot be halved 2 times") as error:
        model.init(KEY, jnp.zeros((1, 10, 8, 1)), train=False)
    assert "multiples of 4" in error.value.hint


def test_the_bridge_can_be_read():
    model = UNet(2, (2, 4, 8))
    x = jax.random.normal(KEY, (3, 8, 8, 1))
    variables = model.init(KEY, x, train=False)
    _, kept = model.apply(variables, x, train=False, mutable=["intermediates"])
    (bridge,) = kept["intermediates"]["bridge"]
    assert bridge.shape == (3, 2, 2, 8)
