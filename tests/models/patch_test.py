from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from weights import random_variables

from jaxsyn.models.patch import BordeDiscriminator, MultiscaleDiscriminator
from jaxsyn.nn.conv import Conv
from jaxsyn.nn.resample import average_pool

KEY = jax.random.key(0, impl="rbg")


def run(model, variables, x, train=False, mutable=()):
    def apply(variables, x):
        return model.apply(variables, x, train=train, mutable=list(mutable))

    out, new = jax.jit(apply)(variables, x)
    return (out, new) if mutable else out


def shapes(model, size, channels=9):
    x = jax.ShapeDtypeStruct((2, size, size, channels), jnp.float32)
    out = jax.eval_shape(lambda x: model.init_with_output(KEY, x, train=True)[0], x)
    return [[f.shape[1:] for f in scale] for scale in out]


def test_multiscale_features_at_256():
    assert shapes(MultiscaleDiscriminator(), 256) == [
        [(129, 129, 64), (65, 65, 128), (33, 33, 256), (34, 34, 512), (35, 35, 1)],
        [(65, 65, 64), (33, 33, 128), (17, 17, 256), (18, 18, 512), (19, 19, 1)],
    ]


def test_channels_double_up_to_512():
    (scale,) = shapes(MultiscaleDiscriminator(num_scales=1, num_layers=6), 256)
    assert [f[-1] for f in scale] == [64, 128, 256, 512, 512, 512, 1]


@pytest.mark.parametrize(
    ("size", "widths", "side"),
    [(256, [64, 128, 256, 512], 16), (128, [64, 128, 256], 16), (32, [64, 128], 8)],
)
def test_borde_judges_16_by_16_patches(size, widths, side):
    (scale,) = shapes(BordeDiscriminator(), size)
    assert [f[-1] for f in scale] == [*widths, 1]
    assert scale[-1] == (side, side, 1)


def test_the_second_scale_sees_the_average_pooled_image():
    model = MultiscaleDiscriminator(ndf=4, num_layers=2)
    x = np.random.default_rng(0).normal(size=(1, 16, 16, 2)).astype(np.float32)
    variables = random_variables(model, x, train=False)
    _, second = run(model, variables, x)
    params = variables["params"]["scale_1"]["conv_0"]
    first_layer = Conv(4, 4, stride=2).apply({"params": params}, average_pool(x))
    np.testing.assert_allclose(
        second[0], nn.leaky_relu(first_layer, 0.2), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    "model", [MultiscaleDiscriminator(ndf=4, num_layers=3), BordeDiscriminator(ndf=4)]
)
def test_gradients_reach_every_parameter_and_the_image(model):
    @jax.jit
    def gradients(x):
        variables = model.init(KEY, x, train=True)
        params = variables.pop("params")

        def loss(params, x):
            scales = model.apply({"params": params, **variables}, x, train=False)
            return sum((scale[-1] ** 2).sum() for scale in scales)

        return jax.grad(loss, (0, 1))(params, x)

    on_params, on_x = gradients(jax.random.normal(KEY, (2, 32, 32, 3)))
    for path, gradient in jax.tree_util.tree_leaves_with_path(on_params):
        assert jnp.abs(gradient).max() > 0, jax.tree_util.keystr(path)
    assert (jnp.abs(on_x).max((0, 3)) > 0).all()


def test_spectral_norms_move_in_training_only():
    model = MultiscaleDiscriminator(ndf=4, num_layers=3)
    x = np.random.default_rng(0).normal(size=(1, 32, 32, 2)).astype(np.float32)
    state = random_variables(model, x, train=True)

    def moved(train):
        _, new = run(model, state, x, train=train, mutable=("spectral",))
        old = state["spectral"]["scale_0"]["conv_1"]["norm"]["u"]
        return (new["spectral"]["scale_0"]["conv_1"]["norm"]["u"] != old).any()

    assert moved(True)
    assert not moved(False)
    # The first and the judging convolution have none, nor have pix2pixHD's.
    assert set(state["spectral"]["scale_0"]) == {"conv_1", "conv_2"}
    plain = MultiscaleDiscriminator(ndf=4, spectral=False)
    assert set(jax.eval_shape(lambda: plain.init(KEY, x, train=True))) == {"params"}


def test_computes_in_bfloat16_near_float32():
    model = BordeDiscriminator(ndf=4)
    x = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype(np.float32)
    variables = random_variables(model, x, train=True)
    ((*_, exact),) = run(model, variables, x)
    ((*_, rounded),) = run(model, variables, x.astype(jnp.bfloat16))
    assert rounded.dtype == jnp.bfloat16
    scale = float(jnp.abs(exact).max())
    np.testing.assert_allclose(rounded.astype(jnp.float32), exact, atol=0.1 * scale)
