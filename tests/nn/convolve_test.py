import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsyn.nn import convolve
from jaxsyn.nn.kernel_gradient import kernel_gradient

# x, kernel, stride, padding, and the form that the CPU takes.
CASES = {
    "kernel larger than image": ((8, 2, 2, 6), (3, 3, 6, 5), 1, 1, "by_patches"),
    "fewer pixels than outputs": ((1, 4, 4, 6), (3, 3, 6, 20), 1, 1, "by_patches"),
    "strided, few pixels": ((1, 5, 5, 3), (4, 4, 3, 70), 2, 2, "by_patches"),
    "one tap": ((2, 6, 6, 8), (1, 1, 8, 5), 1, 0, "by_patches"),
    "narrow input": ((2, 9, 9, 5), (3, 3, 5, 12), 1, 1, "by_patches"),
    "narrow output": ((2, 9, 9, 12), (3, 3, 12, 4), 1, 1, "by_products"),
    "more pixels than before": ((2, 9, 9, 12), (4, 4, 12, 10), 1, 2, "by_same_size"),
    "strided": ((2, 9, 9, 12), (4, 4, 12, 18), 2, 2, "by_same_size"),
    "strided, narrow output": ((2, 9, 9, 12), (4, 4, 12, 7), 2, 2, "by_phases"),
    "strided, odd window": ((2, 11, 8, 5), (5, 3, 5, 9), 2, 1, "by_phases"),
    "strided, pixels unseen": ((2, 12, 12, 5), (4, 4, 5, 1), 3, 0, "by_phases"),
    "not padded": ((2, 9, 9, 12), (3, 3, 12, 10), 1, 0, "by_same_size"),
    "unequal sides": ((2, 9, 8, 12), (5, 3, 12, 9), 1, 2, "by_same_size"),
    "deep": ((2, 9, 11, 60), (3, 3, 60, 10), 1, 1, "by_rows"),
    "deep, not padded": ((3, 8, 9, 60), (3, 3, 60, 9), 1, 0, "by_rows"),
    "deep, more pixels than before": ((2, 9, 8, 40), (4, 4, 40, 6), 1, 2, "by_rows"),
    "large window": ((2, 12, 11, 16), (7, 7, 16, 3), 1, 3, "by_rows"),
    "deep, more images": ((60, 3, 3, 60), (3, 3, 60, 10), 1, 1, "by_same_size"),
    "deep, padded beyond": ((2, 5, 5, 60), (3, 3, 60, 10), 1, 3, "by_same_size"),
    "deep, unequal sides": ((2, 9, 9, 60), (5, 3, 60, 9), 1, 2, "by_same_size"),
    "volume": ((1, 7, 6, 5, 9), (3, 3, 3, 9, 8), 1, 1, "by_slices"),
    "volume, strided": ((2, 7, 6, 5, 9), (5, 3, 3, 9, 8), 2, 2, "by_slices"),
    "volume, few pixels": ((1, 2, 2, 2, 3), (3, 3, 3, 3, 9), 1, 1, "by_slices"),
}


def _case(name):
    x_shape, kernel_shape, stride, padding, form = CASES[name]
    rng = np.random.default_rng(0)
    x = rng.normal(size=x_shape).astype(np.float32)
    kernel = rng.normal(size=kernel_shape).astype(np.float32)
    return x, kernel, stride, padding, form


def _reference(x, kernel, *, stride, padding):
    rank = x.ndim - 2
    axes = "DHW"[-rank:]
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride,) * rank,
        [(padding, padding)] * rank,
        dimension_numbers=(f"N{axes}C", f"{axes}IO", f"N{axes}C"),
        precision="highest",
    )


@pytest.mark.parametrize("name", CASES)
def test_equals_a_plain_convolution_in_value_and_gradients(name):
    x, kernel, stride, padding, _ = _case(name)
    expected, pull_expected = jax.vjp(
        lambda x, k: _reference(x, k, stride=stride, padding=padding), x, kernel
    )
    got, pull = jax.vjp(
        lambda x, k: convolve.conv(x, k, stride=stride, padding=padding), x, kernel
    )
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-4)
    weights = np.random.default_rng(1).normal(size=expected.shape).astype(np.float32)
    for a, b in zip(pull(weights), pull_expected(weights), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-4)


@pytest.mark.parametrize("rows", [128, 6])
def test_a_kernels_gradient_is_the_same_in_pieces(rows):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, rows + 2, 130, 5)).astype(np.float32)
    g = rng.normal(size=(3, rows, 128, 4)).astype(np.float32)
    _, pull = jax.vjp(
        lambda kernel: _reference(x, kernel, stride=1, padding=0),
        jnp.zeros((3, 3, 5, 4)),
    )
    np.testing.assert_allclose(kernel_gradient(x, g), pull(g)[0], rtol=1e-5, atol=2e-3)


@pytest.mark.skipif(jax.device_count() < 4, reason="needs four devices")
def test_gradients_by_rows_of_images_on_several_devices():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 7, 9, 60)).astype(np.float32)
    kernel = rng.normal(size=(3, 3, 60, 10)).astype(np.float32)
    assert convolve._form(x, kernel, 1, 1) is convolve.by_rows

    @jax.jit
    def gradients(x, kernel):
        return jax.grad(lambda *a: (convolve.conv(*a, padding=1) ** 2).sum(), (0, 1))(
            x, kernel
        )

    mesh = jax.make_mesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    batch = jax.NamedSharding(mesh, jax.P("data"))
    whole = jax.NamedSharding(mesh, jax.P())
    expected = gradients(x, kernel)
    got = gradients(jax.device_put(x, batch), jax.device_put(kernel, whole))
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(b).max())


def test_gradients_by_rows_have_gradients():
    x, kernel, stride, padding, _ = _case("deep")
    assert convolve._form(x, kernel, stride, padding) is convolve.by_rows
    with jax.enable_x64(True):
        x, kernel = (np.float64(array) for array in (x, kernel))

        def penalty(function, x, kernel):
            def loss(x):
                y = function(x, kernel, stride=stride, padding=padding)
                return jnp.sin(y / 9).sum()

            return (jax.grad(loss)(x) ** 2).sum()

        got, expected = (
            jax.grad(lambda *a, f=f: penalty(f, *a), (0, 1))(x, kernel)
            for f in (convolve.conv, _reference)
        )
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the forms are the CPU's")
@pytest.mark.parametrize("name", CASES)
def test_takes_the_form_made_for_the_case(name):
    x, kernel, stride, padding, form = _case(name)
    assert convolve._form(x, kernel, stride, padding) is getattr(convolve, form)


@pytest.mark.parametrize("form", ["by_patches", "by_products", "by_same_size"])
def test_every_form_equals_a_plain_convolution(form):
    x, kernel, *_ = _case("more pixels than before")
    got = getattr(convolve, form)(x, kernel, 1, 2)
    np.testing.assert_allclose(
        got, _reference(x, kernel, stride=1, padding=2), rtol=1e-5, atol=1e-4
    )


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the forms are the CPU's")
@pytest.mark.parametrize(
    "name",
    [
        "kernel larger than image",
        "more pixels than before",
        "deep, more pixels than before",
    ],
)
def test_stays_on_the_fast_convolution(name):
    x, kernel, stride, padding, _ = _case(name)

    def slow(function):
        def loss(x, kernel):
            return (function(x, kernel, stride=stride, padding=padding) ** 2).sum()

        gradient = jax.jit(jax.grad(loss, (0, 1)))
        return _turned_around(gradient.lower(x, kernel).compile().as_text())

    assert slow(_reference)  # Else this test sees nothing.
    assert not slow(convolve.conv)


def test_reflects_at_the_edge():
    x = jnp.arange(1.0, 4.0).reshape(1, 1, 3, 1)
    x = jnp.concatenate([x, x], axis=1)
    kernel = jnp.ones((3, 3, 1, 1))
    got = convolve.conv(x, kernel, padding=1, mode="reflect")
    # Rows are equal, so each sum is three times that of 2 1 2, 1 2 3 and 2 3 2.
    np.testing.assert_allclose(got[0, :, :, 0], [[15, 18, 21]] * 2)


def test_computes_in_the_dtype_of_its_input():
    x, kernel, *_ = _case("strided")
    assert convolve.conv(x.astype(jnp.bfloat16), kernel).dtype == jnp.bfloat16


def test_patches_are_ordered_as_kernels_are():
    x = jnp.arange(9.0).reshape(1, 3, 3, 1)
    got = convolve.patches(x, (2, 2))
    np.testing.assert_array_equal(got[0, 1, 0], [3, 4, 6, 7])


def _turned_around(hlo):
    """Whether XLA swapped a convolution's image and kernel, as it does where a window
    is larger than its image, and then leaves its fast convolution.
    """
    return "rhs_reversal" in hlo
