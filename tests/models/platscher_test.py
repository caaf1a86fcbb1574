"""The networks of paper 004: parameters, and what sets them apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsyn.errors import UsageError
from jaxsyn.models.platscher import PlatscherDiscriminator, PlatscherUNet
from jaxsyn.models.platscher_spade import (
    PlatscherSpadeBlock,
    PlatscherSpadeGenerator,
)
from jaxsyn.nn.learned_norm import LearnedInstanceNorm

KEY = jax.random.key(0)
RNGS = {"params": KEY, "noise": KEY}


def count(model, channels, size=128):
    """Counted from shapes: nothing is computed."""
    shape = jax.ShapeDtypeStruct((1, size, size, channels), jnp.float32)
    made = jax.eval_shape(lambda x: model.init(RNGS, x, train=True)["params"], shape)
    return sum(p.size for p in jax.tree.leaves(made))


@pytest.mark.parametrize(
    ("downs", "size", "expected"),
    # 41.8 M in the paper.
    [(7, 128, 41_857_025), (6, 128, 29_271_041), (8, 256, 54_443_009)],
)
def test_pix2pix_parameters(downs, size, expected):
    assert count(PlatscherUNet(1, num_downs=downs), 29, size) == expected


@pytest.mark.parametrize(("kernel", "expected"), [(7, 1_253_457), (3, 1_253_137)])
def test_spade_parameters(kernel, expected):
    model = PlatscherSpadeGenerator(1, 128, image_kernel=kernel)
    assert count(model, 29) == expected


# 888,898 in the paper, which is twice the first.
@pytest.mark.parametrize(("extra", "expected"), [(True, 444_449), (False, 181_921)])
def test_discriminator_parameters(extra, expected):
    assert count(PlatscherDiscriminator(extra=extra), 30) == expected


@pytest.mark.parametrize("extra", [True, False])
def test_the_discriminator_keeps_an_eighth_of_the_size(extra):
    model = PlatscherDiscriminator(ndf=2, extra=extra)
    *features, logits = jax.eval_shape(
        lambda x: model.init_with_output(RNGS, x, train=True)[0],
        jnp.ones((2, 32, 32, 3)),
    )
    assert logits.shape == (2, 4, 4, 1)
    assert len(features) == 3 + extra


def test_the_learned_norm_divides_by_the_deviation_and_epsilon():
    # Channel 0 has mean 2 and deviation 1; channel 1 is constant.
    x = jnp.stack([jnp.array([[1.0, 3.0], [3.0, 1.0]]), jnp.full((2, 2), 5.0)], -1)
    params = {"scale": jnp.array([2.0, 2.0]), "bias": jnp.array([0.5, 0.5])}
    y = LearnedInstanceNorm(epsilon=0.25).apply({"params": params}, x[None])
    a = 2 / 1.25
    np.testing.assert_allclose(
        y[0, ..., 0], [[0.5 - a, 0.5 + a], [0.5 + a, 0.5 - a]], 1e-6
    )
    np.testing.assert_allclose(y[0, ..., 1], 0.5)


def test_the_learned_norm_leaves_a_single_pixel():
    x = jnp.array([3.0, -1.0]).reshape(1, 1, 1, 2)
    y, _ = LearnedInstanceNorm().init_with_output(KEY, x)
    np.testing.assert_array_equal(y, x)


def test_the_learned_norm_of_a_constant_has_a_finite_gradient():
    norm, x = LearnedInstanceNorm(), jnp.ones((1, 4, 4, 1))
    variables = norm.init(KEY, x)
    gradient = jax.grad(lambda x: norm.apply(variables, x)[0, 0, 0, 0])(x)
    assert np.isfinite(gradient).all()


def test_the_mask_alone_scales_in_spade():
    # Where gamma and beta are 0, so is what a block adds: there is no 1 + gamma.
    block = PlatscherSpadeBlock(4, kernel_init="he")
    x = jax.random.normal(KEY, (2, 8, 8, 4))
    mask = jnp.ones((2, 8, 8, 3))
    variables = block.init(RNGS, x, mask, train=True)

    def added(mask):
        y, _ = block.apply(variables, x, mask, train=True, mutable=["batch_stats"])
        return np.asarray(y - x)

    assert np.abs(added(mask)).max() > 0.1
    np.testing.assert_array_equal(added(jnp.zeros_like(mask)), 0)


def test_a_single_pixel_is_not_lost():
    # Blocks work at 16 px and less, where every n-th pixel would not be this one.
    model = PlatscherSpadeGenerator(1, 32, width=8, z_dim=4, kernel_init="he")
    maps = jax.nn.one_hot(jnp.zeros((1, 32, 32), int), 2)
    dotted = maps.at[0, 13, 13].set(jnp.array([0.0, 1.0]))
    variables = jax.jit(lambda x: model.init(RNGS, x, train=True))(maps)

    @jax.jit
    def apply(maps):
        rngs = {"noise": jax.random.key(1)}
        return model.apply(variables, maps, train=False, rngs=rngs)

    changed = np.abs(apply(maps) - apply(dotted))[0, ..., 0] > 0
    assert changed[13, 13]
    assert changed[:2].any()  # As far as only the smallest sizes' windows reach.


@pytest.mark.parametrize(
    ("size", "width", "message"),
    [(48, 128, "images of 48 px"), (4, 128, "images of 4 px"), (64, 4, "4 channels")],
)
def test_spade_sizes_that_do_not_fit(size, width, message):
    model = PlatscherSpadeGenerator(1, size, width=width)
    with pytest.raises(UsageError, match=message):
        jax.eval_shape(
            lambda x: model.init(RNGS, x, train=True), jnp.zeros((1, size, size, 2))
        )


def test_pix2pix_sides_that_cannot_be_halved():
    model = PlatscherUNet(1, ngf=2, num_downs=3)
    with pytest.raises(UsageError, match="12x12 cannot be halved 3 times"):
        model.init(RNGS, jnp.zeros((1, 12, 12, 2)), train=True)


def test_pix2pix_dropout_is_drawn_in_training_alone():
    model = PlatscherUNet(1, ngf=2, num_downs=2, kernel_init="he")
    x = jax.random.normal(KEY, (1, 8, 8, 2))
    variables = jax.jit(lambda x: model.init(RNGS, x, train=True))(x)

    def same_twice(train):
        def apply(seed):
            rngs = {"noise": jax.random.key(seed)}
            return model.apply(variables, x, train=train, rngs=rngs)

        return np.array_equal(*(jax.jit(apply)(seed) for seed in (1, 2)))

    assert same_twice(train=False)
    assert not same_twice(train=True)
