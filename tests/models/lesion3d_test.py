"""The networks that make volumes of lesions: parameters, sizes, range."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsyn.errors import UsageError
from jaxsyn.models.lesion3d import LesionCritic, LesionGenerator

KEY = jax.random.key(0)
CUBE, CROP = (128, 128, 128), (32, 128, 128)


def sizes(model, *args):
    """Parameters, counted from shapes: nothing is computed."""
    made = jax.eval_shape(lambda: model.init(KEY, *args, train=True)["params"])
    return sum(p.size for p in jax.tree.leaves(made))


@pytest.mark.parametrize(("classes", "expected"), [(1, 1_796_392), (2, 1_799_136)])
@pytest.mark.parametrize("sides", [CUBE, CROP])
def test_generator_parameters(classes, sides, expected):
    model = LesionGenerator(classes=classes, anisotropic=False)
    assert sizes(model, jnp.zeros((1, 128)), sides) == expected


def test_a_start_of_the_volumes_proportions_saves_parameters():
    # 1 x 4 x 4 voxels of 128 channels, instead of 4 x 4 x 4.
    saved = (128 + 1) * 128 * (64 - 16)
    model = LesionGenerator(classes=2)
    assert sizes(model, jnp.zeros((1, 128)), CROP) == 1_799_136 - saved


# Seven halvings leave one voxel of the cube as of its middle.
@pytest.mark.parametrize("sides", [CUBE, CROP])
@pytest.mark.parametrize(("classes", "expected"), [(1, 22_103_656), (2, 22_104_656)])
def test_critic_parameters(classes, sides, expected):
    shape = jax.ShapeDtypeStruct((1, *sides, classes), jnp.float32)
    made = jax.eval_shape(
        lambda x: LesionCritic().init(KEY, x, train=True)["params"], shape
    )
    assert sum(p.size for p in jax.tree.leaves(made)) == expected


def test_the_critic_ends_at_one_voxel():
    made = jax.eval_shape(
        lambda: LesionCritic().init(KEY, jnp.ones((1, 2, 4, 4, 1)), train=True)
    )
    assert set(made["params"]) == {"conv_0", "conv_1", "hidden", "judge"}
    assert made["params"]["hidden"]["kernel"].shape == (16, 512)


@pytest.fixture(scope="module")
def generated():
    """A tiny generator, its variables and two volumes of 8 x 16 x 16 voxels."""
    model = LesionGenerator(classes=3, ngf=4, kernel_init="he")
    z = jax.random.normal(KEY, (2, 8))
    made, variables = model.init_with_output(KEY, z, (8, 16, 16), train=True)
    return model, variables, made


def test_volumes_are_probabilities_of_classes(generated):
    _, _, made = generated
    assert made.shape == (2, 8, 16, 16, 3)
    probabilities = (made + 1.0) / 2.0
    assert float(probabilities.min()) >= 0
    np.testing.assert_allclose(probabilities.sum(-1), 1.0, rtol=1e-5)


def test_the_code_decides_the_volume(generated):
    _, _, made = generated
    assert float(jnp.abs(made[0] - made[1]).max()) > 1e-2


def test_the_start_is_doubled_to_the_size(generated):
    _, variables, _ = generated
    # Longest side 16 = 4 x 2²: two convolutions, of ngf channels and of half as many.
    params = variables["params"]
    assert params["start"]["kernel"].shape == (8, 2 * 4 * 4 * 4)
    assert params["conv_0"]["kernel"].shape == (3, 3, 3, 4, 4)
    assert params["conv_1"]["kernel"].shape == (3, 3, 3, 4, 2)
    assert "conv_2" not in params


def test_a_cube_is_cut_to_its_middle():
    model = LesionGenerator(classes=2, ngf=4, anisotropic=False, kernel_init="he")
    z = jax.random.normal(KEY, (1, 8))
    cube, variables = model.init_with_output(KEY, z, (16, 16, 16), train=True)
    cut = model.apply(variables, z, (8, 16, 12), train=True)
    np.testing.assert_array_equal(cut, cube[:, 4:12, :, 2:14])


def test_a_size_that_is_no_multiple_of_the_doublings():
    z = jnp.zeros((1, 8))
    with pytest.raises(UsageError, match="20x128x128 voxels") as error:
        jax.eval_shape(
            lambda: LesionGenerator(classes=2).init(KEY, z, (20, 128, 128), train=True)
        )
    assert "multiples of 32" in error.value.hint
    with pytest.raises(UsageError, match="8x18x18 voxels"):
        jax.eval_shape(
            lambda: LesionGenerator(classes=2, anisotropic=False).init(
                KEY, z, (8, 18, 18), train=True
            )
        )


def test_the_critic_has_no_bias():
    model = LesionCritic(ndf=2, hidden=4, num_layers=1, kernel_init="he")
    x = jax.random.normal(KEY, (2, 8, 16, 16, 1))
    judged, variables = model.init_with_output(KEY, x, train=True)
    assert judged.shape == (2,)
    assert set(variables["params"]) == {"conv_0", "hidden", "judge"}
    assert all("bias" not in layer for layer in variables["params"].values())
    twice = model.apply(variables, 2.0 * x, train=True)
    np.testing.assert_allclose(twice, 2.0 * judged, rtol=1e-5)
