import tracemalloc
import zlib

import numpy as np
import pytest

from jaxsyn.data import metaimage, voxels
from jaxsyn.errors import DataError

# Axes that point to the patient's posterior, right and superior: in the file's space
# of left, posterior and superior these are (0, 1, 0), (-1, 0, 0) and (0, 0, 1).
FIELDS = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False",
    "TransformMatrix": "0 1 0 -1 0 0 0 0 1",
    "Offset": "10 20 30",
    "CenterOfRotation": "0 0 0",
    "AnatomicalOrientation": "PRI",
    "ElementSpacing": "1 2 3",
    "DimSize": "4 3 2",
    "ElementType": "MET_SHORT",
    "ElementDataFile": "LOCAL",
}
AFFINE = [[0, 2, 0, -10], [-1, 0, 0, -20], [0, 0, 3, 30], [0, 0, 0, 1]]


def _image(dtype="int16", shape=(4, 3, 2)):
    return np.random.default_rng(0).integers(0, 100, shape).astype(dtype)


def _header(**fields):
    """A header's bytes, with some fields replaced, or dropped where None."""
    fields = {key: value for key, value in (FIELDS | fields).items() if value}
    fields["ElementDataFile"] = fields.pop("ElementDataFile")  # The last one.
    return "".join(f"{key} = {value}\n" for key, value in fields.items()).encode()


def _write(folder, content=None, **fields):
    path = folder / "x.mha"
    content = _image().tobytes("F") if content is None else content
    path.write_bytes(_header(**fields) + content)
    return path


def _write_two(folder, name="x.raw", content=None, **fields):
    """A header that names `name`, and the voxels in x.raw."""
    content = _image().tobytes("F") if content is None else content
    path = folder / "x.mhd"
    path.write_bytes(_header(ElementDataFile=name, **fields))
    (folder / "x.raw").write_bytes(content)
    return path


def test_voxels_and_geometry_are_read(tmp_path):
    volume = metaimage.read(_write(tmp_path))
    assert volume.data.dtype == np.int16 and not volume.data.flags.writeable
    np.testing.assert_array_equal(volume.data, _image())
    np.testing.assert_array_equal(volume.affine, AFFINE)
    assert volume.spacing_mm == (1, 2, 3) and volume.notes == ()


@pytest.mark.parametrize("msb", ["False", "true"])
@pytest.mark.parametrize(("name", "code"), metaimage._DTYPES.items())
def test_every_number_is_read_in_both_byte_orders(tmp_path, name, code, msb):
    dtype = np.dtype(code).newbyteorder("<" if msb == "False" else ">")
    content = _image().astype(dtype).tobytes("F")
    fields = {"ElementType": name, "BinaryDataByteOrderMSB": msb}
    volume = metaimage.read(_write(tmp_path, content, **fields))
    assert volume.data.dtype == np.dtype(code)
    np.testing.assert_array_equal(volume.data, _image())


def test_a_long_has_four_bytes(tmp_path):
    content = _image("<i4").tobytes("F")
    for name in ("MET_LONG", "MET_ULONG"):
        volume = metaimage.read(_write(tmp_path, content, ElementType=name))
        np.testing.assert_array_equal(volume.data, _image())


def test_a_fourth_axis_is_one_of_channels(tmp_path):
    data = _image(shape=(4, 3, 2, 5))
    matrix = "0 1 0 0 -1 0 0 0 0 0 1 0 0 0 0 1"
    fields = {"NDims": "4", "DimSize": "4 3 2 5", "TransformMatrix": matrix}
    fields |= {"ElementSpacing": "1 2 3 1", "Offset": "10 20 30 0"}
    path = _write(tmp_path, data.tobytes("F"), **fields)
    volume = metaimage.read(path, channels=True)
    np.testing.assert_array_equal(volume.data, data)
    np.testing.assert_array_equal(volume.affine, AFFINE)
    with pytest.raises(DataError, match=r"is 4-D \[4, 3, 2, 5\], expected 3-D"):
        metaimage.read(path)
    path = _write(tmp_path, **(fields | {"DimSize": "4 3 2 1"}))
    np.testing.assert_array_equal(metaimage.read(path).data, _image())


def test_channels_of_each_voxel_are_a_last_axis(tmp_path):
    data = _image(shape=(4, 3, 2, 3))
    content = np.moveaxis(data, -1, 0).tobytes("F")
    path = _write(tmp_path, content, ElementNumberOfChannels="3")
    volume = metaimage.read(path, channels=True)
    np.testing.assert_array_equal(volume.data, data)
    with pytest.raises(DataError, match="ElementNumberOfChannels is 3, expected 1"):
        metaimage.read(path)
    with pytest.raises(DataError, match="is 3-D .* expected 4-D"):
        metaimage.read(_write(tmp_path), channels=True)
    flat = {"NDims": "2", "DimSize": "4 3", "ElementNumberOfChannels": "2"}
    with pytest.raises(DataError, match="is 2-D"):
        metaimage.read(_write(tmp_path, **flat), channels=True)


def test_synonyms_are_understood(tmp_path):
    fields = {
        "Rotation": FIELDS["TransformMatrix"],
        "TransformMatrix": None,
        "Position": FIELDS["Offset"],
        "Offset": None,
        "ElementByteOrderMSB": "True",
        "BinaryDataByteOrderMSB": None,
        "ElementSize": FIELDS["ElementSpacing"],
        "ElementSpacing": None,
    }
    volume = metaimage.read(_write(tmp_path, _image(">i2").tobytes("F"), **fields))
    np.testing.assert_array_equal(volume.data, _image())
    np.testing.assert_array_equal(volume.affine, AFFINE)
    same = _write(tmp_path, Origin=FIELDS["Offset"], ElementSize="9 9 9")
    np.testing.assert_array_equal(metaimage.read(same).affine, AFFINE)
    with pytest.raises(DataError, match="gives Offset and Position and Origin, and"):
        metaimage.read(_write(tmp_path, Origin="0 0 0"))


def test_a_missing_orientation_is_noted(tmp_path):
    path = _write(tmp_path, TransformMatrix=None, Offset=None)
    volume = metaimage.read(path)
    assert "no TransformMatrix" in volume.notes[0]
    np.testing.assert_array_equal(volume.affine, np.diag([-1, -2, 3, 1]))


def test_lines_may_end_as_on_windows(tmp_path):
    path = tmp_path / "x.mha"
    header = b"\r\n" + _header().replace(b"\n", b"\r\n").replace(b" = ", b"=")
    path.write_bytes(header + _image().tobytes("F"))
    np.testing.assert_array_equal(metaimage.read(path).data, _image())


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("size", ["0", "5", "-1"])
def test_voxels_are_read_from_the_file_beside(tmp_path, size, compressed):
    content = _image().tobytes("F")
    content = zlib.compress(content) if compressed else content
    ahead = bytes({"-1": 9}.get(size, int(size)))
    fields = {"HeaderSize": size, "CompressedData": str(compressed)}
    path = _write_two(tmp_path, content=ahead + content, **fields)
    if compressed and size == "-1":
        with pytest.raises(DataError, match=r"x.raw"):
            metaimage.read(path)
        return
    volume = metaimage.read(path)
    np.testing.assert_array_equal(volume.data, _image())
    assert volume.path == path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../x.raw", "voxels are in another folder: ../x.raw"),
        ("/etc/passwd", "voxels are in another folder: /etc/passwd"),
        ("..\\x.raw", "voxels are in another folder"),
        ("folder/x.raw", "voxels are in another folder"),
        (".", "voxels are in another folder"),
        ("..", "there is no such file"),
        ("x\0.raw", "there is no such file"),
        ("x" * 300, "cannot be read: File name too long"),
        ("y.raw", r"y.raw: there is no such file.*\n.*one folder"),
        ("LIST", "voxels are in several files: LIST"),
        ("x%03d.raw 1 2 1", "voxels are in several files"),
    ],
)
def test_only_one_file_beside_is_read(tmp_path, name, message):
    folder = tmp_path / "case"
    folder.mkdir()
    for other in (tmp_path, folder):
        (other / "x.raw").write_bytes(_image().tobytes("F"))
    with pytest.raises(DataError, match=message) as caught:
        metaimage.read(_write_two(folder, name))
    assert caught.value.hint


BROKEN = {
    "object": ({"ObjectType": "Mesh"}, "ObjectType is Mesh, expected image"),
    "text": ({"BinaryData": "False"}, "BinaryData is False, expected true"),
    "unit": ({"DistanceUnits": "cm"}, "DistanceUnits is cm, expected mm"),
    "no axes": ({"NDims": "0"}, "NDims is 0"),
    "many axes": ({"NDims": "1000000"}, "NDims is 1000000"),
    "half an axis": ({"NDims": "2.5"}, "NDims is 2.5, expected 1 numbers"),
    "two axes": ({"NDims": "2", "DimSize": "4 6"}, r"is 2-D \[4, 6\], expected 3-D"),
    "few sides": ({"DimSize": "4 3"}, "DimSize is 4 3, expected 3 numbers"),
    "words": ({"DimSize": "4 3 two"}, "DimSize is 4 3 two, expected 3 numbers"),
    "negative": ({"DimSize": "4 -3 2"}, r"its dimensions are 3: \[4, -3, 2\]"),
    "absurd": (
        {"DimSize": "30000 30000 30000"},
        "30000×30000×30000 are more than 268435456 voxels",
    ),
    "endless": ({"DimSize": f"{10**400} 3 2"}, "DimSize is 1000.*, expected 3"),
    "short": ({"DimSize": "500 500 500"}, "too short for the 250000000 bytes"),
    "thin": (
        {"DimSize": "500 500 500", "CompressedData": "True"},
        "too short for the 250000000 bytes",
    ),
    "no sides": ({"DimSize": None}, "its header has no DimSize"),
    "no type": ({"ElementType": None}, "its header has no ElementType"),
    "no spacing": ({"ElementSpacing": None}, "its header has no ElementSpacing"),
    "type": ({"ElementType": "MET_STRING"}, "its voxels are MET_STRING, expected one"),
    "channels": ({"ElementNumberOfChannels": "0"}, "NumberOfChannels is 0, expected 1"),
    "spacing": ({"ElementSpacing": "1 0 1"}, r"ElementSpacing is \[1.0, 0.0, 1.0\]"),
    "no number": ({"ElementSpacing": "1 nan 1"}, "ElementSpacing is 1 nan 1, expected"),
    "far": ({"Offset": "0 inf 0"}, "Offset is 0 inf 0, expected 3 numbers"),
    "flat": ({"TransformMatrix": "1 0 0 0 1 0 1 1 0"}, "affine maps no volume"),
    "zero": ({"TransformMatrix": " ".join("0" * 9)}, "affine maps no volume"),
    "order": ({"BinaryDataByteOrderMSB": "maybe"}, "MSB is maybe, expected True"),
    "zlib": ({"CompressedData": "2"}, "CompressedData is 2, expected True or False"),
    "start": ({"HeaderSize": "5"}, "HeaderSize is 5, expected 0 in a single file"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_headers_are_refused(tmp_path, name):
    fields, message = BROKEN[name]
    path = _write(tmp_path, **fields)
    with pytest.raises(DataError, match=message) as caught:
        metaimage.read(path)
    assert caught.value.args[0].startswith(str(path)) and caught.value.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no ElementDataFile"),
        (b"\x89PNG\r\n\x1a\n" * 9, "is no line of its header"),
        (b"NDims = 3\nNDims = 3\n", "its header has NDims twice"),
        (b"NDims 3\n", "'NDims 3' is no line"),
        (b"NDims =\nElementDataFile = LOCAL\n", "its header has no NDims"),
        (_header(ElementDataFile=" "), "its header has no ElementDataFile"),
        (_header()[:-24], "no ElementDataFile"),
        (b"Comment = " + b"x" * 2**21 + b"\n" + _header(), "no ElementDataFile"),
        (b"\n" * 2**21 + _header(), "no ElementDataFile"),
    ],
)
def test_what_is_no_header_is_refused(tmp_path, content, message):
    path = tmp_path / "x.mha"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        metaimage.read(path)


def test_other_starts_of_the_voxels_are_refused(tmp_path):
    with pytest.raises(DataError, match="HeaderSize is -2"):
        metaimage.read(_write_two(tmp_path, HeaderSize="-2"))
    with pytest.raises(DataError, match="x.raw: too short"):
        metaimage.read(_write_two(tmp_path, HeaderSize=str(10**15)))


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_voxels_that_are_no_numbers_are_refused(tmp_path, value):
    data = _image("float32")
    data[1, 2, 1] = value
    path = _write(tmp_path, data.tobytes("F"), ElementType="MET_FLOAT")
    with pytest.raises(DataError, match="1 voxels are NaN or infinite"):
        metaimage.read(path)


def test_streams_of_another_length_are_refused(tmp_path):
    content = _image().tobytes("F")
    whole = zlib.compress(content)
    damaged = whole[:-1] + bytes([whole[-1] ^ 1])
    for packed, message in (
        (whole[:-1], "ends before the checksum"),
        (whole[:-6], "holds .. of 48 bytes|ends before the checksum"),
        (damaged, "Incorrect checksum"),
        (whole + b"\0", "goes on behind the voxels"),
        (zlib.compress(content + b"\0"), "goes on behind the voxels"),
        (zlib.compress(content[:-1]), "holds 47 of 48 bytes"),
    ):
        with pytest.raises(DataError, match=message):
            metaimage.read(_write(tmp_path, packed, CompressedData="True"))
    with pytest.raises(DataError, match="goes on behind the voxels"):
        metaimage.read(_write(tmp_path, content + b"\0"))


def test_a_bomb_takes_no_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(voxels, "_PIECE", 2**12)
    bomb = zlib.compress(bytes(2**24))
    path = _write(tmp_path, bomb, CompressedData="True")
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="goes on behind the voxels"):
            metaimage.read(path)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def _itk_image(sitk, dtype):
    """A turned image [5, 4, 3] of ITK, its voxels, and its affine to RAS."""
    data = _image(dtype, (5, 4, 3))
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.T))
    transform = sitk.Euler3DTransform((0, 0, 0), 0.3, -0.2, 2.0)
    image.SetDirection(transform.GetMatrix())
    image.SetSpacing((0.9, 1.1, 6.5))
    image.SetOrigin((-90.5, 126.25, -72))
    corners = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    places = np.array([image.TransformIndexToPhysicalPoint(i) for i in corners])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = (places[1:] - places[0]).T, places[0]
    return image, data, np.diag([-1, -1, 1, 1]) @ affine


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", ["x.mha", "x.mhd"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int64", "float32"])
def test_equals_what_itk_wrote(tmp_path, dtype, name, compressed):
    sitk = pytest.importorskip("SimpleITK")
    image, data, affine = _itk_image(sitk, dtype)
    sitk.WriteImage(image, tmp_path / name, useCompression=compressed)
    volume = metaimage.read(tmp_path / name)
    assert volume.data.dtype == dtype
    np.testing.assert_array_equal(volume.data, data)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-9)


def test_itk_reads_the_files_of_these_tests_alike(tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    content = zlib.compress(_image(">i2").tobytes("F"))
    fields = {"CompressedData": "True", "CompressedDataSize": str(len(content))}
    fields["BinaryDataByteOrderMSB"] = "True"
    path = _write(tmp_path, content, **fields)
    image, volume = sitk.ReadImage(path), metaimage.read(path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image).T, volume.data)
    last = image.TransformIndexToPhysicalPoint((3, 2, 1))
    expected = np.diag([-1, -1, 1]) @ last
    np.testing.assert_allclose((volume.affine @ (3, 2, 1, 1))[:3], expected)


@pytest.mark.parametrize("is_vector", [False, True])
def test_channels_equal_those_of_itk(tmp_path, is_vector):
    sitk = pytest.importorskip("SimpleITK")
    data = _image(shape=(5, 4, 3, 2))
    order = (2, 1, 0, 3) if is_vector else (3, 2, 1, 0)
    array = np.ascontiguousarray(data.transpose(order))
    image = sitk.GetImageFromArray(array, isVector=is_vector)
    sitk.WriteImage(image, tmp_path / "x.mha", useCompression=True)
    volume = metaimage.read(tmp_path / "x.mha", channels=True)
    np.testing.assert_array_equal(volume.data, data)
