import jax
import jax.numpy as jnp
import numpy as np
import pytest
from weights import RNGS, random_variables

from jaxsyn.errors import UsageError
from jaxsyn.models.patchgan import PatchGan
from jaxsyn.models.resnet import ResnetGenerator

X = np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype(np.float32)


def test_nothing_is_shifted_on_the_way_down_and_up():
    model = ResnetGenerator(1, ngf=1, downs=2, blocks=1)
    x = np.zeros((1, 32, 32, 1), np.float32)
    x[0, 8, 20] = 1

    def centre(leaf):
        kernel = np.zeros(leaf.shape, np.float32)
        if leaf.ndim == 4:
            kernel[leaf.shape[0] // 2, leaf.shape[1] // 2] = 1
        return kernel

    shapes = jax.eval_shape(lambda: model.init(RNGS, x, train=True))
    image = model.apply(jax.tree.map(centre, shapes), x, train=True)[0, :, :, 0]
    assert np.unravel_index(np.argmax(image), image.shape) == (8, 20)


def test_the_enhancer_adds_what_it_is_given():
    model = ResnetGenerator(2, ngf=2, downs=1, blocks=1)
    coarse = np.zeros((2, 8, 8, 4), np.float32)
    variables = random_variables(model, X, coarse, train=True)
    run = jax.jit(lambda coarse: model.apply(variables, X, coarse, train=True))
    alone = model.apply(variables, X, train=True)
    np.testing.assert_allclose(run(coarse), alone, atol=1e-5)
    coarse[0, 3:5, 3:5, 1] = 1.0
    moved = jnp.abs(run(coarse) - run(0 * coarse)).max((1, 2, 3))
    assert moved[0] > 1e-3
    assert moved[1] == 0  # Instance norms keep images apart.


def test_dropout_is_on_in_training_alone():
    model = ResnetGenerator(1, ngf=2, downs=1, blocks=1, dropout=0.5)
    variables = random_variables(model, X, train=True)

    @jax.jit
    def run(seed):
        rngs = {"noise": jax.random.key(seed, impl="rbg")}
        return [model.apply(variables, X, train=t, rngs=rngs) for t in (True, False)]

    (dropped, whole), (other, again) = run(0), run(1)
    assert jnp.abs(dropped - other).max() > 1e-3
    np.testing.assert_array_equal(whole, again)


@pytest.mark.parametrize(("size", "match"), [(36, "36x36 .*3 times"), (8, "from 16")])
def test_sides_that_cannot_be_halved(size, match):
    model = ResnetGenerator(1, downs=3)
    x = jnp.zeros((1, size, size, 1))
    with pytest.raises(UsageError, match=f"(?s){match}"):
        jax.eval_shape(lambda: model.init(RNGS, x, train=True))


@pytest.mark.parametrize(("num_layers", "field"), [(1, 16), (2, 34), (3, 70)])
def test_a_patch_has_70_pixels_a_side(num_layers, field):
    # The sizes of the pix2pix paper's patches, section 6.1.2.
    model = PatchGan(ndf=1, num_layers=num_layers, norm="none")
    x = np.random.default_rng(0).normal(size=(1, 128, 128, 1)).astype(np.float32)
    variables = random_variables(model, x, train=True)

    @jax.jit
    @jax.grad
    def gradient(x):
        logits = model.apply(variables, x, train=True)[-1]
        return logits[0, logits.shape[1] // 2, logits.shape[2] // 2, 0]

    seen = np.abs(gradient(x)).max((0, 3)) > 0
    assert seen.any(0).sum() == seen.any(1).sum() == field


def test_patchgan_features_at_256():
    x = jax.ShapeDtypeStruct((1, 256, 256, 6), jnp.float32)
    features = jax.eval_shape(
        lambda x: PatchGan().init_with_output(RNGS, x, train=True)[0], x
    )
    expected = [(128, 64), (64, 128), (32, 256), (31, 512), (30, 1)]
    assert [f.shape[2:] for f in features] == expected


def test_images_smaller_than_a_patch_needs():
    for size, fits in ((24, True), (16, False)):
        x = jnp.zeros((1, size, size, 1))

        def init(x=x):
            return PatchGan(ndf=1).init_with_output(RNGS, x, train=True)[0]

        if fits:
            assert jax.eval_shape(init)[-1].shape == (1, 1, 1, 1)
        else:
            with pytest.raises(UsageError, match="16x16 px.\n.*at least 24"):
                jax.eval_shape(init)


def test_an_unknown_norm_lists_the_known():
    model = PatchGan(norm="layer")
    with pytest.raises(UsageError, match="(?s)'layer'.*batch, instance, none"):
        jax.eval_shape(lambda: model.init(RNGS, jnp.zeros((1, 32, 32, 1)), train=True))
