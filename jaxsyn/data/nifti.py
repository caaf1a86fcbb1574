"""NIfTI files, read so that a damaged one is never taken for data, and written.

nibabel understands the header; the bytes are read here. Nothing is allocated before
the header and the file's size agree, and a gzip stream is read to its end, where its
checksum is. nibabel alone stops before it and hands out damaged voxels.
"""

from collections.abc import Sequence
import contextlib
import itertools
import logging
import math
from pathlib import Path
import re

from isal import igzip
from jaxtyping import Num
import nibabel
from nibabel.spatialimages import HeaderDataError
import numpy as np

from jaxsyn import storage
from jaxsyn.data import voxels
from jaxsyn.data.voxels import DAMAGED, GEOMETRY, MAX_VOXELS, Volume, refuse
from jaxsyn.errors import UsageError

TOLERANCE_MM = 1e-3
_MAX_OFFSET = 2**24  # Of the voxels: header and extensions come before them.
_GZIP = b"\x1f\x8b"
_READABLE = ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8")
_WRITABLE = ("uint8", "int16", "float32")
_ANALYZE = (
    "Find out which side is which, then convert it, for instance with nibabel: load"
    " it, set the affine, and save it as Nifti1Image; or with ITK."
)
_NAMES = "A single file is named .nii or .nii.gz; a pair is named .hdr and .img."
_TOGETHER = "Check the path. Of a pair, .hdr and .img must lie in one folder."
_QUIET = logging.Logger("nifti headers", level=logging.CRITICAL)


def read(
    path: str | Path, *, channels: bool = False, max_voxels: int = MAX_VOXELS
) -> Volume:
    """Reads NIfTI-1 or NIfTI-2, of either byte order, in one file or a pair.

    Args:
      path: A `.nii` or `.nii.gz` file, or one of a pair: `.hdr` and `.img`, or
        `.hdr.gz` and `.img.gz`.
      channels: Whether it is 4-D, several channels of one volume.
      max_voxels: A larger image is refused before memory is taken for it.

    Raises:
      DataError: The file is missing or damaged, or holds what is no such image: not
        3-D (4-D), complex or RGB, not finite, without a usable geometry. Or it is
        Analyze 7.5, the format of pairs before NIfTI.
    """
    path = Path(path)
    head, body = _files(path)
    with contextlib.ExitStack() as files:
        stream = files.enter_context(_opened(head, pair=head != body))
        header = _header(head, stream, pair=head != body)
        dtype = _dtype(head, header)
        shape = _shape(head, header, channels, max_voxels)
        affine, notes = _geometry(head, header, shape)
        if head != body:
            _finish(head, stream)
            stream = files.enter_context(_opened(body, pair=True))
        offset = _offset(head, header, stream.tell())
        size = math.prod(shape) * dtype.itemsize
        content = voxels.take(body, stream, offset, size)
    data = _scale(body, header, voxels.numbers(content, dtype))
    voxels.check_finite(body, data)
    data.flags.writeable = False
    data = data.reshape(shape, order="F")
    return Volume(data=data, affine=affine, path=path, notes=notes)


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
    voxels.check_finite(path, data)
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


def as_labels(values: Sequence[int]) -> Num[np.ndarray, " n"]:
    """Values of labels, 0 to 32767, in the smaller dtype that can be written."""
    values = np.asarray(values)
    return values.astype(np.uint8 if values.max(initial=0) <= 255 else np.int16)


def distance_mm(
    a: Num[np.ndarray, "4 4"], b: Num[np.ndarray, "4 4"], shape: tuple[int, ...]
) -> float:
    """How far apart two affines put a voxel of a volume [X, Y, Z], at most."""
    # The difference is affine in the index: it is largest at a corner.
    corners = itertools.product(*((0, side - 1) for side in shape[:3]))
    index = np.array([(*corner, 1) for corner in corners], float)
    return float(np.linalg.norm((index @ (a - b).T)[:, :3], axis=1).max())


def _files(path):
    """Where the header is, and where the voxels are: one file, or a pair."""
    match = re.fullmatch(r"(.+\.)(hdr|img)((?:\.gz)?)", path.name, re.IGNORECASE)
    if not match:
        return path, path
    stem, part, packed = match.groups()
    parts = ("hdr", "img") if part.islower() else ("HDR", "IMG")
    return tuple(path.with_name(f"{stem}{name}{packed}") for name in parts)


@contextlib.contextmanager
def _opened(path, pair):
    with voxels.opened(path, _TOGETHER if pair else "Check the path.") as file:
        # Plain voxels may begin as gzip does; plain headers never do.
        packed = path.suffix.lower() == ".gz" if pair else file.peek(2)[:2] == _GZIP
        yield igzip.IGzipFile(fileobj=file) if packed else file


def _header(path, stream, pair):
    start = stream.read(4)
    kind, order = _kind(path, start)
    start += stream.read(kind.sizeof_hdr - 4)
    if len(start) < kind.sizeof_hdr:
        refuse(path, f"ends within its header, after {len(start)} bytes", DAMAGED)
    header = kind(start, order, check=False)
    magic = header["magic"].item()[:2]
    if pair and magic not in (b"ni", b"n+"):
        refuse(path, "is Analyze 7.5, which does not tell left from right", _ANALYZE)
    bits = int(header["bitpix"])
    try:
        header.check_fix(_QUIET, error_level=30)
    except HeaderDataError as error:
        refuse(path, f"its header is wrong: {error}", DAMAGED)
    if bits != header["bitpix"]:
        refuse(path, f"declares {bits} bits for {header.get_data_dtype()}", DAMAGED)
    if pair != (magic == b"ni"):
        found = "one file" if pair else "two files"
        refuse(path, f"header and voxels are {found}", _NAMES)
    return header


def _finish(path, stream):
    """Reads what follows the header: extensions, and a checksum."""
    if len(stream.read(_MAX_OFFSET + 1)) > _MAX_OFFSET:
        refuse(path, "is too long for a header", DAMAGED)


def _kind(path, start):
    """NIfTI-1 or NIfTI-2, and the byte order."""
    for kind in (nibabel.Nifti1Header, nibabel.Nifti2Header):
        for order, name in (("<", "little"), (">", "big")):
            if start == kind.sizeof_hdr.to_bytes(4, name):
                return kind, order
    refuse(path, "is not a NIfTI file", "Convert it to NIfTI: .nii or .nii.gz.")


def _dtype(path, header):
    dtype = header.get_data_dtype()
    if dtype.str[1:] not in _READABLE:
        refuse(
            path,
            f"its voxels are {dtype}",
            "Only integers and floats of at most 64 bits are images here: convert it.",
        )
    return dtype


def _shape(path, header, channels, max_voxels):
    ndim, *sides = map(int, header["dim"])
    if not 1 <= ndim <= 7:
        refuse(path, f"its dimensions are {ndim}: {sides}", DAMAGED)
    return voxels.shape_of(path, sides[:ndim], channels, max_voxels)


def _geometry(path, header, shape):
    """The affine, and notes about it."""
    unit = header["xyzt_units"] % 8
    if unit not in (0, 2):  # Unknown, mm.
        refuse(path, f"its unit of length has code {unit}, mm is 2", GEOMETRY)
    try:
        with np.errstate(invalid="ignore", over="ignore"):
            affine = header.get_best_affine()
            apart_mm = _forms_apart_mm(header, shape)
    except (HeaderDataError, ValueError) as error:
        refuse(path, f"its geometry is wrong: {error}", GEOMETRY)
    voxels.check_affine(path, affine)
    if not math.isfinite(apart_mm):
        refuse(path, "its sform and qform are infinitely far apart", GEOMETRY)
    notes = []
    if header["sform_code"] == header["qform_code"] == 0:
        notes.append("there is no sform and no qform: its orientation is a guess")
    if apart_mm > TOLERANCE_MM:
        notes.append(f"sform and qform are {apart_mm:.3g} mm apart: sform is used")
    return affine, tuple(notes)


def _forms_apart_mm(header, shape):
    """How far apart sform and qform put a voxel; 0 if one of them is not set."""
    sform, qform = header.get_sform(coded=True)[0], header.get_qform(coded=True)[0]
    if sform is None or qform is None:
        return 0.0
    return distance_mm(sform, qform, shape)


def _offset(path, header, used):
    offset = float(header["vox_offset"])  # nibabel has checked that 16 divides it.
    if not used <= offset <= _MAX_OFFSET:
        refuse(path, f"its voxels begin at byte {offset}", DAMAGED)
    return int(offset)


def _scale(path, header, data):
    # Slope 0 means no scaling by the standard, NaN by nibabel's habit.
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or math.isnan(slope) or (slope, inter) == (1, 0):
        return data
    if not (math.isfinite(slope) and math.isfinite(inter)):
        refuse(path, f"its values are scaled by {slope} and {inter}", DAMAGED)
    with np.errstate(over="ignore"):  # It becomes infinite, which is refused.
        return (data * slope + inter).astype(np.float32)
