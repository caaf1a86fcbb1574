import struct
import zlib

import numpy as np
from PIL import Image
import pytest

from jaxsyn.data import pictures2d
from jaxsyn.data.grid import Grid
from jaxsyn.errors import DataError


def _picture(dtype="uint8", shape=(5, 7)):
    return np.random.default_rng(0).integers(0, 100, shape).astype(dtype)


def _shown(volume):
    """A volume's one slice as an axial one is shown, [H, W] or [H, W, C]."""
    foreground = np.ones(volume.data.shape[:3], bool)
    grid = Grid.lay(volume.affine, foreground, size=16)
    if volume.data.ndim == 3:
        return grid.orient(volume.data)[0]
    channels = np.moveaxis(volume.data, -1, 0)
    return np.stack([grid.orient(channel)[0] for channel in channels], axis=-1)


def _chunk(kind, content):
    body = kind + content
    length, checksum = len(content), zlib.crc32(body)
    return length.to_bytes(4, "big") + body + checksum.to_bytes(4, "big")


def _png(rows, *, width=None, depth=8, colour=0):
    """A PNG's bytes, from the bytes of its rows."""
    packed = zlib.compress(b"".join(b"\0" + row for row in rows))
    size = struct.pack(">II", width or len(rows[0]), len(rows))
    header = _chunk(b"IHDR", size + bytes([depth, colour, 0, 0, 0]))
    pixels = _chunk(b"IDAT", packed)
    return b"\x89PNG\r\n\x1a\n" + header + pixels + _chunk(b"IEND", b"")


def _write(folder, content, name="x.png"):
    path = folder / name
    path.write_bytes(content)
    return path


def _save(folder, pixels, mode=None, **options):
    path = folder / "x.png"
    Image.fromarray(pixels, mode).save(path, **options)
    return path


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_picture_is_one_slice_that_lies_as_viewers_show_it(tmp_path, dtype):
    scale = 600 if dtype == "uint16" else 1
    picture = _picture(dtype) * np.array(scale, dtype)
    volume = pictures2d.read(_save(tmp_path, picture))
    assert volume.data.shape == (7, 5, 1) and volume.data.dtype == dtype
    np.testing.assert_array_equal(_shown(volume), picture)
    assert volume.spacing_mm == (1, 1, 1) and volume.notes == ()
    assert not volume.data.flags.writeable


def test_an_array_lies_as_the_picture_of_the_same_pixels(tmp_path):
    np.save(tmp_path / "x.npy", _picture())
    array = pictures2d.read(tmp_path / "x.npy")
    picture = pictures2d.read(_save(tmp_path, _picture()))
    np.testing.assert_array_equal(array.data, picture.data)
    np.testing.assert_array_equal(array.affine, picture.affine)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_grey_of_few_bits_is_not_stretched(tmp_path, depth):
    values = np.arange(16).reshape(2, 8) % 2**depth
    bits = (values[..., None] >> np.arange(depth)[::-1]) & 1
    rows = [np.packbits(row).tobytes() for row in bits.reshape(2, -1)]
    path = _write(tmp_path, _png(rows, width=8, depth=depth))
    volume = pictures2d.read(path)
    assert volume.data.dtype == np.uint8
    np.testing.assert_array_equal(_shown(volume), values)


def test_a_palette_gives_its_indices_whatever_its_colours(tmp_path):
    labels = _picture() % 4
    image = Image.fromarray(labels)
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 7, 7, 7])
    image.save(tmp_path / "x.png", bits=2, transparency=0)
    assert Image.open(tmp_path / "x.png").mode == "P"
    volume = pictures2d.read(tmp_path / "x.png")
    np.testing.assert_array_equal(_shown(volume), labels)


def test_colours_that_are_all_grey_are_read_as_grey(tmp_path):
    grey = np.stack([_picture()] * 3, axis=-1)
    opaque = np.full((5, 7, 1), 255, np.uint8)
    for pixels in (grey, np.concatenate([grey, opaque], -1)):
        path = _save(tmp_path, pixels)
        np.testing.assert_array_equal(_shown(pictures2d.read(path)), _picture())
    path = _save(tmp_path, np.concatenate([grey[..., :1], opaque], -1), "LA")
    np.testing.assert_array_equal(_shown(pictures2d.read(path)), _picture())


def test_colour_and_transparency_are_refused(tmp_path):
    colour = np.stack([_picture()] * 3, axis=-1)
    colour[4, 6, 2] += 1
    with pytest.raises(DataError, match="x.png: is in colour.*\n.*label values"):
        pictures2d.read(_save(tmp_path, colour))
    alpha = np.full((5, 7, 4), 255, np.uint8)
    alpha[0, 0, 3] = 254
    with pytest.raises(DataError, match="has transparent pixels"):
        pictures2d.read(_save(tmp_path, alpha))
    with pytest.raises(DataError, match="declares a colour to be transparent"):
        pictures2d.read(_save(tmp_path, _picture(), transparency=3))


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_all_channels_are_read_when_asked_for(tmp_path, count):
    pixels = _picture(shape=(5, 7, count))
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[count]
    path = _save(tmp_path, pixels[..., 0] if count == 1 else pixels, mode)
    volume = pictures2d.read(path, channels=True)
    assert volume.data.shape == (7, 5, 1, count)
    np.testing.assert_array_equal(_shown(volume), pixels)
    with pytest.raises(DataError, match=f"7×5×1×{count} are more than 34 voxels"):
        pictures2d.read(path, channels=True, max_voxels=34)


def test_colours_of_16_bits_are_refused_not_rounded(tmp_path):
    path = _write(tmp_path, _png([bytes(12)] * 2, width=2, depth=16, colour=2))
    for channels in (False, True):
        with pytest.raises(DataError, match="several channels of 16 bits"):
            pictures2d.read(path, channels=channels)


def test_an_animation_is_refused(tmp_path):
    first, second = (Image.fromarray(_picture() + i) for i in (0, 1))
    first.save(tmp_path / "x.png", save_all=True, append_images=[second])
    with pytest.raises(DataError, match="is an animation"):
        pictures2d.read(tmp_path / "x.png")


ROWS = [bytes(range(7))] * 5
WHOLE = _png(ROWS)
BROKEN = {
    "nothing": (b"", "is no PNG and no .npy file"),
    "jpeg": (b"\xff\xd8\xff\xe0" * 9, "is no PNG and no .npy file"),
    "start": (WHOLE[:20], "does not begin with a header"),
    "order": (WHOLE[:8] + _chunk(b"tEXt", b"x" * 13), "does not begin with a header"),
    "colour": (_png(ROWS, colour=5), "its colour type is 5"),
    "depth": (_png(ROWS, depth=3), "cannot be decoded"),
    "empty": (_png([b"", b""]), r"its dimensions are 4: \[0, 2, 1, 1\]"),
    "huge": (_png(ROWS, width=2**31 - 1), "2147483647×5×1×1 are more than 268435456"),
    "cut": (WHOLE[:-1], "ends early, or is damaged, by byte"),
    "no end": (WHOLE[:-12], "ends early"),
    "cut pixels": (WHOLE[:50], "ends early"),
    "long": (WHOLE + b"x", "goes on behind the end of its pixels"),
    "few pixels": (_png(ROWS, width=70), "cannot be decoded: image file is truncated"),
    "far too few": (_png(ROWS, width=70000), "too short for the 350000 bytes"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_pngs_are_refused(tmp_path, name):
    content, message = BROKEN[name]
    with pytest.raises(DataError, match=message) as caught:
        pictures2d.read(_write(tmp_path, content))
    assert caught.value.args[0].startswith(str(tmp_path)) and caught.value.hint


def test_no_flipped_bit_passes(tmp_path):
    for bit in np.random.default_rng(1).choice(8 * len(WHOLE), 200, replace=False):
        damaged = bytearray(WHOLE)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DataError):
            pictures2d.read(_write(tmp_path, damaged))


@pytest.mark.filterwarnings("error")
def test_wrong_content_with_right_checksums_is_a_data_error_or_a_picture(tmp_path):
    rng, refused = np.random.default_rng(2), 0
    packed = zlib.compress(b"".join(b"\0" + row for row in ROWS))
    for _ in range(300):
        content = bytearray(packed)
        content[rng.integers(len(content))] ^= rng.integers(1, 256)
        header = bytearray(WHOLE[16:29])
        header[rng.integers(4, 13)] ^= rng.integers(0, 3)
        kind = rng.choice([b"tEXt", b"zTXt", b"iCCP", b"pHYs", b"tRNS", b"acTL"])
        other = _chunk(kind, rng.bytes(rng.integers(0, 20)))
        end = _chunk(b"IDAT", bytes(content)) + _chunk(b"IEND", b"")
        start = WHOLE[:8] + _chunk(b"IHDR", bytes(header))
        try:
            assert pictures2d.read(_write(tmp_path, start + other + end)).data.ndim == 3
        except DataError as error:
            assert error.hint
            refused += 1
    assert refused > 200


def test_pillow_has_a_limit_too(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(DataError, match="cannot be decoded: Image size .35 pixels"):
        pictures2d.read(_write(tmp_path, WHOLE))


def _header(shape):
    """A .npy file's header, as long as numpy reads it."""
    text = b"{'descr': '|u1', 'fortran_order': False, 'shape': %s, }" % shape
    text = text.ljust(9999) + b"\n"
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text


def _array(folder, array):
    np.save(folder / "x.npy", array)
    return folder / "x.npy"


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ("bool", "uint8"),
        ("int8", "int8"),
        (">i2", "int16"),
        (">f8", "float64"),
        ("float16", "float32"),
        (">f2", "float32"),
        ("uint64", "uint64"),
    ],
)
@pytest.mark.parametrize("order", "CF")
def test_arrays_of_numbers_are_read(tmp_path, stored, read, order):
    array = np.asarray(_picture(stored), order=order)
    volume = pictures2d.read(_array(tmp_path, array))
    assert volume.data.dtype == read and not volume.data.flags.writeable
    np.testing.assert_array_equal(_shown(volume), array.astype(read))


def test_an_array_of_three_axes_is_a_volume_or_has_channels(tmp_path):
    array = _picture(shape=(7, 6, 5))
    path = _array(tmp_path, array)
    volume = pictures2d.read(path)
    np.testing.assert_array_equal(volume.data, array)
    np.testing.assert_array_equal(volume.affine, np.eye(4))
    assert "no geometry" in volume.notes[0]
    volume = pictures2d.read(path, channels=True)
    assert volume.data.shape == (6, 7, 1, 5)
    np.testing.assert_array_equal(_shown(volume), array)


def test_an_array_of_four_axes_is_a_volume_with_channels(tmp_path):
    array = _picture(shape=(7, 6, 5, 2))
    path = _array(tmp_path, np.asfortranarray(array))
    np.testing.assert_array_equal(pictures2d.read(path, channels=True).data, array)
    with pytest.raises(DataError, match="is 4-D .* expected 3-D"):
        pictures2d.read(path)
    path = _array(tmp_path, array[..., :1])
    np.testing.assert_array_equal(pictures2d.read(path).data, array[..., 0])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (_picture(shape=(7,)), "is 1-D"),
        (np.array(3), r"its dimensions are 0: \[\]"),
        (_picture(shape=(0, 4)), r"its dimensions are 3: \[0, 4, 1\]"),
        (_picture(shape=(7, 5, 3)), "may be a picture's rows, columns, channels"),
        (_picture("complex64"), "it holds complex64"),
        (_picture("U3"), "it holds <U3"),
        (_picture("O"), "it holds object"),
        (_picture("m8[s]"), "it holds timedelta64"),
        (np.zeros((2, 2), [("a", "u1")]), "its format is .npy|it holds"),
        (np.array([[1, np.nan]]), "1 voxels are NaN or infinite"),
    ],
)
def test_other_arrays_are_refused(tmp_path, array, message):
    with pytest.raises(DataError, match=message) as caught:
        pictures2d.read(_array(tmp_path, array))
    assert caught.value.hint


def test_arrays_whose_header_and_size_disagree_are_refused(tmp_path):
    path = _array(tmp_path, _picture())
    content = path.read_bytes()

    def replaced(shape):
        old = b"(5, 7), }"
        return content.replace(old.ljust(len(shape)), shape.ljust(len(old)))

    for damaged, message in (
        (content[:-1], "too short for the 35 bytes"),
        (content + b"\0", "goes on behind the voxels"),
        (content[:6], r"format is .npy \(\)"),
        (content[:40], "header cannot be read"),
        (content[:6] + b"\2" + content[7:], r"format is .npy \(2, 0\)"),
        (replaced(b"(5,-7), }"), r"its dimensions are 3: \[5, -7, 1\]"),
        (replaced(b"(5e,7), }"), "header cannot be read"),
        (replaced(b"(5, 7**9), }"), "header cannot be read"),
        (replaced(b"(((5, 7), }"), "header cannot be read"),
        (_header(b"-" * 9000 + b"1"), "header cannot be read"),
        (_header(b"[1]" * 3000), "header cannot be read"),
        (replaced(b"(5, 70000), }"), "too short for the 350000 bytes"),
        (replaced(b"(5, 7000000000), }"), "5×7000000000×1 are more than"),
    ):
        assert damaged != content
        with pytest.raises(DataError, match=message):
            pictures2d.read(_write(tmp_path, damaged, "x.npy"))
