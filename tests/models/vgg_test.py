import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsyn.errors import DataError, UsageError
from jaxsyn.models import vgg
from jaxsyn.models.vgg import Vgg19

# VGG19's layout with fewer channels and convolutions.
NARROW = ((2, (0, 2)), (3, (5,)), (4, (10,)), (5, (19,)), (6, (28,)))


def arrays(blocks=NARROW):
    """Weights as torchvision's state dict has them: kernels are [O, I, 3, 3]."""
    rng, inputs, made = np.random.default_rng(0), 3, {}
    for width, places in blocks:
        for place in places:
            made[f"{place}.weight"] = rng.normal(size=(width, inputs, 3, 3)) / 3
            made[f"{place}.bias"] = rng.normal(size=width) / 3
            inputs = width
    return {name: array.astype(np.float32) for name, array in made.items()}


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(vgg, "BLOCKS", NARROW)
    np.savez(tmp_path / "vgg.npz", **arrays())
    return tmp_path / "vgg.npz"


@pytest.fixture
def network(path):
    return Vgg19.load(path)


def test_the_layout_is_vgg19s_up_to_conv5_1():
    inputs, total = 3, 0
    for width, places in vgg.BLOCKS:
        for _ in places:
            total += 9 * inputs * width + width
            inputs = width
    # torchvision's `features` has 20,024,384, of which three more of 512 to 512.
    assert total == 20_024_384 - 3 * (9 * 512 * 512 + 512)


def test_records_the_files_hash(path):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert Vgg19.load(path).sha256 == digest


def test_features_halve_between_blocks(network):
    shapes = [f.shape for f in network.features(jnp.zeros((1, 32, 32, 3)))]
    sides = (32, 16, 8, 4, 2)
    assert shapes == [(1, s, s, w) for s, w in zip(sides, (2, 3, 4, 5, 6), strict=True)]


def test_relu1_1_in_numpy(network):
    image = np.random.default_rng(1).uniform(-1, 1, (1, 16, 16, 3)).astype(np.float32)
    colours = ((image[0] + 1) / 2 - vgg.MEAN) / vgg.DEVIATION
    windows = np.lib.stride_tricks.sliding_window_view(colours, (3, 3), (0, 1))
    first = arrays()
    inside = np.einsum("oirc,yxirc->yxo", first["0.weight"], windows) + first["0.bias"]
    got = network.features(image)[0][0, 1:-1, 1:-1]
    np.testing.assert_allclose(got, np.maximum(inside, 0), rtol=1e-4, atol=1e-4)


def test_modalities_are_shown_one_by_one_as_grey(network):
    image = jax.random.uniform(jax.random.key(0), (2, 16, 16, 4), minval=-1.0)
    together = network.features(image)[-1]
    assert together.shape[0] == 8
    alone = network.features(image[1:, ..., 2:3].repeat(3, -1))[-1]
    np.testing.assert_allclose(together[4 + 2], alone[0], rtol=1e-4, atol=1e-5)


def test_distance_is_the_weighted_l1(network):
    fake, real = jax.random.uniform(jax.random.key(0), (2, 1, 16, 16, 1), minval=-1.0)
    expected = sum(
        weight * np.abs(np.asarray(x) - np.asarray(y)).mean()
        for weight, x, y in zip(
            (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1),
            network.features(fake),
            network.features(real),
            strict=True,
        )
    )
    np.testing.assert_allclose(network.distance(fake, real), expected, rtol=1e-5)
    assert network.distance(real, real) == 0


def test_distance_moves_the_synthetic_image_alone(network):
    fake, real = jax.random.uniform(jax.random.key(0), (2, 1, 16, 16, 1), minval=-1.0)
    on_fake, on_real = jax.jit(jax.grad(network.distance, (0, 1)))(fake, real)
    assert float(jnp.abs(on_fake).max()) > 0
    np.testing.assert_array_equal(on_real, 0)


def test_no_file_named():
    with pytest.raises(UsageError, match="config.system.vgg_weights"):
        Vgg19.load("")


def test_no_such_file(tmp_path):
    with pytest.raises(DataError, match="(?s)absent.npz is not.*two lines"):
        Vgg19.load(tmp_path / "absent.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"no archive"])
def test_not_an_archive(tmp_path, content):
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(DataError, match="bad.npz is not a readable"):
        Vgg19.load(tmp_path / "bad.npz")


def test_one_array_instead_of_an_archive(tmp_path):
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(DataError, match="one.npy is not a readable"):
        Vgg19.load(tmp_path / "one.npy")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"2.weight": None}, "no array '2.weight'"),
        ({"0.bias": np.zeros(5)}, r"0.bias has the shape \(5,\), not \(2,\)"),
        # Objects are pickled, and unpickling runs what a file says.
        ({"0.bias": np.array([None, None])}, "not a readable"),
    ],
)
def test_wrong_arrays(path, change, match):
    made = {k: v for k, v in (arrays() | change).items() if v is not None}
    np.savez(path, **made)
    with pytest.raises(DataError, match=match):
        Vgg19.load(path)
