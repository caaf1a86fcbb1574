"""Trainable parameters of pix2pix's networks, against closed-form counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsyn.models.patchgan import PatchGan
from jaxsyn.models.pix2pix_unet import Pix2PixUNet, levels

KEY = jax.random.key(0)


def count(model, channels, size=256):
    """Counted from shapes: nothing is computed."""

    def init(x):
        return model.init({"params": KEY, "noise": KEY}, x, train=True)["params"]

    shape = jax.ShapeDtypeStruct((1, size, size, channels), jnp.float32)
    return sum(p.size for p in jax.tree.leaves(jax.eval_shape(init, shape)))


@pytest.mark.parametrize(
    ("channels", "downs", "expected"),
    [(3, 8, 54_413_955), (5, 8, 54_420_101), (3, 7, 41_828_995)],
)
def test_u_net(channels, downs, expected):
    model = Pix2PixUNet(channels, num_downs=downs, dropout=0.5, bounded=True)
    assert count(model, channels) == expected


def test_u_net_with_instance_norms():
    # Of each of the 13 norms a scale and a shift less, of each convolution but the
    # last, 15 of them, a bias more.
    down = (64, 128, 256, 512, 512, 512, 512, 512)
    up = (512, 512, 512, 512, 256, 128, 64)
    norms = 2 * (sum(down[1:-1]) + sum(up))
    biases = sum(down) + sum(up)
    model = Pix2PixUNet(3, norm="instance")
    assert count(model, 3) == 54_413_955 - norms + biases


@pytest.mark.parametrize(("channels", "expected"), [(6, 2_768_705), (10, 2_772_801)])
def test_discriminator(channels, expected):
    assert count(PatchGan(), channels) == expected


@pytest.mark.parametrize(
    ("size", "expected"), [(256, 8), (512, 8), (128, 7), (240, 4), (32, 5), (34, 3)]
)
def test_levels_follow_the_image_size(size, expected):
    assert levels(size) == expected


def drawn(model, train):
    """Whether two seeds give two outputs."""
    x = jax.random.normal(KEY, (2, 8, 8, 2))
    rngs = {"params": KEY, "noise": KEY}
    variables = jax.jit(lambda x: model.init(rngs, x, train=True))(x)

    @jax.jit
    def apply(seed):
        rngs = {"noise": jax.random.key(seed)}
        return model.apply(
            variables, x, train=train, rngs=rngs, mutable=["batch_stats"]
        )[0]

    return not np.array_equal(apply(1), apply(2))


def test_dropout_is_drawn_in_training_alone():
    model = Pix2PixUNet(1, ngf=2, num_downs=3, kernel_init="he", dropout=0.5)
    assert drawn(model, train=True)
    assert not drawn(model, train=False)
    assert not drawn(model.clone(dropout=0.0), train=True)


def test_dropout_follows_the_three_innermost_up_convolutions():
    # With a rate of 1 nothing passes them, and so no gradient comes back.
    model = Pix2PixUNet(1, ngf=1, num_downs=5, kernel_init="he", dropout=1.0)
    x = jax.random.normal(KEY, (2, 32, 32, 1))
    rngs = {"params": KEY, "noise": KEY}

    @jax.jit
    def gradient(x):
        variables = model.init(rngs, x, train=True)

        def total(params):
            y, _ = model.apply(
                {**variables, "params": params}, x, train=True, rngs=rngs, mutable=True
            )
            return jnp.square(y).sum()

        return jax.grad(total)(variables["params"])

    moved = {name: bool(norm(tree) > 0) for name, tree in gradient(x).items()}
    passing = {name for name, moves in moved.items() if moves and "up" in name}
    assert passing == {"up_0", "up_1"}


def norm(tree):
    return sum(jnp.abs(leaf).sum() for leaf in jax.tree.leaves(tree))


def test_a_bounded_output_is_the_tanh_of_the_other():
    model = Pix2PixUNet(1, ngf=2, num_downs=3, norm="instance", kernel_init="he")
    x = jax.random.normal(KEY, (1, 8, 8, 2))
    variables = jax.jit(lambda x: model.init(KEY, x, train=True))(x)
    free, bounded = (
        jax.jit(lambda v, m=m: m.apply(v, x, train=True))(variables)
        for m in (model, model.clone(bounded=True))
    )
    assert float(jnp.abs(free).max()) > 0.1
    np.testing.assert_allclose(bounded, np.tanh(free), rtol=1e-6)
