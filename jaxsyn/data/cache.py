"""A part's slices as plain contiguous arrays, for training.

The records of a prepared set are the truth; this copy of them is what a batch can
be gathered from ten times as fast. It is read with NumPy alone.
"""

from collections.abc import Iterator, Mapping
import contextlib
import dataclasses
import functools
import json
from pathlib import Path
import shutil
from typing import Any

from jaxtyping import Float32, UInt8, UInt16
import numpy as np

from jaxsyn import integrity, storage
from jaxsyn.errors import DataError

_AGAIN = "Delete that folder of the cache; it will be made again."


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Cache:
    """The slices of one part.

    Attributes:
      image: Quantised intensities; x = image / 65535 * 2 - 1.
      label: Indices into the label table.
      rows: For each slice its case and its index in the case.
    """

    image: UInt16[np.ndarray, "n h w c"]
    label: UInt8[np.ndarray, "n h w"]
    rows: tuple[tuple[str, int], ...]

    def __len__(self) -> int:
        return len(self.rows)

    @functools.cached_property
    def position(self) -> Float32[np.ndarray, " n"]:
        """How high each slice is among those of its case: 0 lowest, 1 highest."""
        first, last = {}, {}
        for case, index in self.rows:
            first[case] = min(index, first.get(case, index))
            last[case] = max(index, last.get(case, index))
        heights = [
            (index - first[case]) / max(last[case] - first[case], 1)
            for case, index in self.rows
        ]
        return np.array(heights, np.float32)

    @classmethod
    def open(cls, folder: str | Path, *, in_memory: bool = False) -> "Cache":
        """Opens what `write` wrote, after checking it as `integrity.check` does.

        Args:
          folder: Where it is.
          in_memory: Read it whole now, rather than as its pages are used.

        Raises:
          DataError: It is missing or damaged.
        """
        folder, mode = Path(folder), None if in_memory else "r"
        integrity.check(folder, hint=_AGAIN)
        try:
            rows = json.loads((folder / "index.json").read_text())["rows"]
            image = np.load(folder / "image.npy", mmap_mode=mode)
            label = np.load(folder / "label.npy", mmap_mode=mode)
        except (OSError, ValueError, KeyError) as error:
            raise _damaged(folder, error) from error
        lengths = (len(rows), len(image), len(label))
        if len(set(lengths)) > 1 or (image.dtype, label.dtype) != (np.uint16, np.uint8):
            raise _damaged(folder, f"{lengths} rows, images and labels")
        rows = tuple((case, int(index)) for case, index in rows)
        return cls(image=image, label=label, rows=rows)


def write(
    folder: Path,
    examples: Iterator[Mapping[str, Any]],
    *,
    count: int,
    image_size: int,
    channels: int,
) -> None:
    """Writes a cache; `folder` appears when it is complete.

    Args:
      folder: Where to.
      examples: With "image", "label", "case" (bytes) and "slice".
      count: How many there are.
      image_size: Side of the slices.
      channels: Modalities.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    slices = (count, image_size, image_size)
    rows = []
    # Not through a memory map: on a full disk that is killed by SIGBUS.
    with (
        _array_file(partial / "image.npy", (*slices, channels), np.uint16) as image,
        _array_file(partial / "label.npy", slices, np.uint8) as label,
    ):
        for example in examples:
            image.write(np.ascontiguousarray(example["image"]))
            label.write(np.ascontiguousarray(example["label"]))
            rows.append((example["case"].decode(), int(example["slice"])))
    if len(rows) != count:
        raise DataError(
            f"{folder}: {len(rows)} slices in the records where {count} were expected.",
            hint="Delete the prepared set; it will be prepared again.",
        )
    storage.write_json(partial / "index.json", {"rows": rows})
    integrity.write(partial, remember=True)
    partial.replace(folder)


@contextlib.contextmanager
def _array_file(path, shape, dtype):
    """Opens a .npy file to which the array can be written piece by piece."""
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    with storage.whole_file(path) as file:
        np.lib.format.write_array_header_1_0(file, header)
        yield file


def _damaged(folder, why):
    return DataError(
        f"The cache {folder} is missing or damaged: {why}",
        hint=_AGAIN,
    )
