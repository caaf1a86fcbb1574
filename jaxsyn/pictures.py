"""Arrays as pictures: label colours, grids with captions, PNG files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jaxsyn import storage
from jaxsyn.spec import Label

GAP = 2  # Pixels between the cells of a grid.


def colour_labels(label_map: np.ndarray, labels: Sequence[Label]) -> np.ndarray:
    """Paints a label map, [H, W] indices, in its labels' colours: uint8 [H, W, 3]."""
    palette = np.array([label.colour for label in labels], np.uint8)
    return palette[label_map]


def grey(image: np.ndarray) -> np.ndarray:
    """Maps an image in [-1, 1], [H, W], to uint8 [H, W, 3]."""
    level = np.clip((np.asarray(image, np.float32) + 1.0) * 127.5, 0, 255)
    return np.repeat(np.rint(level).astype(np.uint8)[..., None], 3, axis=-1)


def busiest(mask: np.ndarray) -> tuple[int, int, int]:
    """The slice, row and column of a mask [D, H, W] that hold most of it."""
    others = ((1, 2), (0, 2), (0, 1))
    return tuple(int(np.argmax(mask.sum(axis=axes))) for axes in others)


def cuts(
    volume: np.ndarray,
    centre: Sequence[int],
    size: int,
    spacing_mm: Sequence[float] = (1.0, 1.0, 1.0),
    *,
    fill: float | None = None,
) -> list[np.ndarray]:
    """Axial, coronal and sagittal cuts through a volume, each [size, size].

    They are upright and in true proportions.

    Args:
      volume: [D, H, W], slices from the bottom upwards.
      centre: Slice, row and column through which to cut.
      size: Side of the pictures, in pixels.
      spacing_mm: Distance of slices, rows and columns.
      fill: What they are padded with, by default the volume's least value.
    """
    made, fill = [], volume.min() if fill is None else fill
    for axis in range(3):
        cut = np.take(volume, centre[axis], axis)
        cut = cut[::-1] if axis else cut
        down, across = (mm for i, mm in enumerate(spacing_mm) if i != axis)
        tall = max(1, round(len(cut) * down / across))
        cut = cut[_nearest(len(cut), tall)]
        side = max(cut.shape)
        square = np.full((side, side), fill, volume.dtype)
        top, left = ((side - n) // 2 for n in cut.shape)
        square[top : top + cut.shape[0], left : left + cut.shape[1]] = cut
        chosen = _nearest(side, size)
        made.append(square[chosen[:, None], chosen])
    return made


def _nearest(side, size):
    return ((np.arange(size) + 0.5) * side / size).astype(int)


def grid(
    rows: Sequence[Sequence[np.ndarray]],
    captions: Sequence[str],
    *,
    min_cell: int = 128,
) -> Image.Image:
    """Lays out cells of one size, with a caption above each column.

    Args:
      rows: uint8 cells [H, W, 3], all of one size.
      captions: One for each column.
      min_cell: Smaller cells are enlarged by a whole factor to at least this side.
    """
    height, width = rows[0][0].shape[:2]
    factor = max(1, -(-min_cell // width))
    cell = (width * factor, height * factor)
    font = ImageFont.load_default(size=14)
    top = 22
    size = (
        len(captions) * (cell[0] + GAP) + GAP,
        top + len(rows) * (cell[1] + GAP) + GAP,
    )
    sheet = Image.new("RGB", size, (24, 24, 24))
    draw = ImageDraw.Draw(sheet)
    for j, caption in enumerate(captions):
        left = GAP + j * (cell[0] + GAP)
        draw.text((left + 2, 3), caption, font=font, fill=(235, 235, 235))
        for i, row in enumerate(rows):
            picture = Image.fromarray(row[j]).resize(cell, Image.Resampling.NEAREST)
            sheet.paste(picture, (left, top + GAP + i * (cell[1] + GAP)))
    return sheet


def save(picture: Image.Image, path: Path) -> Path:
    """Writes a PNG that is whole whenever it is there; makes its folder.

    Raises:
      ResourceError: There is no room, or no permission.
    """
    with storage.writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        with storage.whole_file(path) as file:
            picture.save(file, format="PNG")
    return path
