"""NIfTI files, read so that a damaged one is never taken for data, and written.

nibabel understands the header; the bytes are read here. Nothing is allocated before
the header and the file's size agree, and a gzip stream is read to its end, where its
checksum is. nibabel alone stops before it and hands out damaged voxels.
"""

import dataclasses
import gzip
import itertools
import logging
import math
import os
from pathlib import Path

from isal import igzip, isal_zlib
from jaxtyping import Num
import nibabel
from nibabel.spatialimages import HeaderDataError
import numpy as np

from jaxsyn import storage
from jaxsyn.errors import DataError, UsageError

MAX_VOXELS = 2**28
TOLERANCE_MM = 1e-3
_MAX_OFFSET = 2**24  # Of the voxels: header and extensions come before them.
_MAX_DEFLATE = 1032  # No deflate stream expands further than this.
_READABLE = ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8")
_WRITABLE = ("uint8", "int16", "float32")
_DAMAGED = "The file is damaged or incomplete: copy or download it again."
_GEOMETRY = "Correct the geometry in its header, for instance from the original."
_QUIET = logging.Logger("nifti headers", level=logging.CRITICAL)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Volume:
    """One image file.

    Attributes:
      data: [X, Y, Z], or [X, Y, Z, C] if channels were asked for; in the file's
        dtype, or float32 where the file scales its values; read-only.
      affine: 4×4 float64, from voxel indices to RAS+ millimetres.
      path: Where it was read.
      notes: What a person should know about the file, though it can be used.
    """

    data: Num[np.ndarray, "x y z *c"]
    affine: Num[np.ndarray, "4 4"]
    path: Path
    notes: tuple[str, ...] = ()

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of neighbouring voxels along each axis."""
        return tuple(np.linalg.norm(self.affine[:3, :3], axis=0).tolist())


def read(
    path: str | Path, *, channels: bool = False, max_voxels: int = MAX_VOXELS
) -> Volume:
    """Reads a `.nii` or `.nii.gz` file, NIfTI-1 or NIfTI-2, of either byte order.

    Args:
      path: The file.
      channels: Whether it is 4-D, several channels of one volume.
      max_voxels: A larger image is refused before memory is taken for it.

    Raises:
      DataError: The file is missing or damaged, or holds what is no such image: not
        3-D (4-D), complex or RGB, not finite, without a usable geometry.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: there is no such file.", hint="Check the path.")
    try:
        with open(path, "rb") as file:
            return _read(path, file, channels, max_voxels)
    except (gzip.BadGzipFile, EOFError, isal_zlib.error) as error:
        raise DataError(f"{path}: {error}.", hint=_DAMAGED) from error
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror or error}.",
            hint="Check the disk, and your permission to read it.",
        ) from error


def write(
    path: str | Path,
    data: Num[np.ndarray, "x y z *c"],
    affine: Num[np.ndarray, "4 4"],
    *,
    description: str = "",
) -> None:
    """Writes a `.nii` or `.nii.gz` file that is whole whenever it is there.

    Equal arguments give equal bytes.

    Args:
      path: The file; its folder is made.
      data: uint8, int16 or float32.
      affine: From voxel indices to RAS+ millimetres; kept as sform and qform (as
        sform only if it shears, which a qform cannot say).
      description: At most 79 ASCII characters for the header's `descrip`.

    Raises:
      UsageError: The dtype or the file's name cannot be used.
      DataError: Voxels are NaN or infinite.
      ResourceError: There is no space, or no permission.
    """
    path, data = Path(path), np.asarray(data)
    if data.dtype.name not in _WRITABLE or not path.name.endswith((".nii", ".nii.gz")):
        raise UsageError(
            f"Cannot write {data.dtype} to {path.name}.",
            hint=f"Use {', '.join(_WRITABLE)} and a name in .nii or .nii.gz.",
        )
    _check_finite(path, data)
    image = nibabel.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = description.encode()
    image.set_sform(affine, "scanner")
    image.set_qform(affine, "scanner")
    if _forms_apart_mm(image.header, data.shape) > TOLERANCE_MM:
        image.set_qform(None, "unknown")
    content = image.to_bytes()
    if path.suffix == ".gz":
        content = igzip.compress(content, 2, mtime=0)
    with storage.writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        with storage.whole_file(path) as file:
            file.write(content)


def distance_mm(
    a: Num[np.ndarray, "4 4"], b: Num[np.ndarray, "4 4"], shape: tuple[int, ...]
) -> float:
    """How far apart two affines put a voxel of a volume [X, Y, Z], at most."""
    # The difference is affine in the index: it is largest at a corner.
    corners = itertools.product(*((0, side - 1) for side in shape[:3]))
    index = np.array([(*corner, 1) for corner in corners], float)
    return float(np.linalg.norm((index @ (a - b).T)[:, :3], axis=1).max())


def _read(path, file, channels, max_voxels):
    compressed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    stream = igzip.IGzipFile(fileobj=file) if compressed else file
    header, used = _header(path, stream)
    dtype = _dtype(path, header)
    shape = _shape(path, header, channels, max_voxels)
    affine, notes = _geometry(path, header, shape)
    size = math.prod(shape) * dtype.itemsize
    offset = _offset(path, header, used)
    held = os.fstat(file.fileno()).st_size * (_MAX_DEFLATE if compressed else 1)
    if offset + size > held:
        _refuse(path, f"too short for the {size} bytes of voxels it declares", _DAMAGED)
    stream.read(offset - used)
    content = stream.read(size)
    if len(content) < size:
        _refuse(path, f"holds {len(content)} of {size} bytes of voxels", _DAMAGED)
    if stream.read(1):  # Reaching the end is also what checks the checksum.
        _refuse(path, "goes on behind the voxels that its header declares", _DAMAGED)
    data = np.frombuffer(content, dtype)
    if not dtype.isnative:
        data = data.astype(dtype.newbyteorder("="))
    data = _scale(path, header, data)
    _check_finite(path, data)
    data.flags.writeable = False
    data = data.reshape(shape, order="F")
    return Volume(data=data, affine=affine, path=path, notes=notes)


def _header(path, stream):
    """The header and its length in bytes."""
    start = stream.read(4)
    kind, order = _kind(path, start)
    start += stream.read(kind.sizeof_hdr - 4)
    if len(start) < kind.sizeof_hdr:
        _refuse(path, f"ends within its header, after {len(start)} bytes", _DAMAGED)
    header = kind(start, order, check=False)
    bits = int(header["bitpix"])
    try:
        header.check_fix(_QUIET, error_level=30)
    except HeaderDataError as error:
        _refuse(path, f"its header is wrong: {error}", _DAMAGED)
    if bits != header["bitpix"]:
        _refuse(path, f"declares {bits} bits for {header.get_data_dtype()}", _DAMAGED)
    if header["magic"].item()[:2] != b"n+":
        _refuse(path, "header and voxels are two files", "Convert it to one .nii file.")
    return header, len(start)


def _kind(path, start):
    """NIfTI-1 or NIfTI-2, and the byte order."""
    for kind in (nibabel.Nifti1Header, nibabel.Nifti2Header):
        for order, name in (("<", "little"), (">", "big")):
            if start == kind.sizeof_hdr.to_bytes(4, name):
                return kind, order
    _refuse(path, "is not a NIfTI file", "Convert it to NIfTI: .nii or .nii.gz.")


def _dtype(path, header):
    dtype = header.get_data_dtype()
    if dtype.str[1:] not in _READABLE:
        _refuse(
            path,
            f"its voxels are {dtype}",
            "Only integers and floats of at most 64 bits are images here: convert it.",
        )
    return dtype


def _shape(path, header, channels, max_voxels):
    ndim, *sides = map(int, header["dim"])
    if not 1 <= ndim <= 7 or min(sides[:ndim]) < 1:
        _refuse(path, f"its dimensions are {ndim}: {sides}", _DAMAGED)
    if math.prod(sides[:ndim]) > max_voxels:
        _refuse(
            path,
            f"{'×'.join(map(str, sides[:ndim]))} are more than {max_voxels} voxels",
            "The header is damaged, or the image must be resampled or cropped first.",
        )
    shape, expected = sides[:ndim], 4 if channels else 3
    while len(shape) > expected and shape[-1] == 1:
        shape.pop()
    if len(shape) != expected:
        _refuse(
            path,
            f"is {len(shape)}-D {shape}, expected {expected}-D",
            "Split it into one file per volume, or choose the source that it is of"
            ' (MSD\'s 4-D files: source "msd").',
        )
    return tuple(shape)


def _geometry(path, header, shape):
    """The affine, and notes about it."""
    unit = header["xyzt_units"] % 8
    if unit not in (0, 2):  # Unknown, mm.
        _refuse(path, f"its unit of length has code {unit}, mm is 2", _GEOMETRY)
    try:
        with np.errstate(invalid="ignore", over="ignore"):
            affine = header.get_best_affine()
            apart_mm = _forms_apart_mm(header, shape)
    except (HeaderDataError, ValueError) as error:
        _refuse(path, f"its geometry is wrong: {error}", _GEOMETRY)
    if not _is_invertible(affine):
        _refuse(path, f"its affine maps no volume: {affine[:3].tolist()}", _GEOMETRY)
    if not math.isfinite(apart_mm):
        _refuse(path, "its sform and qform are infinitely far apart", _GEOMETRY)
    notes = []
    if header["sform_code"] == header["qform_code"] == 0:
        notes.append("there is no sform and no qform: its orientation is a guess")
    if apart_mm > TOLERANCE_MM:
        notes.append(f"sform and qform are {apart_mm:.3g} mm apart: sform is used")
    return affine, tuple(notes)


def _is_invertible(affine):
    if not np.isfinite(affine).all():
        return False
    axes = affine[:3, :3]
    box = np.linalg.norm(axes, axis=0).prod()
    return bool(abs(np.linalg.det(axes)) > 1e-3 * box > 0)


def _forms_apart_mm(header, shape):
    """How far apart sform and qform put a voxel; 0 if one of them is not set."""
    sform, qform = header.get_sform(coded=True)[0], header.get_qform(coded=True)[0]
    if sform is None or qform is None:
        return 0.0
    return distance_mm(sform, qform, shape)


def _offset(path, header, used):
    offset = float(header["vox_offset"])  # nibabel has checked that 16 divides it.
    if not used <= offset <= _MAX_OFFSET:
        _refuse(path, f"its voxels begin at byte {offset}", _DAMAGED)
    return int(offset)


def _scale(path, header, data):
    # Slope 0 means no scaling by the standard, NaN by nibabel's habit.
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or math.isnan(slope) or (slope, inter) == (1, 0):
        return data
    if not (math.isfinite(slope) and math.isfinite(inter)):
        _refuse(path, f"its values are scaled by {slope} and {inter}", _DAMAGED)
    with np.errstate(over="ignore"):  # It becomes infinite, which is refused.
        return (data * slope + inter).astype(np.float32)


def _check_finite(path, data):
    if data.dtype.kind == "f" and not (finite := np.isfinite(data)).all():
        _refuse(
            path,
            f"{data.size - np.count_nonzero(finite)} voxels are NaN or infinite",
            "Find out why, then replace them: 0 is background.",
        )


def _refuse(path, what, hint):
    raise DataError(f"{path}: {what}.", hint=hint)
