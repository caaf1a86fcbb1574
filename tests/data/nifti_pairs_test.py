import gzip
import struct

import nibabel
import numpy as np
import pytest

from jaxsyn.data import nifti
from jaxsyn.errors import DataError

AFFINE = np.array([[0, -2, 0, -90], [1, 0, 0, -126], [0, 0, 3, -72], [0, 0, 0, 1.0]])
VOX_OFFSET = 108  # Where this is in the header of NIfTI-1.


def _image(dtype="int16", shape=(7, 6, 5)):
    return np.random.default_rng(0).integers(0, 100, shape).astype(dtype)


def _write(folder, ending="", data=None, kind=nibabel.Nifti1Pair, order="<"):
    data = _image() if data is None else data
    header = kind.header_class(endianness=order)
    header.set_data_dtype(data.dtype)
    kind(data, AFFINE, header).to_filename(folder / f"x.img{ending}")
    return folder / f"x.hdr{ending}"


def _patch(path, place, form, *values):
    content = bytearray(path.read_bytes())
    struct.pack_into(form, content, place, *values)
    path.write_bytes(content)


@pytest.mark.parametrize("part", ["hdr", "img"])
@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", [nibabel.Nifti1Pair, nibabel.Nifti2Pair])
def test_a_pair_is_read_by_either_name(tmp_path, kind, order, ending, part):
    _write(tmp_path, ending, kind=kind, order=order)
    volume = nifti.read(tmp_path / f"x.{part}{ending}")
    assert volume.data.dtype == np.int16 and volume.data.dtype.isnative
    np.testing.assert_array_equal(volume.data, _image())
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-5)
    assert volume.path.name == f"x.{part}{ending}" and volume.notes == ()


def test_a_pair_is_what_a_single_file_is(tmp_path):
    data = _image("float32", (4, 3, 2, 5))
    pair = nifti.read(_write(tmp_path, data=data), channels=True)
    nifti.write(tmp_path / "x.nii", data, AFFINE)
    single = nifti.read(tmp_path / "x.nii", channels=True)
    np.testing.assert_array_equal(pair.data, single.data)
    np.testing.assert_allclose(pair.affine, single.affine, atol=1e-5)
    with pytest.raises(DataError, match="x.hdr: is 4-D"):
        nifti.read(tmp_path / "x.hdr")


def test_names_in_capitals_belong_together(tmp_path):
    path = _write(tmp_path)
    path.rename(tmp_path / "X.HDR")
    (tmp_path / "x.img").rename(tmp_path / "X.IMG")
    np.testing.assert_array_equal(nifti.read(tmp_path / "X.HDR").data, _image())


def test_voxels_may_begin_behind_the_start_of_their_file(tmp_path):
    path = _write(tmp_path)
    _patch(path, VOX_OFFSET, "<f", 32)
    voxels = tmp_path / "x.img"
    voxels.write_bytes(bytes(32) + voxels.read_bytes())
    np.testing.assert_array_equal(nifti.read(path).data, _image())


def test_voxels_may_begin_with_the_bytes_of_gzip(tmp_path):
    data = _image("uint8")
    data[:2, 0, 0] = 0x1F, 0x8B
    path = _write(tmp_path, data=data)
    assert (tmp_path / "x.img").read_bytes()[:2] == b"\x1f\x8b"
    np.testing.assert_array_equal(nifti.read(path).data, data)


@pytest.mark.parametrize("missing", ["hdr", "img"])
def test_half_a_pair_is_refused(tmp_path, missing):
    path = _write(tmp_path)
    (tmp_path / f"x.{missing}").unlink()
    with pytest.raises(DataError, match=f"x.{missing}: there is no.*\n.*one folder"):
        nifti.read(path)


def test_names_must_say_what_the_header_says(tmp_path):
    path = _write(tmp_path)
    single = path.rename(tmp_path / "x.nii")
    with pytest.raises(DataError, match="header and voxels are two files.*\n.*named"):
        nifti.read(single)
    nifti.write(tmp_path / "y.nii", _image(), AFFINE)
    for name in ("y.hdr", "y.img"):
        (tmp_path / name).write_bytes((tmp_path / "y.nii").read_bytes())
    with pytest.raises(DataError, match="header and voxels are one file"):
        nifti.read(tmp_path / "y.hdr")


@pytest.mark.parametrize("order", "<>")
def test_analyze_is_refused_for_its_orientation(tmp_path, order):
    header = nibabel.AnalyzeHeader(endianness=order)
    header.set_data_dtype(np.int16)
    image = nibabel.AnalyzeImage(_image(), np.diag([1.0, 2, 3, 1]), header)
    image.to_filename(tmp_path / "x.img")
    with pytest.raises(DataError, match="is Analyze 7.5.* left from.*\n.*nibabel"):
        nifti.read(tmp_path / "x.img")


def test_voxels_that_are_too_few_or_too_many_are_refused(tmp_path):
    path, voxels = _write(tmp_path), tmp_path / "x.img"
    content = voxels.read_bytes()
    voxels.write_bytes(content[:-1])
    with pytest.raises(DataError, match="x.img: too short for the 420 bytes"):
        nifti.read(path)
    voxels.write_bytes(content + b"\0")
    with pytest.raises(DataError, match="x.img: goes on behind the voxels"):
        nifti.read(path)


def test_a_header_is_read_to_its_end(tmp_path):
    path = _write(tmp_path, ".gz")
    content = path.read_bytes()
    for damaged in (content[:-4], content[:-8] + bytes(8), content + b"rubbish"):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="x.hdr.gz"):
            nifti.read(path)
    path.write_bytes(gzip.compress(gzip.decompress(content) + bytes(2**24 + 1)))
    with pytest.raises(DataError, match="x.hdr.gz: is too long for a header"):
        nifti.read(path)


def test_what_is_named_gzip_and_is_none_is_refused(tmp_path):
    path = _write(tmp_path, ".gz")
    voxels = tmp_path / "x.img.gz"
    voxels.write_bytes(gzip.decompress(voxels.read_bytes()))
    with pytest.raises(DataError, match="x.img.gz: "):
        nifti.read(path)


def test_voxels_that_are_no_numbers_are_refused_in_a_pair(tmp_path):
    data = _image("float32")
    data[1, 2, 3] = np.nan
    with pytest.raises(DataError, match="x.img: 1 voxels are NaN"):
        nifti.read(_write(tmp_path, data=data))
