import gzip
import itertools
import os
import struct
import subprocess
import sys

import nibabel
import numpy as np
import pytest

from jaxsyn.data import nifti
from jaxsyn.errors import DataError, ResourceError, UsageError

# An oblique grid of 1 × 2 × 3 mm: a turn by 30° about z, and an origin.
C, S = np.cos(np.pi / 6), np.sin(np.pi / 6)
AFFINE = np.array(
    [[C, -2 * S, 0, -90], [S, 2 * C, 0, -126], [0, 0, 3, -72], [0, 0, 0, 1.0]]
)
# Where things are in the header of NIfTI-1.
DIM, DATATYPE, BITPIX, PIXDIM, VOX_OFFSET = 40, 70, 72, 76, 108
SLOPE, INTER, UNITS, QFORM_CODE, SFORM_CODE, QUATERNION = 112, 116, 123, 252, 254, 256
SROW, MAGIC = 280, 344


def _image(dtype="int16", shape=(7, 6, 5)):
    rng = np.random.default_rng(0)
    return (rng.integers(0, 100, shape) * (rng.random(shape) > 0.5)).astype(dtype)


def _content(**fields):
    """The bytes of a valid .nii, with `fields` of its header replaced.

    Each is named as above and given as a struct format and values.
    """
    image = nibabel.Nifti1Image(_image(), AFFINE)
    image.set_sform(AFFINE, 1)
    image.set_qform(AFFINE, 1)
    content = bytearray(image.to_bytes())
    for name, (form, *values) in fields.items():
        struct.pack_into("<" + form, content, globals()[name], *values)
    return bytes(content)


def _file(tmp_path, content, name="x.nii"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.fixture
def compressed(tmp_path):
    """A .nii.gz with everything in its gzip header, and its volume."""
    path = tmp_path / "x.nii.gz"
    with open(path, "wb") as file, gzip.GzipFile("name.nii", "wb", 6, file) as out:
        out.write(_content())
    return path, nifti.read(path)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_what_is_written_is_read(tmp_path, dtype, ending):
    path, data = tmp_path / f"x{ending}", _image(dtype)
    nifti.write(path, data, AFFINE, description="synthetic")
    volume = nifti.read(path)
    assert volume.data.dtype == dtype
    np.testing.assert_array_equal(volume.data, data)
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-5)
    np.testing.assert_allclose(volume.spacing_mm, (1, 2, 3), atol=1e-6)
    assert volume.path == path and volume.notes == ()
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_nibabel_reads_what_is_written(tmp_path):
    path = tmp_path / "x.nii.gz"
    nifti.write(path, _image(), AFFINE, description="synthetic")
    image = nibabel.load(path)
    np.testing.assert_array_equal(np.asanyarray(image.dataobj), _image())
    header = image.header
    assert header["sform_code"] == header["qform_code"] == 1
    np.testing.assert_allclose(header.get_qform(), header.get_sform(), atol=1e-4)
    assert header.get_xyzt_units()[0] == "mm"
    assert header["descrip"].item() == b"synthetic"


def test_equal_volumes_give_equal_bytes(tmp_path):
    for name in ("a.nii.gz", "b.nii.gz"):
        nifti.write(tmp_path / name, _image(), AFFINE)
    content = (tmp_path / "a.nii.gz").read_bytes()
    assert content == (tmp_path / "b.nii.gz").read_bytes()
    assert content[4:8] == bytes(4)  # No time in the gzip header.


def test_a_sheared_affine_is_kept_as_sform_alone(tmp_path):
    sheared = AFFINE.copy()
    sheared[0, 2] = 1.5
    nifti.write(tmp_path / "x.nii", _image(), sheared)
    volume = nifti.read(tmp_path / "x.nii")
    np.testing.assert_allclose(volume.affine, sheared, atol=1e-5)
    assert volume.notes == ()


def test_write_refuses_what_cannot_be_read_back(tmp_path):
    with pytest.raises(UsageError, match=r"Cannot write int64 to x.nii"):
        nifti.write(tmp_path / "x.nii", _image("int64"), AFFINE)
    with pytest.raises(UsageError, match=r"x.mha"):
        nifti.write(tmp_path / "x.mha", _image(), AFFINE)
    data = _image("float32")
    data[0, 0, 0] = np.inf
    with pytest.raises(DataError, match="1 voxels are NaN or infinite"):
        nifti.write(tmp_path / "x.nii", data, AFFINE)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    path = tmp_path / "x.nii.gz"
    nifti.write(path, _image(), AFFINE)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(ResourceError, match="No space left while writing to"):
        nifti.write(path, 2 * _image(), AFFINE)
    assert list(tmp_path.iterdir()) == [path]
    np.testing.assert_array_equal(nifti.read(path).data, _image())


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("code", nifti._READABLE)
def test_reads_every_number_in_both_byte_orders(tmp_path, order, code):
    kind = nibabel.Nifti2Image if code == "i8" else nibabel.Nifti1Image
    header = kind.header_class(endianness=order)
    header.set_data_dtype(code)
    path = tmp_path / "x.nii"
    kind(_image(code), AFFINE, header).to_filename(path)
    volume = nifti.read(path)
    assert volume.data.dtype == np.dtype(code) and volume.data.dtype.isnative
    np.testing.assert_array_equal(volume.data, _image(code))
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-5)


def test_scaled_values_become_float32(tmp_path):
    path = _file(tmp_path, _content(SLOPE=("ff", 0.5, -3)))
    volume = nifti.read(path)
    assert volume.data.dtype == np.float32
    np.testing.assert_array_equal(volume.data, 0.5 * _image() - 3)


@pytest.mark.parametrize("slope", [(0, 7), (np.nan, np.nan), (1, 0)])
def test_no_scaling_keeps_the_dtype(tmp_path, slope):
    volume = nifti.read(_file(tmp_path, _content(SLOPE=("ff", *slope))))
    assert volume.data.dtype == np.int16
    np.testing.assert_array_equal(volume.data, _image())


def test_four_dimensions_are_read_when_asked_for(tmp_path):
    path, data = tmp_path / "x.nii.gz", _image(shape=(4, 3, 2, 5))
    nifti.write(path, data, AFFINE)
    np.testing.assert_array_equal(nifti.read(path, channels=True).data, data)
    with pytest.raises(DataError, match=r"is 4-D \[4, 3, 2, 5\], expected 3-D"):
        nifti.read(path)


def test_trailing_dimensions_of_one_are_dropped(tmp_path):
    path, data = tmp_path / "x.nii", _image(shape=(4, 3, 2, 1))
    nifti.write(path, data, AFFINE)
    np.testing.assert_array_equal(nifti.read(path).data, data[..., 0])
    assert nifti.read(path, channels=True).data.shape == (4, 3, 2, 1)


def test_extensions_are_skipped(tmp_path):
    image = nibabel.Nifti1Image(_image(), AFFINE)
    comment = nibabel.nifti1.Nifti1Extension("comment", b"a word" * 99)
    image.header.extensions.append(comment)
    image.to_filename(tmp_path / "x.nii.gz")
    np.testing.assert_array_equal(nifti.read(tmp_path / "x.nii.gz").data, _image())


def test_gzip_members_in_a_row_are_one_file(tmp_path):
    content = _content()
    parts = gzip.compress(content[:500]) + gzip.compress(content[500:])
    path = _file(tmp_path, parts, "x.nii.gz")
    np.testing.assert_array_equal(nifti.read(path).data, _image())


def _same(volume, expected):
    return (
        np.array_equal(volume.data, expected.data)
        and volume.data.dtype == expected.data.dtype
        and np.array_equal(volume.affine, expected.affine)
    )


def test_no_flipped_bit_changes_a_compressed_image_silently(compressed):
    path, expected = compressed
    content = path.read_bytes()
    refused = 0
    for bit in np.random.default_rng(1).choice(8 * len(content), 300, replace=False):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            # What is left are flips that change neither voxels nor geometry.
            assert _same(nifti.read(path), expected), f"bit {bit} passed"
        except DataError as error:
            assert str(path) in str(error) and error.hint
            refused += 1
    assert refused > 250


def test_no_flipped_bit_of_the_gzip_header_or_trailer_passes(compressed):
    path, expected = compressed
    content = path.read_bytes()
    for bit in [*range(8 * 20), *range(8 * len(content) - 8 * 8, 8 * len(content))]:
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            assert _same(nifti.read(path), expected), f"bit {bit} passed"
            assert bit < 8 * 20, f"bit {bit} of the trailer is not checked"
        except DataError:
            pass


def test_any_flipped_bit_of_a_plain_header_gives_a_volume_or_a_data_error(tmp_path):
    content = _content()
    path = _file(tmp_path, content)
    with open(path, "r+b", buffering=0) as file:
        for byte, bit in itertools.product(range(352), range(8)):
            os.pwrite(file.fileno(), bytes([content[byte] ^ 1 << bit]), byte)
            try:
                assert nifti.read(path).data.size == _image().size
            except DataError as error:
                assert error.hint
            os.pwrite(file.fileno(), content[byte : byte + 1], byte)


@pytest.mark.parametrize("share", np.linspace(0, 0.999, 10))
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_truncated_files_are_refused(tmp_path, compressed, share, ending):
    content = compressed[0].read_bytes() if ending == ".nii.gz" else _content()
    path = _file(tmp_path, content[: int(share * len(content))], f"cut{ending}")
    with pytest.raises(DataError, match=f"cut{ending}.*: [^\n]+\n  hint: "):
        nifti.read(path)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_what_follows_the_voxels_is_refused(tmp_path, compressed, ending):
    content = compressed[0].read_bytes() if ending == ".nii.gz" else _content()
    with pytest.raises(DataError, match="end-of-stream|goes on behind the voxels"):
        nifti.read(_file(tmp_path, content + b"rubbish", f"long{ending}"))
    longer = gzip.compress(_content() + b"\0")
    with pytest.raises(DataError, match="goes on behind the voxels"):
        nifti.read(_file(tmp_path, longer, "long.nii.gz"))


SRAW = [v for row in AFFINE[:3] for v in row]
FLAT = [*SRAW[:8], 0, 0, 0, 0]
BROKEN = {
    "negative": ({"DIM": ("8h", 3, -7, 6, 5, 1, 1, 1, 1)}, r"dimensions are 3: \[-7"),
    "no axes": ({"DIM": ("h", 0)}, "dimensions are 0"),
    "nine axes": ({"DIM": ("h", 9)}, "dimensions are 9"),
    "absurd": (
        {"DIM": ("4h", 3, 30000, 30000, 30000)},
        "30000×30000×30000 are more than 268435456 voxels",
    ),
    "short": ({"DIM": ("4h", 3, 500, 500, 500)}, "too short for the 250000000 bytes"),
    "two axes": ({"DIM": ("8h", 2, 42, 5, 1, 1, 1, 1, 1)}, "is 2-D"),
    "rgb": ({"DATATYPE": ("hh", 128, 24)}, "its voxels are .*'R'.*"),
    "complex": ({"DATATYPE": ("hh", 32, 64)}, "its voxels are complex64"),
    "no dtype": ({"DATATYPE": ("h", 5)}, "data code 5 not recognized"),
    "bits": ({"BITPIX": ("h", 8)}, "declares 8 bits for int16"),
    "early": ({"VOX_OFFSET": ("f", 16)}, "header is wrong: vox offset 16 too low"),
    "offset 0": ({"VOX_OFFSET": ("f", 0)}, "voxels begin at byte 0"),
    "late": ({"VOX_OFFSET": ("f", 1e20)}, r"voxels begin at byte 1.*e\+20"),
    "no offset": ({"VOX_OFFSET": ("f", np.nan)}, "vox offset|begin at byte nan"),
    "fraction": ({"VOX_OFFSET": ("f", 352.5)}, "vox offset .* not divisible by 16"),
    "slope": ({"SLOPE": ("ff", np.inf, 0)}, "scaled by inf and 0"),
    "inter": ({"SLOPE": ("ff", 1, np.nan)}, "scaled by 1.0 and nan"),
    "overflow": ({"SLOPE": ("ff", 3e38, 0)}, "voxels are NaN or infinite"),
    "spacing": ({"PIXDIM": ("4f", 1, 1, 0, 1)}, "pixdim.* should be non-zero"),
    "affine": ({"SROW": ("f", np.nan)}, "affine maps no volume"),
    "far": ({"PIXDIM": ("3f", 1, 1, np.nan)}, "infinitely far apart"),
    "flat": ({"SROW": ("12f", *FLAT)}, "affine maps no volume"),
    "quaternion": ({"QUATERNION": ("3f", 1, 1, 1)}, "geometry is wrong: w2 should"),
    "unit": ({"UNITS": ("b", 3)}, "unit of length has code 3, mm is 2"),
    "magic": ({"MAGIC": ("4s", b"ab1")}, "magic string .* is not valid"),
    "pair": ({"MAGIC": ("4s", b"ni1\0")}, "header and voxels are two files"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_headers_are_refused(tmp_path, name):
    fields, message = BROKEN[name]
    path = _file(tmp_path, _content(**fields))
    with pytest.raises(DataError, match=message) as caught:
        nifti.read(path)
    assert caught.value.args[0].startswith(str(path)) and caught.value.hint


def test_max_voxels_is_the_limit(tmp_path):
    path = _file(tmp_path, _content())
    assert nifti.read(path, max_voxels=210).data.size == 210
    with pytest.raises(DataError, match="7×6×5 are more than 209 voxels"):
        nifti.read(path, max_voxels=209)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_no_numbers_are_refused(tmp_path, value):
    data = _image("float32")
    data[1, 2, 3] = data[0, 0, 0] = value
    nibabel.Nifti1Image(data, AFFINE).to_filename(tmp_path / "x.nii.gz")
    with pytest.raises(DataError, match=r"x.nii.gz: 2 voxels are NaN or infinite"):
        nifti.read(tmp_path / "x.nii.gz")


def test_what_is_no_file_or_no_nifti_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"absent.nii.gz: there is no such file"):
        nifti.read(tmp_path / "absent.nii.gz")
    with pytest.raises(DataError, match="there is no such file"):
        nifti.read(tmp_path)
    with pytest.raises(DataError, match="is not a NIfTI file"):
        nifti.read(_file(tmp_path, b"\x89PNG" * 100))
    with pytest.raises(DataError, match="is not a NIfTI file"):
        nifti.read(_file(tmp_path, b""))


def test_an_unreadable_file_is_refused(tmp_path, monkeypatch):
    path = _file(tmp_path, _content())

    def fail(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", fail)
    with pytest.raises(DataError, match="cannot be read: Permission denied.*\n.*perm"):
        nifti.read(path)


def test_forms_that_disagree_are_noted(tmp_path):
    # The last voxel along z is 4 slices up: 4 · 0.01 mm away.
    row = struct.pack("<4f", 0, 0, 3.01, -72)
    content = bytearray(_content())
    content[SROW + 32 : SROW + 48] = row
    volume = nifti.read(_file(tmp_path, content))
    assert volume.notes == ("sform and qform are 0.04 mm apart: sform is used",)
    assert volume.affine[2, 2] == pytest.approx(3.01)


def test_a_missing_orientation_is_noted(tmp_path):
    path = _file(tmp_path, _content(QFORM_CODE=("hh", 0, 0)))
    assert "no sform and no qform" in nifti.read(path).notes[0]


def test_qform_is_used_alone(tmp_path):
    path = _file(tmp_path, _content(SFORM_CODE=("h", 0), SROW=("12f", *[9] * 12)))
    np.testing.assert_allclose(nifti.read(path).affine, AFFINE, atol=1e-4)


def test_distance_is_that_of_the_farthest_voxel():
    # One degree about the origin: the corner (3, 4, 0) moves 2 · 5 · sin(0.5°).
    c, s = np.cos(np.pi / 180), np.sin(np.pi / 180)
    turned = np.eye(4)
    turned[:2, :2] = [[c, -s], [s, c]]
    expected = 10 * np.sin(np.pi / 360)
    assert nifti.distance_mm(turned, np.eye(4), (4, 5, 6)) == pytest.approx(expected)
    shifted = np.eye(4)
    shifted[:3, 3] = 3, 0, 4
    assert nifti.distance_mm(shifted, np.eye(4), (4, 5, 6)) == pytest.approx(5)


_READ_IN_A_CHILD = """
import resource, sys, time
from jaxsyn.data import nifti
from jaxsyn.errors import DataError
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before, start = peak(), time.process_time()
try:
    nifti.read(sys.argv[1])
except DataError as error:
    print(time.process_time() - start, peak() - before, error.args[0])
"""


def _bomb(fields, zeros, members=1):
    """A .nii.gz of a header and very many zeros, or of members that hold nothing."""
    block = gzip.compress(bytes(zeros), 9)
    return gzip.compress(_content(**fields)[:352]) + block * members


BOMBS = {
    # 512 MiB behind a small image.
    "behind": ({}, 2**24, 32, "goes on behind"),
    "offset": ({"VOX_OFFSET": ("f", 2.0**30)}, 2**24, 32, "begin at byte"),
    "header": ({"DIM": ("4h", 3, 30000, 30000, 30000)}, 2**24, 32, "30000×30000"),
    "short": ({"DIM": ("4h", 3, 600, 600, 600)}, 0, 1, "too short"),
    "members": ({}, 0, 10**5, "bytes of voxels"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_at_once_and_in_little_memory(tmp_path, name):
    fields, zeros, members, message = BOMBS[name]
    path = _file(tmp_path, _bomb(fields, zeros, members), "bomb.nii.gz")
    command = [sys.executable, "-c", _READ_IN_A_CHILD, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, mebibytes, error = done.stdout.split(maxsplit=2)
    assert message in error
    assert float(seconds) < 1
    assert int(mebibytes) < 64


def test_reads_real_cases_as_nibabel_does(real_data):
    for path in itertools.islice(sorted(real_data.glob("*/*/*.nii.gz")), 5):
        volume, image = nifti.read(path), nibabel.load(path)
        np.testing.assert_array_equal(volume.data, np.asanyarray(image.dataobj))
        np.testing.assert_array_equal(volume.affine, image.affine)
