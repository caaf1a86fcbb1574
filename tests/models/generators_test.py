import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from weights import RNGS, random_variables

from jaxsyn.errors import UsageError
from jaxsyn.models.borde import BordeGenerator
from jaxsyn.models.spade import SpadeGenerator
from jaxsyn.models.spade_encoder import SpadeEncoder

LABELS = np.random.default_rng(0).integers(0, 5, (2, 4, 4))
ONE_HOT = np.eye(5, dtype=np.float32)[LABELS.repeat(4, 1).repeat(4, 2)]


def priors(one_hot=ONE_HOT):
    """Channels of the label map in the paper's grouping: 1, 1, 1 and 2."""
    first, brain = one_hot[..., :1], 1 - one_hot[..., :1]
    return [first, brain, one_hot[..., 1:2], one_hot[..., 2:4]]


def borde(**flags):
    tiny = {"out_channels": 5, "image_size": 16, "ngf": 2, "hidden": 4}
    return BordeGenerator(**{"contours": (0,), **tiny, **flags})


def apply(model, variables, *args):
    """As a function of the noise's seed, compiled once."""

    @jax.jit
    def run(seed):
        rngs = {"noise": jax.random.key(seed, impl="rbg")}
        return model.apply(variables, *args, train=False, rngs=rngs)

    return run


def test_spade_makes_images_and_moves_its_states_in_training_alone():
    model = SpadeGenerator(out_channels=4, image_size=32, ngf=2, hidden=4)
    one_hot = ONE_HOT.repeat(2, 1).repeat(2, 2)
    variables = random_variables(model, one_hot, train=True)

    @functools.partial(jax.jit, static_argnames="train")
    def run(one_hot, train):
        mutable = ["batch_stats", "spectral"]
        return model.apply(variables, one_hot, train=train, mutable=mutable)

    def moved(new):
        old = {name: variables[name] for name in new}
        moves = jax.tree.map(lambda a, b: bool((a != b).any()), old, new)
        return {name: any(jax.tree.leaves(tree)) for name, tree in moves.items()}

    image, new = run(one_hot, False)
    assert image.shape == (2, 32, 32, 4)
    assert float(jnp.abs(image).max()) <= 1
    np.testing.assert_allclose(run(one_hot[::-1], False)[0], image[::-1], atol=1e-5)
    assert float(jnp.abs(image[0] - image[1]).max()) > 1e-3
    assert moved(new) == {"batch_stats": False, "spectral": False}
    assert moved(run(one_hot, True)[1]) == {"batch_stats": True, "spectral": True}


@pytest.mark.parametrize(
    ("upsampling", "grids"),
    [
        ("normal", {"head": 4, "middle_0": 8, "middle_1": 8, "up_0": 16, "up_3": 128}),
        ("more", {"head": 2, "middle_0": 4, "middle_1": 8, "up_0": 16, "up_3": 128}),
        ("most", {"head": 1, "middle_0": 2, "middle_1": 4, "up_3": 64, "up_4": 128}),
    ],
)
def test_spade_blocks_work_at_their_sizes(upsampling, grids):
    model = SpadeGenerator(out_channels=1, image_size=128, ngf=2, upsampling=upsampling)
    one_hot = jax.ShapeDtypeStruct((1, 128, 128, 2), jnp.float32)

    def run(one_hot):
        return model.init_with_output(
            RNGS, one_hot, train=True, capture_intermediates=True, mutable=True
        )

    image, variables = jax.eval_shape(run, one_hot)
    made = variables["intermediates"]
    assert {k: made[k]["__call__"][0].shape[1] for k in grids} == grids
    assert image.shape == (1, 128, 128, 1)


@pytest.mark.parametrize(
    ("size", "upsampling", "match"),
    [
        (48, "normal", "48 px.\n.*multiple of 32"),
        (96, "more", "96 px.\n.*multiple of 64"),
        (64, "most", "64 px.\n.*multiple of 128"),
        (64, "mast", "(?s)mast.*normal, more, most"),
    ],
)
def test_spade_says_which_sizes_fit(size, upsampling, match):
    model = SpadeGenerator(out_channels=1, image_size=size, upsampling=upsampling)
    with pytest.raises(UsageError, match=match):
        jax.eval_shape(
            lambda: model.init(RNGS, jnp.zeros((1, size, size, 2)), train=True)
        )


def test_spade_from_a_code():
    model = SpadeGenerator(out_channels=1, image_size=64, ngf=2, z_dim=6)
    one_hot, z = np.zeros((2, 64, 64, 3)), np.zeros((2, 6))
    params = random_variables(model, one_hot, z, train=True)["params"]
    assert params["start"]["kernel"].shape == (6, 2 * 2 * 32)  # 16 ngf on 2x2 px.


@pytest.mark.parametrize(("size", "convs"), [(256, 6), (128, 5), (64, 4), (32, 3)])
def test_encoder_halves_down_to_four_pixels(size, convs):
    image = jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
    (mean, log_variance), variables = jax.eval_shape(
        lambda x: SpadeEncoder(z_dim=7).init_with_output(RNGS, x, train=True), image
    )
    params = variables["params"]
    assert mean.shape == log_variance.shape == (2, 7)
    assert len(params) == convs + 2
    width = params[f"conv_{convs - 1}"]["kernel"].shape[-1]
    assert width == min(64 * 2 ** (convs - 1), 512)
    assert params["mean"]["kernel"].shape == (16 * width, 7)


def test_encoder_sees_the_image():
    model = SpadeEncoder(z_dim=3, ngf=2)
    image = np.random.default_rng(0).normal(size=(2, 16, 16, 2)).astype(np.float32)
    variables = random_variables(model, image, train=True)
    mean, log_variance = apply(model, variables, image)(0)
    assert not np.allclose(mean[0], mean[1])
    assert not np.allclose(mean, log_variance)


# Side and output channels over ngf of each block.
@pytest.mark.parametrize(
    ("size", "sides", "widths"),
    [
        (256, [8, 16, 32, 64, 128, 256], [16, 16, 8, 4, 2, 1]),
        (64, [8, 16, 32, 64], [8, 4, 2, 1]),
        (96, [12, 24, 48, 96], [8, 4, 2, 1]),
        (240, [15, 30, 60, 120, 240], [16, 8, 4, 2, 1]),
        (8, [8], [1]),
    ],
)
def test_borde_has_a_block_at_each_size(size, sides, widths):
    assert blocks(size) == list(zip(sides, widths, strict=True))


def test_borde_as_published_skips_the_second_size():
    sides = [(8, 16), (32, 8), (64, 4), (128, 2), (256, 1)]
    assert blocks(256, skip_second=True) == sides


def blocks(size, **flags):
    model = borde(image_size=size, ngf=4, **flags)
    one_hot = jax.ShapeDtypeStruct((1, size, size, 5), jnp.float32)

    def run(one_hot):
        return model.init_with_output(
            RNGS,
            priors(one_hot),
            one_hot,
            train=True,
            capture_intermediates=True,
            mutable=True,
        )

    image, variables = jax.eval_shape(run, one_hot)
    assert image.shape == (1, size, size, 5)
    made = variables["intermediates"]
    outputs = [made[k]["__call__"][0].shape for k in sorted(made) if "block" in k]
    return [(shape[1], shape[3] // 4) for shape in outputs]


@pytest.mark.parametrize(
    ("flags", "match"),
    [
        ({"image_size": 100}, "100 px.\n.*multiple of 8"),
        ({"image_size": 4}, "4 px.\n.*at least 8"),
        ({"start": "laten"}, "(?s)laten.*latent, constant, seg_noise"),
        ({"halve": "all"}, "(?s)all.*first, every"),
        ({"upsampling": "cubic"}, "(?s)cubic.*nearest, bilinear"),
        ({"halve": "every", "ngf": 4}, "8 channels cannot be halved 4 times"),
    ],
)
def test_borde_says_what_fits(flags, match):
    model = borde(**flags)
    one_hot = jnp.zeros((1, model.image_size, model.image_size, 5))
    with pytest.raises(UsageError, match=match):
        jax.eval_shape(lambda: model.init(RNGS, priors(one_hot), one_hot, train=True))


@pytest.mark.parametrize(
    ("flags", "noisy"),
    [
        ({"noise": False}, True),
        ({"noise": False, "start": "seg_noise", "upsampling": "nearest"}, True),
        ({"noise": False, "start": "constant", "residual": False}, False),
        ({"start": "constant"}, True),
    ],
)
def test_borde_makes_images(flags, noisy):
    model = borde(**flags)
    variables = random_variables(model, priors(), ONE_HOT, train=True)
    assert set(variables) == {"params"}
    run = apply(model, variables, priors(), ONE_HOT)
    image = run(1)
    assert image.shape == (2, 16, 16, 5)
    assert float(jnp.abs(image).max()) <= 1
    assert np.array_equal(image, run(1))
    assert (not np.array_equal(image, run(2))) == noisy


@pytest.mark.parametrize(
    "flags",
    [
        {},
        {"gamma_offset": 0.0, "kernel_init": "he", "image_size": 8},
        {"start": "constant", "residual": False, "image_size": 8},
    ],
)
def test_the_first_gradient_reaches_every_prior_and_parameter(flags):
    model = borde(**flags)
    one_hot = ONE_HOT[:, : model.image_size, : model.image_size]

    @jax.jit
    def gradients(maps):
        params = model.init(RNGS, maps, one_hot, train=True)["params"]

        def loss(params, maps):
            out = model.apply({"params": params}, maps, one_hot, train=True, rngs=RNGS)
            return (out**2).mean()

        return jax.grad(loss, (0, 1))(params, maps)

    on_params, on_maps = gradients(priors(one_hot))
    for gradient in on_maps:
        assert (jnp.abs(gradient).max((0, 1, 2)) > 0).all()
    for path, gradient in jax.tree_util.tree_leaves_with_path(on_params):
        assert jnp.abs(gradient).max() > 0, jax.tree_util.keystr(path)


def test_a_contour_survives_shrinking_where_a_region_loses_it():
    line = np.zeros((1, 32, 32, 1), np.float32)
    line[:, 13] = 1
    contour, region = borde()._shrink([line, line], 8)
    np.testing.assert_array_equal(contour[0, :, 0, 0], [0, 0, 0, 1, 0, 0, 0, 0])
    assert region.sum() == 0


def test_bfloat16_stays_near_float32():
    model = borde(noise=False)
    args = (priors(), ONE_HOT)
    variables = random_variables(model, *args, train=True)
    exact = apply(model, variables, *args)(1)
    low = jax.tree.map(lambda x: jnp.asarray(x, jnp.bfloat16), args)
    rounded = apply(model, variables, *low)(1)
    assert rounded.dtype == jnp.bfloat16
    # The noise is the same, so that no more than rounding differs.
    error = jnp.abs(rounded.astype(jnp.float32) - exact)
    assert 0 < float(error.mean()) < 0.05 * float(jnp.abs(exact).mean())
