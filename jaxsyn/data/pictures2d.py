"""Pictures of one slice, in `.png` and `.npy` files, and volumes in `.npy` files.

Such files know no space. A picture is laid so that as an axial slice (see `grid`) it
lies as viewers show it, the first row on top, and its pixels are 1 mm wide.
"""

import math
from pathlib import Path
import struct
import zlib

import numpy as np
from PIL import Image

from jaxsyn.data import voxels
from jaxsyn.data.voxels import DAMAGED, LPS, MAX_VOXELS, Volume, refuse

_PNG, _NPY = b"\x89PNG\r\n\x1a\n", b"\x93NUMPY"
_GREY, _PALETTE = 0, 3  # Colour types of PNG.
_CHANNELS = {_GREY: 1, 2: 3, _PALETTE: 1, 4: 2, 6: 4}
_PIECE = 2**18
_IN_GREY = (
    "Save it in grey; a label map as label values, not colours. If its channels are"
    " images of their own, choose a source that says so."
)
_AS_NIFTI = "Save it as NIfTI, which says what its axes are."
_SAVE = "Save it anew: numpy.save(path, array) with an array of numbers."


def read(
    path: str | Path, *, channels: bool = False, max_voxels: int = MAX_VOXELS
) -> Volume:
    """Reads a PNG, or an array that numpy saved.

    A palette's indices are read, not its colours, and grey of less than 8 bits is
    not stretched: these are label maps. Truth values become uint8, float16 float32.

    Args:
      path: The file. An array is a picture [H, W] or a volume [X, Y, Z], whose axes
        are taken to point right, anterior and superior.
      channels: Whether the volume gets a last axis, of the channels that a PNG
        stores, alpha included, or of an array [H, W, C] or [X, Y, Z, C].
      max_voxels: A larger image is refused before memory is taken for it.

    Returns:
      A volume; one slice [W, H, 1] of it for pictures.

    Raises:
      DataError: The file is missing or damaged, or holds what is no such image: in
        colour or transparent (without channels), of other axes, not finite.
    """
    path = Path(path)
    affine, notes = LPS.copy(), ()
    with voxels.opened(path) as file:
        start = file.peek(len(_PNG))
        if start.startswith(_PNG):
            data = _png(path, file, channels, max_voxels)
        elif start.startswith(_NPY):
            data = _npy(path, file, channels, max_voxels)
        else:
            refuse(path, "is no PNG and no .npy file", "Convert it to PNG or NIfTI.")
    if data.ndim == (4 if channels else 3):
        affine = np.eye(4)
        notes = ("a .npy file has no geometry: orientation and spacing are a guess",)
    else:
        data = data.swapaxes(0, 1)[:, :, None]
    voxels.check_finite(path, data)
    data.flags.writeable = False
    return Volume(data=data, affine=affine, path=path, notes=notes)


def _png(path, file, channels, max_voxels):
    """[H, W], or with channels [H, W, C]."""
    depth, colour = _png_header(path, file, max_voxels)
    _check_chunks(path, file)
    data = _decode(path, file, colour)
    if colour == _GREY and depth in (2, 4):
        data //= 255 // (2**depth - 1)  # Pillow stretches these.
    data = data.astype(np.uint16 if depth == 16 else np.uint8)
    if channels:
        return data.reshape(*data.shape[:2], -1)
    return data if data.ndim == 2 else _grey(path, data)


def _decode(path, file, colour):
    file.seek(0)
    try:
        with Image.open(file, formats=["PNG"]) as image:
            frames, about, data = image.n_frames, image.info, np.array(image)
    except Exception as error:  # Of damaged files Pillow raises almost anything.
        refuse(path, f"cannot be decoded: {error}", DAMAGED)
    if frames > 1:
        refuse(path, "is an animation", "Save each picture in a file of its own.")
    if colour != _PALETTE and "transparency" in about:
        refuse(path, "declares a colour to be transparent", _IN_GREY)
    return data


def _grey(path, data):
    """[H, W] of [H, W, C]: grey or RGB, either with alpha or without."""
    if data.shape[-1] in (2, 4):
        if (data[..., -1] != 255).any():
            refuse(path, "has transparent pixels", _IN_GREY)
        data = data[..., :-1]
    if (data != data[..., :1]).any():
        refuse(path, "is in colour", _IN_GREY)
    return data[..., 0]


def _png_header(path, file, max_voxels):
    """Bits and colour type, of what is no larger than it may be."""
    header = file.read(29)
    if len(header) < 29 or header[8:16] != b"\0\0\0\rIHDR":
        refuse(path, "is no PNG: it does not begin with a header", DAMAGED)
    width, height, depth, colour = struct.unpack(">IIBB", header[16:26])
    if colour not in _CHANNELS:
        refuse(path, f"its colour type is {colour}", DAMAGED)
    count = _CHANNELS[colour]
    voxels.shape_of(path, [width, height, 1, count], True, max_voxels)
    voxels.check_length(path, file, height * (width * count * depth // 8))
    if depth == 16 and colour != _GREY:
        hint = "Save its channels in grey, one file each, or with 8 bits."
        refuse(path, "has several channels of 16 bits", hint)
    return depth, colour


def _check_chunks(path, file):
    """Compares all checksums; Pillow does not look at those of pixels."""
    file.seek(len(_PNG))
    kind = b""
    while kind != b"IEND":
        head = file.read(8)
        left, kind = int.from_bytes(head[:4], "big"), head[4:]
        checksum = zlib.crc32(kind)
        while left and (piece := file.read(min(left, _PIECE))):
            checksum = zlib.crc32(piece, checksum)
            left -= len(piece)
        if file.read(4) != checksum.to_bytes(4, "big"):
            refuse(path, f"ends early, or is damaged, by byte {file.tell()}", DAMAGED)
    if file.read(1):
        refuse(path, "goes on behind the end of its pixels", DAMAGED)


def _npy(path, file, channels, max_voxels):
    """A picture [H, W] or a volume [X, Y, Z], either with a last axis of channels."""
    sides, fortran, dtype = _npy_header(path, file)
    picture = len(sides) == (3 if channels else 2)
    if not channels and len(sides) == 3 and sides[-1] <= 4:
        refuse(path, f"{sides} may be a picture's rows, columns, channels", _AS_NIFTI)
    shape = [*sides[:2], 1, *sides[2:]] if picture else list(sides)
    shape = voxels.shape_of(path, shape, channels, max_voxels)
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        refuse(path, f"it holds {dtype}", _SAVE)
    content = voxels.take(path, file, file.tell(), math.prod(sides) * dtype.itemsize)
    data = voxels.numbers(content, np.dtype("u1") if dtype.kind == "b" else dtype)
    if data.dtype == np.float16:
        data = data.astype(np.float32)
    data = data.reshape(shape, order="F" if fortran else "C")
    return data[:, :, 0] if picture else data


def _npy_header(path, file):
    """Shape, whether columns come first, and dtype."""
    version = tuple(file.read(8)[6:])
    if version != (1, 0):  # Later ones are for records.
        refuse(path, f"its format is .npy {version}, expected (1, 0)", _SAVE)
    try:
        return np.lib.format.read_array_header_1_0(file)
    except Exception as error:  # It is read as Python, which may fail in any way.
        refuse(path, f"its header cannot be read: {error}", DAMAGED)
