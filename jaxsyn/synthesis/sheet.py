"""Contact sheets: a case's volumes cut along all three axes."""

from collections.abc import Sequence
import itertools
from pathlib import Path

import numpy as np

from jaxsyn import pictures
from jaxsyn.data.grid import resize
from jaxsyn.spec import DataSpec
from jaxsyn.synthesis.cases import SyntheticCase


def save_case(case: SyntheticCase, spec: DataSpec, path: Path) -> Path:
    """Draws axial, coronal and sagittal cuts through a case's largest lesion.

    Args:
      case: With its images.
      spec: What its arrays mean.
      path: Of the PNG.
    """
    centre = _centre(case.label, spec)
    shown = case.info.spacing_mm, spec.image_size
    rows = []
    for axis in range(3):
        cut = [slice(None)] * 3
        cut[axis] = centre[axis]
        label = _upright(case.label[tuple(cut)], axis, *shown)
        row = [pictures.colour_labels(label, spec.labels)]
        for channel in range(len(spec.modalities)):
            image = case.image[(*cut, channel)]
            row.append(pictures.grey(_upright(image, axis, *shown)))
        rows.append(row)
    return pictures.save(pictures.grid(rows, ["labels", *spec.modalities]), path)


def save_rejected(
    examples: Sequence[tuple[np.ndarray, str]], spec: DataSpec, path: Path
) -> Path:
    """Draws rejected label maps [H, W], a column for each reason."""
    columns: dict[str, list[np.ndarray]] = {}
    for label, reason in examples:
        painted = pictures.colour_labels(label, spec.labels)
        columns.setdefault(reason, []).append(painted)
    blank = np.zeros_like(painted)
    rows = itertools.zip_longest(*columns.values(), fillvalue=blank)
    return pictures.save(pictures.grid([*map(list, rows)], [*columns]), path)


def _centre(label, spec):
    """The slice, row and column that cut through most of what is not brain."""
    lesion = np.isin(label, [i for i in spec.classes if i])
    if not lesion.any():
        lesion = label > 0
    return [
        int(np.argmax(lesion.sum(axis=tuple({0, 1, 2} - {axis})))) for axis in range(3)
    ]


def _upright(cut, axis, spacing, size):
    """A cut as a square picture in its true proportions, the top of the head up."""
    if axis:
        cut = cut[::-1]  # Slices are counted from the bottom.
    height, _ = cut.shape
    down = (spacing[1], spacing[0], spacing[0])[axis]
    across = (spacing[2], spacing[2], spacing[1])[axis]
    tall = max(1, round(height * down / across))
    rows = np.minimum((np.arange(tall) + 0.5) * height / tall, height - 1).astype(int)
    cut = cut[rows]
    side = max(cut.shape)
    above, before = (side - cut.shape[0]) // 2, (side - cut.shape[1]) // 2
    square = np.full((side, side), cut.min(), cut.dtype)
    square[above : above + cut.shape[0], before : before + cut.shape[1]] = cut
    return resize(square[None], size, "nearest")[0]
