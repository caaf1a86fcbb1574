import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsyn.nn import target, transposed
from jaxsyn.nn.transposed import transposed_conv

# x, kernel, and the form that the CPU takes.
CASES = {
    "one tap": ((2, 3, 4, 6), (2, 2, 6, 5), "single_taps"),
    "one tap, volume": ((1, 3, 4, 2, 6), (2, 2, 2, 6, 5), "single_taps"),
    "few pixels": ((2, 3, 2, 6), (4, 4, 6, 12), "phase_by_phase"),
    "few pixels, three taps": ((1, 3, 2, 6), (3, 3, 6, 7), "phase_by_phase"),
    "few pixels, volume": ((1, 2, 2, 1, 3), (4, 4, 4, 3, 9), "phase_by_phase"),
    "three taps": ((2, 5, 4, 6), (3, 3, 6, 7), "by_products"),
    "three taps, volume": ((1, 3, 2, 4, 3), (3, 3, 3, 3, 5), "by_products"),
    "wide": ((2, 4, 5, 70), (4, 4, 70, 8), "by_products"),
    "narrow": ((2, 4, 5, 7), (4, 4, 7, 8), "pairs_of_taps"),
    "narrow, volume": ((1, 4, 3, 2, 5), (4, 4, 4, 5, 4), "pairs_of_taps"),
}


def _case(name):
    *shapes, form = CASES[name]
    rng = np.random.default_rng(0)
    x, kernel = (jnp.array(rng.normal(size=shape), jnp.float32) for shape in shapes)
    return x, kernel, form


@pytest.mark.parametrize("name", CASES)
def test_equals_the_form_of_other_devices_in_value_and_gradients(name):
    x, kernel, _ = _case(name)
    with target.traced_for("cuda"):
        expected, pull_expected = jax.vjp(lambda *xs: transposed_conv(*xs), x, kernel)
    got, pull = jax.vjp(transposed_conv, x, kernel)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-4)
    weights = jax.random.normal(jax.random.key(1), expected.shape)
    for a, b in zip(pull(weights), pull_expected(weights), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-4)


@pytest.mark.parametrize("name", CASES)
def test_the_form_is_the_fast_one(name, monkeypatch):
    x, kernel, form = _case(name)
    taken, known = [], getattr(transposed, form)
    monkeypatch.setattr(transposed, form, lambda *a: taken.append(form) or known(*a))
    transposed_conv(x, kernel)
    assert taken


def test_other_devices_take_one_convolution():
    x, kernel, _ = _case("narrow")
    with target.traced_for("cuda"):
        made = str(jax.make_jaxpr(lambda *xs: transposed_conv(*xs))(x, kernel))
    assert made.count("conv_general_dilated[") == 1 and "dot_general" not in made


@pytest.mark.parametrize("window", [(5, 5), (3, 4), (1, 1)])
def test_other_windows_are_refused(window):
    with pytest.raises(ValueError, match="must all be 2, 3 or 4"):
        transposed_conv(jnp.ones((1, 3, 3, 2)), jnp.ones((*window, 2, 5)))


def scattered(x, kernel, low):
    """A transposed convolution by its definition: every pixel adds its window."""
    n, side = x.shape[1], kernel.shape[0]
    whole = np.zeros((2 * n + side, 2 * n + side, kernel.shape[-1]))
    for i, j in np.ndindex(n, n):
        whole[2 * i : 2 * i + side, 2 * j : 2 * j + side] += np.einsum(
            "i,abio->abo", x[0, i, j], kernel
        )
    return whole[None, low : low + 2 * n, low : low + 2 * n]


each_form = pytest.mark.parametrize("outputs", [5, 30])


@each_form
@pytest.mark.parametrize(("side", "low"), [(2, 0), (3, 1), (4, 1)])
def test_transposed_convolution_by_its_definition(side, low, outputs):
    rng = np.random.default_rng(side)
    x, kernel = rng.normal(size=(1, 3, 3, 2)), rng.normal(size=(side, side, 2, outputs))
    got = transposed_conv(jnp.array(x, jnp.float32), jnp.array(kernel, jnp.float32))
    np.testing.assert_allclose(got, scattered(x, kernel, low), atol=1e-5)


@each_form
@pytest.mark.parametrize("side", [2, 3, 4])
def test_transposed_convolution_of_volumes_is_that_of_slices_and_of_depth(
    side, outputs
):
    rng = np.random.default_rng(0)
    plane = jnp.array(rng.normal(size=(1, 3, 3, 2)), jnp.float32)
    kernel = jnp.array(rng.normal(size=(side, side, 2, outputs)), jnp.float32)
    # One slice among zeros, and a kernel that has weights in one depth only.
    volume = jnp.zeros((1, 3, 3, 3, 2)).at[:, 1].set(plane)
    deep = jnp.zeros((side, *kernel.shape)).at[side - 1].set(kernel)
    got = transposed_conv(volume, deep)
    place = 2 * 1 + side - 1 - (side > 2)
    np.testing.assert_allclose(got[:, place], transposed_conv(plane, kernel), atol=1e-5)
    assert not np.delete(np.asarray(got), place, axis=1).any()
