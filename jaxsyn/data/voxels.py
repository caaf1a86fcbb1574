"""What the readers of image files share: none takes a damaged file for data.

Nothing is allocated before header and file size agree, and a compressed stream is
read to its end, where its checksum is.
"""

from collections.abc import Iterator
import contextlib
import dataclasses
import gzip
import math
import os
from pathlib import Path
from typing import BinaryIO, NoReturn

from isal import isal_zlib
from jaxtyping import Num
import numpy as np

from jaxsyn.errors import DataError

MAX_VOXELS = 2**28
DAMAGED = "The file is damaged or incomplete: copy or download it again."
GEOMETRY = "Correct the geometry in its header, for instance from the original."
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])  # To RAS+ from left, posterior, superior.
_MAX_DEFLATE = 1032  # No deflate stream expands further than this.
_PIECE = 2**18
_SIZES_MM = (1e-6, 1e4)  # From a nanometre on, and not beyond any patient.


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


def refuse(path: Path, what: str, hint: str) -> NoReturn:
    """Raises the DataError of a file."""
    raise DataError(f"{path}: {what}.", hint=hint)


@contextlib.contextmanager
def opened(path: Path, hint: str = "Check the path.") -> Iterator[BinaryIO]:
    """Opens a file; what then is wrong with the disk or a stream is a DataError.

    Args:
      path: The file.
      hint: What to do if it is missing.
    """
    try:
        if not path.is_file():
            refuse(path, "there is no such file", hint)
        with open(path, "rb") as file:
            yield file
    except (gzip.BadGzipFile, EOFError, isal_zlib.error) as error:
        raise DataError(f"{path}: {error}.", hint=DAMAGED) from error
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror or error}.",
            hint="Check the disk, and your permission to read it.",
        ) from error


def check_length(
    path: Path, stream: BinaryIO, size: int, *, start: int = 0, packed: bool = True
) -> None:
    """Raises DataError if a file cannot hold so many bytes of voxels.

    Args:
      path: The file, for errors.
      stream: The file, open.
      size: Bytes of voxels.
      start: Bytes before them.
      packed: Whether they are a deflate stream.
    """
    held = os.fstat(stream.fileno()).st_size * (_MAX_DEFLATE if packed else 1)
    if start + size > held:
        refuse(path, f"too short for the {size} bytes of voxels it declares", DAMAGED)


def take(path: Path, stream: BinaryIO, start: int, size: int) -> bytes:
    """Reads `size` bytes from byte `start` of a file, plain or gzip, to its end.

    Raises:
      DataError: It ends too early, or goes on.
    """
    packed = isinstance(stream, gzip.GzipFile)
    check_length(path, stream, size, start=start, packed=packed)
    stream.seek(start)
    content = stream.read(size)
    # Reaching the end is also what checks the checksum.
    _check_whole(path, content, size, bool(stream.read(1)))
    return content


def inflate(path: Path, stream: BinaryIO, size: int) -> bytearray:
    """Reads `size` bytes that the rest of a file holds as one zlib stream.

    Raises:
      DataError: The stream is damaged, or shorter or longer.
    """
    check_length(path, stream, size)
    engine, content = isal_zlib.decompressobj(), bytearray()
    while not engine.eof and len(content) <= size and (piece := stream.read(_PIECE)):
        content += engine.decompress(piece, size + 1 - len(content))
    if not engine.eof and len(content) == size:
        refuse(path, "ends before the checksum of its voxels", DAMAGED)
    _check_whole(path, content, size, bool(engine.unused_data or stream.read(1)))
    return content


def numbers(content: bytes | bytearray, dtype: np.dtype) -> Num[np.ndarray, " n"]:
    """The numbers in a file's bytes, in the machine's byte order."""
    return np.frombuffer(content, dtype).astype(dtype.newbyteorder("="), copy=False)


def shape_of(
    path: Path, sides: list[int], channels: bool, max_voxels: int
) -> tuple[int, ...]:
    """The shape [X, Y, Z] or [X, Y, Z, C] that a header declares.

    Args:
      path: The file, for errors.
      sides: What it declares. Axes of length 1 at the end may be dropped.
      channels: Whether the shape has a last axis C.
      max_voxels: The most that there may be.

    Raises:
      DataError: It declares something else.
    """
    if not sides or min(sides) < 1:
        refuse(path, f"its dimensions are {len(sides)}: {sides}", DAMAGED)
    if math.prod(sides) > max_voxels:
        refuse(
            path,
            f"{'×'.join(map(str, sides))} are more than {max_voxels} voxels",
            "The header is damaged, or the image must be resampled or cropped first.",
        )
    shape, expected = list(sides), 4 if channels else 3
    while len(shape) > expected and shape[-1] == 1:
        shape.pop()
    if len(shape) != expected:
        refuse(
            path,
            f"is {len(shape)}-D {shape}, expected {expected}-D",
            "Split it into one file per volume, or choose the source that it is of"
            ' (MSD\'s 4-D files: source "msd").',
        )
    return tuple(shape)


def check_affine(path: Path, affine: Num[np.ndarray, "4 4"]) -> None:
    """Raises DataError if it is not finite, or no voxel has such axes."""
    axes = affine[:3, :3]
    with np.errstate(invalid="ignore", over="ignore"):
        box = np.linalg.norm(axes, axis=0).prod()
        spans = abs(np.linalg.det(axes)) > 1e-3 * box > 0
    if not (spans and np.isfinite(box) and np.isfinite(affine).all()):
        refuse(path, f"its affine maps no volume: {affine[:3].tolist()}", GEOMETRY)
    sizes = np.linalg.norm(axes, axis=0)
    if not (_SIZES_MM[0] <= sizes.min() and sizes.max() <= _SIZES_MM[1]):
        refuse(path, f"its voxels have sides of {sizes.tolist()} mm", GEOMETRY)


def check_finite(path: Path, data: np.ndarray) -> None:
    """Raises DataError if there are voxels that are NaN or infinite."""
    if data.dtype.kind == "f" and not (finite := np.isfinite(data)).all():
        refuse(
            path,
            f"{data.size - np.count_nonzero(finite)} voxels are NaN or infinite",
            "Find out why, then replace them: 0 is background.",
        )


def _check_whole(path, content, size, goes_on):
    if len(content) < size:
        refuse(path, f"holds {len(content)} of {size} bytes of voxels", DAMAGED)
    if goes_on or len(content) > size:
        refuse(path, "goes on behind the voxels that its header declares", DAMAGED)
