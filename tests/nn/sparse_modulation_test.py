import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsyn.nn import sparse_modulation
from jaxsyn.nn.modulation import Modulation, ModulationParams, gamma_beta

LABELS, HIDDEN, CHANNELS = 4, 6, 3


def _params(kernel_size=3, labels=LABELS):
    rng = np.random.default_rng(0)
    window = (kernel_size, kernel_size)
    shapes = ModulationParams(
        embedding_kernel=(*window, labels, HIDDEN),
        embedding_bias=(HIDDEN,),
        kernel=(*window, HIDDEN, 2 * CHANNELS),
        bias=(2 * CHANNELS,),
    )
    return ModulationParams(*(rng.normal(size=s).astype(np.float32) for s in shapes))


def _blobs(size=32, batch=2):
    """Label maps with discs that touch each other and the image's rim."""
    rows, columns = np.mgrid[:size, :size]
    label = np.zeros((batch, size, size), int)
    for i in range(batch):
        for value, (row, column, radius) in enumerate(
            [(8, 9 + i, 8), (10, 12, 3), (24, 28, 7)], start=1
        ):
            label[i][np.hypot(rows - row, columns - column) < radius] = value
    return label


def _one_hot(label):
    return np.eye(LABELS, dtype=np.float32)[label]


MAPS = {
    "regions": _one_hot(_blobs()),
    "one label": _one_hot(np.zeros((2, 9, 12), int)),
    "noise": _one_hot(np.random.default_rng(1).integers(0, LABELS, (2, 13, 11))),
    "two mutually exclusive channels": _one_hot(_blobs())[..., 2:],
    "overlapping channels": np.stack([_blobs() > 0, _blobs() > 1], -1).astype("f"),
    "probabilities": np.random.default_rng(2).dirichlet(np.ones(4), (1, 8, 8)),
    "smaller than a neighbourhood": _one_hot(_blobs()[:, 6:10, 6:9]),
    "many labels": np.eye(90, dtype=np.float32)[_blobs() * 29],
}


@jax.jit
def _kinds(condition):
    return sparse_modulation.kinds(condition, 3)


def _sparse(params, condition):
    found = sparse_modulation.kinds(condition, params.kernel.shape[0])
    return sparse_modulation.gamma_beta(params, found)


def _dense(params, condition):
    return jnp.concatenate(gamma_beta(params, condition), axis=-1)


def _assert_equal(params, condition):
    weights = np.random.default_rng(3).normal(size=(*condition.shape[:3], 2 * CHANNELS))
    results = []
    for function in (_dense, _sparse):

        def loss(params, function=function):
            out = function(params, condition)
            return (out * weights).sum(), out

        grads, out = jax.jit(jax.grad(loss, has_aux=True))(params)
        results.append((out, grads))
    (expected, expected_grads), (got, grads) = results
    np.testing.assert_allclose(got, expected, atol=1e-5 * np.abs(expected).max())
    for a, b in zip(grads, expected_grads, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-4 * np.abs(b).max())


@pytest.mark.parametrize("name", MAPS)
def test_equals_the_dense_layer_in_value_and_gradients(name):
    condition = jnp.asarray(MAPS[name], jnp.float32)
    _assert_equal(_params(labels=condition.shape[-1]), condition)


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_is_the_same_whatever_the_loop_does_at_once(chunk, monkeypatch):
    monkeypatch.setattr(sparse_modulation, "CHUNK", chunk)
    _assert_equal(_params(), jnp.asarray(MAPS["regions"][:1, :16, :16]))


def test_larger_kernels_reach_farther():
    _assert_equal(_params(kernel_size=5), jnp.asarray(MAPS["regions"]))


def test_tells_neighbourhoods_apart():
    label = np.zeros((1, 12, 12), int)
    label[0, 6, 6] = 1
    found = _kinds(_one_hot(label))
    # 25 by where they have the one pixel in sight, all others by how much of the
    # outside they see: 5 possibilities along rows, times 5 along columns.
    assert int(found.count) == 25 + 25
    row = np.asarray(found.row[0])
    np.testing.assert_array_equal(np.unique(row), np.arange(50))
    np.testing.assert_array_equal(row[2:4, 2:10], row[2, 2])  # Far from either.
    firsts = np.asarray(found.pixels[:50])
    np.testing.assert_array_equal(row.ravel()[firsts], np.arange(50))
    assert (np.asarray(found.pixels[50:]) == 144).all()


def test_collisions_cost_rows_but_are_no_error(monkeypatch):
    def to_one_slot(keys, salt):
        del salt
        return jnp.zeros(len(keys), jnp.int32), 8

    condition = jnp.asarray(MAPS["regions"][:1, :16, :16])
    assert int(_kinds(condition).count) < 16**2
    monkeypatch.setattr(sparse_modulation, "_hash", to_one_slot)
    # Only what is like the first pixel, a corner, could share its row.
    assert int(sparse_modulation.kinds(condition, 3).count) == 16**2
    _assert_equal(_params(), condition)


def test_real_brains_have_few_kinds_of_neighbourhoods(real_data):
    nibabel = pytest.importorskip("nibabel")
    path = min((real_data / "brats2021_labels").glob("*_seg.nii.gz"))
    label = np.asarray(nibabel.load(path).dataobj).astype(int).transpose(2, 1, 0)
    label = np.where(label == 4, 3, label)[60:90]
    assert int(_kinds(_one_hot(label)).count) < 0.05 * label.size


def test_pays_where_neighbourhoods_repeat():
    sizes = {(1, 32, 32): True, (4, 16, 16): True, (3, 16, 16): False}
    for size, expected in (sizes | {(99, 15, 15): False}).items():
        assert sparse_modulation.pays(jnp.zeros((*size, LABELS)), 3) == expected


@pytest.mark.parametrize(("devices", "taken"), [(1, True), (4, False)])
def test_the_layer_takes_it_for_large_maps_on_one_cpu(monkeypatch, devices, taken):
    monkeypatch.setattr(jax, "device_count", lambda: devices)
    large = jnp.zeros((1, 32, 32, LABELS))
    layer = Modulation(hidden=HIDDEN)
    jaxpr = str(jax.make_jaxpr(layer.init)(jax.random.key(0), large, large))
    assert ("while" in jaxpr) == taken


def test_the_layer_gives_the_same_either_way():
    condition = jnp.asarray(MAPS["regions"])
    x = jax.random.normal(jax.random.key(0), (*condition.shape[:3], CHANNELS))
    layers = [Modulation(hidden=HIDDEN, sparse=sparse) for sparse in (False, True)]
    variables = {"params": _params()._asdict()}
    dense, sparse = (jax.jit(layer.apply)(variables, x, condition) for layer in layers)
    np.testing.assert_allclose(sparse, dense, atol=1e-5 * np.abs(dense).max())


def test_computes_in_the_dtype_of_the_map():
    condition = jnp.asarray(MAPS["regions"])
    exact = jax.jit(_dense)(_params(), condition)
    got = jax.jit(_sparse)(_params(), condition.astype(jnp.bfloat16))
    assert got.dtype == jnp.bfloat16
    np.testing.assert_allclose(
        got.astype(jnp.float32), exact, atol=0.03 * np.abs(exact).max()
    )


def test_has_no_gradient_of_the_map_and_says_so():
    condition = jnp.asarray(MAPS["regions"])
    with pytest.raises(TypeError, match=r"gradient of a map .* sparse=False"):
        jax.jit(jax.grad(lambda c: _sparse(_params(), c).sum()))(condition)


def test_phases_that_share_a_forward_pass_compute_it_once():
    condition = jnp.asarray(MAPS["regions"])

    def both_phases(params):
        first = _sparse(params, condition).sum()
        second = jax.grad(lambda p: jnp.square(_sparse(p, condition)).sum())(params)
        return first, second

    text = jax.jit(both_phases).lower(_params()).compile().as_text()
    assert text.count(" while(") == 2  # One forwards, one backwards.
