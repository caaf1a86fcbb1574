"""Contact sheets: a case's volumes cut along all three axes."""

from collections.abc import Sequence
import itertools
from pathlib import Path

import numpy as np

from jaxsyn import pictures
from jaxsyn.spec import DataSpec
from jaxsyn.synthesis.cases import SyntheticCase


def save_case(case: SyntheticCase, spec: DataSpec, path: Path) -> Path:
    """Draws axial, coronal and sagittal cuts through a case's largest lesion.

    Args:
      case: With its images.
      spec: What its arrays mean.
      path: Of the PNG.
    """
    lesion = np.isin(case.label, [i for i in spec.classes if i])
    centre = pictures.busiest(lesion if lesion.any() else case.label > 0)
    shown = centre, spec.image_size, case.info.spacing_mm
    columns = [
        [
            pictures.colour_labels(cut, spec.labels)
            for cut in pictures.cuts(case.label, *shown, fill=0)
        ]
    ]
    for channel in range(len(spec.modalities)):
        image = case.image[..., channel]
        columns.append([pictures.grey(cut) for cut in pictures.cuts(image, *shown)])
    rows = [list(row) for row in zip(*columns, strict=True)]
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
