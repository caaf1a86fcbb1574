import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsyn.losses.penalties import gradient_penalty, path_lengths, r1

KEY = jax.random.key(0)
SHAPES = [(5, 4, 4, 2), (3, 2, 3, 4, 2)]


def noise(shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def linear(direction):
    """The critic <direction, x>, whose gradient is `direction` everywhere."""
    return lambda x: jnp.sum(x * direction[None], axis=range(1, x.ndim))


def of_norm(norm, shape):
    direction = noise(shape)
    return norm * direction / jnp.linalg.norm(direction.ravel())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("norm", "options", "expected"),
    [
        (3.0, {}, 4.0),
        (0.5, {}, 0.25),
        (0.5, {"one_sided": True}, 0.0),
        (3.0, {"one_sided": True}, 4.0),
        (3.0, {"target": 5.0}, 4.0),
    ],
)
def test_a_linear_critic_is_penalised_by_its_norm(shape, norm, options, expected):
    critic = linear(of_norm(norm, shape[1:]))
    got = gradient_penalty(critic, noise(shape, 1), noise(shape, 2), KEY, **options)
    assert got == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_each_image_has_its_own_norm_and_its_own_point(shape):
    # The critic |x|²/2 has gradient x, so the penalty knows the points.
    def critic(x):
        return 0.5 * jnp.sum(x**2, axis=range(1, x.ndim))[:, None]

    real, fake = jnp.zeros(shape), jnp.ones(shape)
    shares = jax.random.uniform(KEY, (shape[0],))
    norms = shares * np.sqrt(np.prod(shape[1:]))
    got = gradient_penalty(critic, real, fake, KEY)
    assert got == pytest.approx(np.mean((np.asarray(norms) - 1.0) ** 2), rel=1e-5)
    assert len(np.unique(shares)) == shape[0]


def test_a_flat_critic_has_a_finite_gradient():
    def loss(slope):
        real = noise(SHAPES[0])
        return gradient_penalty(lambda x: slope * x.sum((1, 2, 3)), real, real, KEY)

    value, gradient = jax.value_and_grad(loss)(0.0)
    assert value == 1.0
    assert gradient == 0.0


@pytest.mark.parametrize("shape", SHAPES)
def test_r1_is_half_the_squared_norm(shape):
    critic = linear(of_norm(3.0, shape[1:]))
    assert r1(critic, noise(shape)) == pytest.approx(4.5, rel=1e-5)


def test_r1_is_the_mean_over_images():
    def critic(x):
        return jnp.array([1.0, 3.0]) * x.sum((1, 2, 3))

    # Four pixels a image: squared norms of 4 and 36.
    assert r1(critic, jnp.zeros((2, 2, 2, 1))) == pytest.approx(10.0)


@pytest.mark.parametrize("shape", SHAPES)
def test_path_length_of_scaling_one_image(shape):
    # w scales a fixed image a: J^T y = <a, y>, with y over the root of the pixels.
    image = noise(shape[1:])
    w = jnp.ones((shape[0], 1))
    scaled = path_lengths(
        lambda w: w.reshape(-1, *(1,) * (len(shape) - 1)) * image[None], w, KEY
    )
    y = jax.random.normal(KEY, shape) / np.sqrt(np.prod(shape[1:-1]))
    expected = jnp.abs(jnp.sum(image[None] * y, axis=range(1, len(shape))))
    np.testing.assert_allclose(scaled, expected, rtol=1e-5)


def test_path_length_of_layers_is_their_root_mean_square():
    def synthesis(w):  # Images of one pixel: three times the first layer's code.
        return 3.0 * w[:, :1, None, :]

    w = noise((4, 9, 2))
    y = jax.random.normal(KEY, (4, 1, 1, 2))
    expected = 3.0 * jnp.linalg.norm(y.reshape(4, 2), axis=1) / 3.0
    np.testing.assert_allclose(path_lengths(synthesis, w, KEY), expected, rtol=1e-5)


def test_path_length_of_a_code_that_changes_nothing():
    def mean(scale):
        w = noise((4, 2))
        return path_lengths(lambda w: scale * w[:, None, None, :], w, KEY).mean()

    value, gradient = jax.value_and_grad(mean)(0.0)
    assert value == 0.0
    assert gradient == 0.0
