"""Image files of every kind that is read here, told apart by their names."""

from pathlib import Path
import re

from jaxsyn.data import metaimage, nifti, pictures2d
from jaxsyn.errors import DataError

_KINDS = {
    ".nii": nifti,
    ".nii.gz": nifti,
    ".hdr": nifti,
    ".hdr.gz": nifti,
    ".mha": metaimage,
    ".mhd": metaimage,
    ".png": pictures2d,
    ".npy": pictures2d,
}
# The second file of a header/voxel pair: read, but it does not count as an image.
_SECOND = {".img": nifti, ".img.gz": nifti}
ENDINGS = tuple(_KINDS)
_HINTS = {
    ".jpg": "JPEG changes the values of pixels: use the original, or save it as PNG.",
    ".npz": "Save each array of it in a file of its own: numpy.save(NAME.npy, array).",
    ".dcm": "Convert the series to NIfTI, for instance with dcm2niix.",
}
_HINTS[".jpeg"] = _HINTS[".jpg"]


def read(
    path: str | Path, *, channels: bool = False, max_voxels: int = nifti.MAX_VOXELS
) -> nifti.Volume:
    """Reads an image file of any of the `ENDINGS`.

    Args:
      path: The file; of a pair .hdr and .img either of the two.
      channels: Whether it holds several channels of one volume.
      max_voxels: A larger image is refused before memory is taken for it.

    Raises:
      DataError: It is of no kind that can be read, missing or damaged, or holds what
        is no such image; see the readers of each kind.
    """
    path = Path(path)
    readers = _KINDS | _SECOND
    ending = _ending(path.name, readers)
    if ending in readers:
        return readers[ending].read(path, channels=channels, max_voxels=max_voxels)
    raise DataError(
        f"{path}: only files in {', '.join(ENDINGS)} can be read.",
        hint=_HINTS.get(path.suffix.lower(), "Convert it to NIfTI: .nii or .nii.gz."),
    )


def stem(path: str | Path) -> str:
    """A file's name without its ending; empty if it is hidden or no image file.

    The .img of a header/voxel pair is none: its .hdr stands for both.
    """
    name = Path(path).name
    ending = _ending(name, ENDINGS)
    return name[: -len(ending)] if ending and not name.startswith(".") else ""


def _ending(name, endings):
    """The one of `endings` that a name ends in, in lower case, or nothing."""
    pattern = "|".join(map(re.escape, endings))
    match = re.fullmatch(rf".+?({pattern})", name, re.IGNORECASE)
    return match[1].lower() if match else ""
