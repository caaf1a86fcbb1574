"""MetaImage files: `.mha`, or `.mhd` with the voxels in a file beside it.

Read by the description of the format, https://itk.org/Wiki/ITK/MetaIO/Documentation,
and as ITK does. The header is lines of `Key = value`, the voxels may be a zlib stream,
and space is that of DICOM: left, posterior, superior. Keys that concern neither voxels
nor geometry are ignored.
"""

import math
import os
from pathlib import Path

import numpy as np

from jaxsyn.data import voxels
from jaxsyn.data.voxels import DAMAGED, GEOMETRY, LPS, MAX_VOXELS, Volume, refuse

_MAX_HEADER = 2**18
_MAX_NDIM = 7
_LARGEST = 1e18
_DTYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",  # On every machine.
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
# What must be so if it is said at all, because it would change how voxels are read.
_EXPECTED = {
    "ObjectType": ("image",),
    "BinaryData": ("true",),
    "DistanceUnits": ("mm", "?"),
}
_TOGETHER = "The .mhd and the file that it names must lie in one folder."
_RESAVE = "Save it anew as one .mha or .nii.gz file, for instance with ITK."


def read(
    path: str | Path, *, channels: bool = False, max_voxels: int = MAX_VOXELS
) -> Volume:
    """Reads a `.mha` file, or a `.mhd` file and the one it names in its folder.

    Args:
      path: The file with the header.
      channels: Whether it holds several channels of one volume, as its fourth axis
        or as ElementNumberOfChannels.
      max_voxels: A larger image is refused before memory is taken for it.

    Raises:
      DataError: The file is missing or damaged, or holds what is no such image: not
        3-D (4-D), not finite, without a usable geometry, or spread over many files.
    """
    path = Path(path)
    with voxels.opened(path) as file:
        fields = _Fields(path, file)
        shape, interleaved = _shape(fields, channels, max_voxels)
        affine, notes = _geometry(fields)
        dtype = _dtype(fields)
        content = _content(fields, file, math.prod(shape) * dtype.itemsize)
    data = voxels.numbers(content, dtype)
    voxels.check_finite(path, data)
    data.flags.writeable = False
    if interleaved:
        data = np.moveaxis(data.reshape(shape[-1:] + shape[:-1], order="F"), 0, -1)
    else:
        data = data.reshape(shape, order="F")
    return Volume(data=data, affine=affine, path=path, notes=notes)


class _Fields:
    """The values of a header by key; what is wrong with them is a DataError."""

    def __init__(self, path, file):
        self.path, self._values = path, {}
        while "ElementDataFile" not in self._values:
            line = file.readline(_MAX_HEADER - file.tell())
            if not line:
                self.refuse("is no MetaImage: its header has no ElementDataFile")
            self._add(os.fsdecode(line).strip())
        for key, expected in _EXPECTED.items():
            value = self.text(key, default=expected[0])
            if value.lower() not in expected:
                self.refuse(f"{key} is {value[:80]}, expected {expected[0]}", _RESAVE)
        (self.ndim,) = self.numbers("NDims", count=1, kind=int)
        if not 1 <= self.ndim <= _MAX_NDIM:
            self.refuse(f"NDims is {self.ndim}")

    def _add(self, line):
        key, equals, value = (part.strip() for part in line.partition("="))
        if line and not (key and equals):
            self.refuse(f"is no MetaImage: {line[:80]!r} is no line of its header")
        if key in self._values:
            self.refuse(f"its header has {key[:80]} twice")
        if line:
            self._values[key] = value

    def refuse(self, what, hint=DAMAGED):
        refuse(self.path, what, hint)

    def text(self, *keys, default=None):
        """The value of these synonyms, or else the default."""
        there = {self._values.get(key) for key in keys} - {None, ""}
        if len(there) > 1:
            self.refuse(f"its header gives {' and '.join(keys)}, and they differ")
        if not there and default is None:
            self.refuse(f"its header has no {keys[0]}")
        return there.pop() if there else default

    def numbers(self, *keys, count, kind=float, default=None):
        """The value of these synonyms as `count` finite numbers."""
        text = self.text(*keys, default=default)
        try:
            found = [kind(word) for word in text.split()]
        except ValueError:
            found = []
        if len(found) != count or not all(abs(n) < _LARGEST for n in found):
            self.refuse(f"{keys[0]} is {text[:80]}, expected {count} numbers")
        return found

    def flag(self, *keys):
        """The value of these synonyms as a bool; False if there is none."""
        text = self.text(*keys, default="False")
        if text.lower() not in ("true", "false"):
            self.refuse(f"{keys[0]} is {text[:80]}, expected True or False")
        return text.lower() == "true"


def _shape(fields, channels, max_voxels):
    """The shape, and whether the channels of a voxel are stored together."""
    sides = fields.numbers("DimSize", count=fields.ndim, kind=int)
    key = "ElementNumberOfChannels"
    (depth,) = fields.numbers(key, count=1, kind=int, default="1")
    if depth == 1:
        return voxels.shape_of(fields.path, sides, channels, max_voxels), False
    if depth < 1 or not channels:
        fields.refuse(f"{key} is {depth}, expected 1", _RESAVE)
    shape = voxels.shape_of(fields.path, sides, False, max_voxels // depth)
    return (*shape, depth), True


def _geometry(fields):
    """The affine, and notes about it."""
    ndim = fields.ndim
    size = fields.text("ElementSize", default="") or None
    spacing = fields.numbers("ElementSpacing", count=ndim, default=size)
    if min(spacing) <= 0:
        fields.refuse(f"ElementSpacing is {spacing}", GEOMETRY)
    names = ("TransformMatrix", "Orientation", "Rotation")
    unit = " ".join(map(str, np.eye(ndim).ravel()))
    directions = fields.numbers(*names, count=ndim**2, default=unit)
    zeros = " ".join("0" * ndim)
    origin = fields.numbers("Offset", "Position", "Origin", count=ndim, default=zeros)
    affine = np.eye(4)
    # The file's matrix has the directions of the axes as rows.
    affine[:3, :3] = np.reshape(directions, (ndim, ndim))[:3, :3].T * spacing[:3]
    affine[:3, 3] = origin[:3]
    affine = LPS @ affine
    voxels.check_affine(fields.path, affine)
    if not fields.text(*names, default=""):
        return affine, ("there is no TransformMatrix: its orientation is a guess",)
    return affine, ()


def _dtype(fields):
    name = fields.text("ElementType")
    if name not in _DTYPES:
        what = f"its voxels are {name[:80]}, expected one of {', '.join(_DTYPES)}"
        fields.refuse(what, _RESAVE)
    big = fields.flag("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
    return np.dtype(_DTYPES[name]).newbyteorder(">" if big else "<")


def _content(fields, file, size):
    """The bytes of the voxels, from this file or the one that it names."""
    name = fields.text("ElementDataFile")
    (start,) = fields.numbers("HeaderSize", count=1, kind=int, default="0")
    if name.upper() == "LOCAL":
        if start != 0:
            fields.refuse(f"HeaderSize is {start}, expected 0 in a single file")
        return _voxels(fields, fields.path, file, file.tell(), size)
    if "%" in name or name.upper().startswith("LIST"):
        fields.refuse(f"its voxels are in several files: {name[:80]}", _RESAVE)
    if "\\" in name or Path(name).name != name:
        fields.refuse(f"its voxels are in another folder: {name[:80]}", _TOGETHER)
    path = fields.path.with_name(name)
    with voxels.opened(path, _TOGETHER) as file:
        if start == -1:  # The header ahead of the voxels is as long as it is.
            start = max(os.fstat(file.fileno()).st_size - size, 0)
        return _voxels(fields, path, file, start, size)


def _voxels(fields, path, file, start, size):
    if start < 0:
        fields.refuse(f"HeaderSize is {start}")
    if fields.flag("CompressedData"):
        file.seek(start)
        return voxels.inflate(path, file, size)
    return voxels.take(path, file, start, size)
