import gzip
import zlib

import nibabel
import numpy as np
from PIL import Image
import pytest

from jaxsyn.data import nifti, volumes
from jaxsyn.errors import DataError

AFFINE = np.diag([1.0, 2.0, 3.0, 1.0])
HEADER = """ObjectType = Image
NDims = 3
DimSize = 7 6 5
ElementType = MET_SHORT
ElementSpacing = 1 2 3
TransformMatrix = 1 0 0 0 1 0 0 0 1
Offset = 0 0 0
CompressedData = {compressed}
ElementDataFile = {name}
"""


def _image():
    return np.random.default_rng(0).integers(0, 100, (7, 6, 5)).astype(np.int16)


def _write_pair(folder, ending):
    pair = nibabel.Nifti1Pair(_image(), AFFINE)
    pair.to_filename(folder / f"x.img{ending}")
    return folder / f"x.hdr{ending}"


def _write_meta(folder, name, compressed):
    voxels = _image().tobytes("F")
    voxels = zlib.compress(voxels) if compressed else voxels
    ending = ".mha" if name == "LOCAL" else ".mhd"
    header = HEADER.format(compressed=compressed, name=name).encode()
    if name != "LOCAL":
        (folder / name).write_bytes(voxels)
        header, voxels = header.rstrip(), b""
    path = folder / f"x{ending}"
    path.write_bytes(header + voxels)
    return path


def _write_nifti(folder, ending):
    nifti.write(folder / f"x{ending}", _image(), AFFINE)
    return folder / f"x{ending}"


def _write_png(folder, kind):
    picture = Image.fromarray(_image()[:, :, 0].astype(kind))
    picture.save(folder / "x.png")
    return folder / "x.png"


def _write_npy(folder):
    np.save(folder / "x.npy", _image())
    return folder / "x.npy"


# What writes a file; which of its files is damaged; the first byte, if any, from
# which on all are covered by a checksum.
LOCAL = len(HEADER.format(compressed=True, name="LOCAL"))
KINDS = {
    "nii": (lambda folder: _write_nifti(folder, ".nii"), "x.nii", None),
    "nii.gz": (lambda folder: _write_nifti(folder, ".nii.gz"), "x.nii.gz", 0),
    "hdr": (lambda folder: _write_pair(folder, ""), "x.hdr", None),
    "img": (lambda folder: _write_pair(folder, ""), "x.img", None),
    "hdr.gz": (lambda folder: _write_pair(folder, ".gz"), "x.hdr.gz", 0),
    "img.gz": (lambda folder: _write_pair(folder, ".gz"), "x.img.gz", 0),
    "mha": (lambda folder: _write_meta(folder, "LOCAL", False), "x.mha", None),
    "zlib": (lambda folder: _write_meta(folder, "LOCAL", True), "x.mha", LOCAL),
    "mhd": (lambda folder: _write_meta(folder, "x.raw", False), "x.mhd", None),
    "raw": (lambda folder: _write_meta(folder, "x.raw", False), "x.raw", None),
    "zraw": (lambda folder: _write_meta(folder, "x.zraw", True), "x.zraw", 0),
    "png": (lambda folder: _write_png(folder, "uint8"), "x.png", 0),
    "png16": (lambda folder: _write_png(folder, "uint16"), "x.png", 0),
    "npy": (_write_npy, "x.npy", None),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_read(tmp_path, kind):
    volume = volumes.read(KINDS[kind][0](tmp_path))
    expected = _image()
    if kind.startswith("png"):
        expected = expected[:, :, 0].T[:, :, None]
    np.testing.assert_array_equal(volume.data, expected)
    assert not volume.data.flags.writeable
    with pytest.raises(DataError, match="are more than 9 voxels"):
        volumes.read(volume.path, max_voxels=9)


@pytest.mark.parametrize("kind", KINDS)
def test_damage_gives_a_volume_or_a_data_error(tmp_path, kind):
    write, name, sealed = KINDS[kind]
    path = write(tmp_path)
    expected, content = volumes.read(path), (tmp_path / name).read_bytes()
    rng, refused = np.random.default_rng(1), 0
    for trial in range(300):
        damaged = bytearray(content)
        where = rng.integers(0, len(content), rng.integers(1, 4))
        if trial % 3:
            for byte in where:
                damaged[byte] ^= rng.integers(1, 256)
        else:
            del damaged[where[0] :]
        (tmp_path / name).write_bytes(damaged)
        try:
            volume = volumes.read(path)
        except DataError as error:
            assert str(tmp_path) in str(error) and error.hint
            refused += 1
            continue
        assert trial % 3, "a truncated file is not refused"
        if sealed is not None and min(where) >= sealed:
            np.testing.assert_array_equal(volume.data, expected.data)
            np.testing.assert_array_equal(volume.affine, expected.affine)
    assert refused >= (100 if sealed is None else 200)


def test_unknown_kinds_are_refused_with_what_can_be_read(tmp_path):
    kinds = r"\.nii, \.nii\.gz, \.hdr, \.hdr\.gz, \.mha, \.mhd, \.png, \.npy"
    with pytest.raises(DataError, match=rf"x.nrrd: only files in {kinds} can be read"):
        volumes.read(tmp_path / "x.nrrd")
    with pytest.raises(DataError, match="can be read.*\n.*to NIfTI"):
        volumes.read(tmp_path / "nii")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("x.jpg", "JPEG changes the values"),
        ("x.JPEG", "JPEG changes the values"),
        ("x.npz", "numpy.save"),
        ("x.dcm", "dcm2niix"),
    ],
)
def test_kinds_that_are_not_read_come_with_what_to_do(tmp_path, name, hint):
    with pytest.raises(DataError, match=f"{name}: only .*\n.*{hint}"):
        volumes.read(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x.nii", "x"),
        ("folder.nii/x.y.nii.gz", "x.y"),
        ("X.NII.GZ", "X"),
        ("x.hdr", "x"),
        ("x.hdr.gz", "x"),
        ("x.img", ""),  # Its .hdr stands for both.
        ("x.mha", "x"),
        ("x.mhd", "x"),
        ("x.raw", ""),
        ("x.png", "x"),
        ("x.npy", "x"),
        ("x.gz", ""),
        ("nii", ""),
        (".nii", ""),
        ("._x.nii.gz", ""),  # Written beside each file by macOS.
        ("README.md", ""),
    ],
)
def test_stem_is_the_name_of_an_image_file(name, expected):
    assert volumes.stem(name) == expected


def test_endings_may_be_in_capitals(tmp_path):
    path = tmp_path / "X.NII.GZ"
    image = nibabel.Nifti1Image(_image(), AFFINE)
    path.write_bytes(gzip.compress(image.to_bytes()))
    np.testing.assert_array_equal(volumes.read(path).data, _image())
