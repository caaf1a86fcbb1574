"""What a folder of cases holds, taken together.

Numpy only: it is gathered in worker processes, which start faster without JAX.
"""

from collections import Counter
from collections.abc import Sequence
import dataclasses

from jaxtyping import UInt8
from nibabel import orientations
import numpy as np

from jaxsyn import pictures
from jaxsyn.data.cases import CaseVolumes
from jaxsyn.data.grid import Grid
from jaxsyn.spec import Label

THUMBNAIL = 96  # Pixels along a side.
_PERCENTILES = (0.1, 50.0, 99.9)
_SHOWN = 6  # Different grids or spacings; more are only counted.


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Facts:
    """What one case holds.

    Attributes:
      shape: Voxels along its axes.
      spacing_mm: Of them.
      orientation: Where its axes run to, as "LPS".
      voxels: How many have each index of the label table.
      ranges: For each modality three percentiles (0.1, 50, 99.9) in the brain.
      thumbnail: The axial slice with most lesion: label indices, and after it the
        images, black to white between their percentiles, [1 + C, 96, 96].
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    orientation: str
    voxels: tuple[int, ...]
    ranges: tuple[tuple[float, ...], ...]
    thumbnail: UInt8[np.ndarray, "c s s"]


def of_case(volumes: CaseVolumes, labels: Sequence[Label]) -> Facts:
    """Looks at one case."""
    brain = volumes.brain if volumes.brain.any() else volumes.foreground
    ranges = [np.percentile(i[brain], _PERCENTILES) for i in volumes.images]
    spacing = np.linalg.norm(volumes.affine[:3, :3], axis=0)
    return Facts(
        shape=volumes.label.shape,
        spacing_mm=tuple(np.round(spacing, 3).tolist()),
        orientation="".join(orientations.aff2axcodes(volumes.affine)),
        voxels=tuple(np.bincount(volumes.label.flat, minlength=len(labels)).tolist()),
        ranges=tuple(tuple(map(float, found)) for found in ranges),
        thumbnail=_thumbnail(volumes, labels, ranges),
    )


def summary(
    facts: Sequence[Facts], modalities: Sequence[str], labels: Sequence[Label]
) -> list[str]:
    """Lines on what cases that can be used hold, together."""
    voxels = np.array([case.voxels for case in facts])
    lines = [
        f"grids        {_counted('×'.join(map(str, case.shape)) for case in facts)}",
        f"spacing, mm  {_counted(_spacing(case.spacing_mm) for case in facts)}",
        f"orientation  {_counted(case.orientation for case in facts)}",
    ]
    for name, found in zip(
        modalities, zip(*(c.ranges for c in facts), strict=True), strict=True
    ):
        low, middle, high = np.median(found, axis=0)
        least, most = np.min(found), np.max(found)
        lines.append(
            f"{name:12} {low:.4g} to {high:.4g} in the brain, median {middle:.4g};"
            f" over all cases {least:.4g} to {most:.4g}"
        )
    for index, label in enumerate(labels):
        share = voxels[:, index].sum() / voxels.sum()
        holding = np.count_nonzero(voxels[:, index])
        lines.append(f"{label.name:12} {share:.3%} of voxels, in {holding} cases")
    return lines


def _thumbnail(volumes, labels, ranges):
    grid = Grid.upright(volumes.affine, volumes.label.shape)
    known = [i for i, label in enumerate(labels) if i and label.values]
    lesion = grid.orient(np.isin(volumes.label, known))
    centre = pictures.busiest(lesion if lesion.any() else np.ones_like(lesion))
    spacing = np.linalg.norm(volumes.affine[:3, :3], axis=0)[list(grid.axes)]
    cuts = [grid.orient(volumes.label)]
    for image, (low, _, high) in zip(volumes.images, ranges, strict=True):
        scaled = (grid.orient(image) - low) / max(high - low, 1e-9)
        cuts.append((np.clip(scaled, 0, 1) * 255).astype(np.uint8))
    shown = [pictures.cuts(c, centre, THUMBNAIL, spacing, fill=0)[0] for c in cuts]
    return np.stack(shown)


def _spacing(spacing_mm):
    return "×".join(f"{mm:g}" for mm in spacing_mm)


def _counted(values):
    counts = Counter(values).most_common()
    shown = ", ".join(f"{value} ({count})" for value, count in counts[:_SHOWN])
    return shown + f", {len(counts) - _SHOWN} more" * (len(counts) > _SHOWN)
