"""Segmentations judged against references: cases in, a table out.

Declare `SegmentationMetrics` once, give each pair of label maps to its `case`, and all
that it returned to its `table`, which prints as Markdown.
"""

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import functools
import math
import operator

import numpy as np

from jaxsyn.errors import UsageError
from jaxsyn.metrics import conventions, masks, measure, overlap
from jaxsyn.metrics.lesions import LesionSettings
from jaxsyn.metrics.regions import Declared, declared
from jaxsyn.metrics.segmentation_table import Table, Unit, tabulate
from jaxsyn.metrics.surface import SurfaceSettings

DEFAULT = ("dice", "sensitivity", "specificity", "precision", "hd95", "assd")
REDUCTIONS = {
    "volume": "one value a case",
    "slice": "one value a slice, surfaces in 2D",
    "pool": "voxels of all cases counted together",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentationMetrics:
    """What is measured, and how values become a table.

    Attributes:
      regions: What is judged as one mask each: `{"WT": (1, 2, 4)}`, with label values
        as they stand in the maps, or `jaxsyn.metrics.regions.BRATS`.
      metrics: Names of `jaxsyn.metrics.measure.ALL`, in the table's order.
      empty: What empty masks count for: a name of `conventions.CONVENTIONS`.
      reduce: "volume", each case is one value; "slice", each slice is one; or "pool",
        voxels right and wrong are added up over all cases before ratios are made of
        them, which weights cases by size and has no surfaces and lesions.
      slice_axis: The axis that numbers slices, 0 for arrays [slice, row, column].
      surface: Definitions of surface distances, and the tolerance of NSD.
      lesions: What is a lesion, and when it is found.
    """

    regions: Declared
    metrics: Sequence[str] = DEFAULT
    empty: str = "nan"
    reduce: str = "volume"
    slice_axis: int = 0
    surface: SurfaceSettings = SurfaceSettings()
    lesions: LesionSettings = LesionSettings()

    def __post_init__(self):
        object.__setattr__(self, "regions", declared(self.regions))
        conventions.rules(self.empty)
        if self.reduce not in REDUCTIONS:
            raise UsageError(
                f"No reduction {self.reduce!r}.",
                hint=f"There are: {', '.join(REDUCTIONS)}.",
            )
        if self.slice_axis not in range(3):
            raise UsageError(
                f"No axis {self.slice_axis} numbers the slices of a volume.",
                hint="It is 0, 1 or 2: 0 for arrays [slice, row, column].",
            )
        known = measure.OVERLAP if self.reduce == "pool" else measure.ALL
        unknown = [name for name in self.metrics if name not in known]
        if unknown or not self.metrics:
            raise UsageError(
                f"No metrics {unknown} with reduce={self.reduce!r}.",
                hint=f"There are: {', '.join(known)}. Surfaces and lesions cannot be"
                " pooled: they belong to a case or a slice.",
            )

    def case(
        self,
        prediction: np.ndarray,
        reference: np.ndarray,
        *,
        spacing: Sequence[float],
        affines: tuple[np.ndarray, np.ndarray] | None = None,
        name: str = "",
    ) -> tuple[Unit, ...]:
        """Judges a case.

        Args:
          prediction: Integer label map [H, W] or [X, Y, Z].
          reference: Integer label map of the same shape.
          spacing: Distance of neighbouring voxels along each axis, in mm, in the
            order of the arrays' axes.
          affines: 4x4 voxel-to-mm matrices of prediction and reference. If given,
            they must put each voxel in the same place, to 1e-3 mm.
          name: Named in errors and kept.

        Returns:
          What `table` takes: one unit, or with "slice" one for each slice of a volume.

        Raises:
          DataError: Shapes, types, spacing or affines do not fit; or an empty mask
            met a convention that refuses it.
        """
        masks.check_pair(prediction, reference)
        mm = masks.check_spacing(spacing, reference.ndim)
        if affines is not None:
            masks.check_affines(*affines, reference.shape)
        if self.reduce != "slice" or reference.ndim == 2:
            return (self._unit(prediction, reference, mm, name),)
        axis = self.slice_axis
        in_plane = tuple(np.delete(mm, axis))
        slices = zip(
            np.moveaxis(prediction, axis, 0),
            np.moveaxis(reference, axis, 0),
            strict=True,
        )
        return tuple(
            self._unit(*pair, in_plane, f"{name}[{i}]") for i, pair in enumerate(slices)
        )

    def table(self, units: Iterable[Unit]) -> Table:
        """Means and standard deviations over what `case` returned, of all cases.

        Raises:
          UsageError: There are no units.
          DataError: Pooled, a ratio is undefined, and the convention refuses that.
        """
        units = list(units)
        cases = len(units)
        if not units:
            raise UsageError(
                "A table of no cases was asked for.",
                hint="Judge a case first: SegmentationMetrics.case.",
            )
        if self.reduce == "pool":
            units = [self._pooled(units)]
        return tabulate(
            units,
            metrics=self.metrics,
            convention=self.empty,
            reduction=f"{self.reduce} ({REDUCTIONS[self.reduce]})",
            count=cases,
            settings=self._used_settings(),
        )

    def _unit(self, prediction, reference, mm, name):
        diagonal = math.hypot(*np.multiply(reference.shape, mm))
        values, decided, counts = {}, {}, {}
        for region in self.regions:
            pair = region.mask(prediction), region.mask(reference)
            counts[region.name] = overlap.count(*pair)
            if self.reduce == "pool":
                continue
            measured = measure.of_counts(counts[region.name], self.metrics)
            measured |= measure.of_masks(
                *pair,
                self.metrics,
                spacing=mm,
                surface=self.surface,
                lesions=self.lesions,
            )
            where = f"of {region.name} in {name or 'the case'}"
            values[region.name], decided[region.name] = self._decide(
                measured, diagonal, where
            )
        return Unit(name=name, values=values, decided=decided, counts=counts)

    def _pooled(self, units):
        """One unit, of the counts of many."""
        values, decided, counts = {}, {}, {}
        for name in (region.name for region in self.regions):
            counts[name] = functools.reduce(
                operator.add, (unit.counts[name] for unit in units)
            )
            measured = measure.of_counts(counts[name], self.metrics)
            values[name], decided[name] = self._decide(
                measured, math.nan, f"of {name}, pooled,"
            )
        return Unit(name="pooled", values=values, decided=decided, counts=counts)

    def _decide(self, measured, diagonal_mm, where):
        """Values under the convention, and the names of those that it decided."""
        values, decided = {}, []
        for name in self.metrics:
            values[name], by_convention = conventions.decide(
                self.empty,
                name,
                measured[name],
                diagonal_mm=diagonal_mm,
                where=where,
            )
            decided += [name] * by_convention
        return values, tuple(decided)

    def _used_settings(self) -> Mapping[str, str]:
        """Definitions that matter for the metrics of the table, in words."""
        about = {
            "hd": f"{self.surface.hd} of the directed distances",
            "hd95": f"{self.surface.hd95} percentile",
            "assd": f"{self.surface.assd} mean",
            "nsd": f"tolerance {self.surface.tolerance_mm:g} mm",
            "lesion_f1": f"IoU from {self.lesions.min_iou:g} on,"
            f" lesions from {self.lesions.min_volume_mm3:g} mm3 on",
        }
        return {name: about[name] for name in self.metrics if name in about}
