"""What a job measures of segmentations, as its configuration says it."""

from collections.abc import Mapping, Sequence
import dataclasses

from jaxsyn.metrics.segmentation import DEFAULT, SegmentationMetrics
from jaxsyn.metrics.surface import SurfaceSettings
from jaxsyn.spec import DataSpec


@dataclasses.dataclass(frozen=True, kw_only=True)
class MetricSettings:
    """Regions by the names of their classes, and what is measured of them.

    Attributes:
      regions: For each region its classes, `{"WT": ("necrotic", "oedema")}`: labels
        that files have values for, or what these are merged into. None: each of them
        but the background.
      names: Of metrics; see `jaxsyn.metrics.segmentation`.
      empty: The convention for empty masks.
      reduce: `volume`, `slice` or `pool`.
      hd: Of the directed Hausdorff distances, `max` or `mean`.
      hd95: `pooled` or `max`.
      assd: `pooled` or `mean`.
      nsd_tolerance_mm: Tolerance of the surface Dice.
      loss: Whether a judge also takes the training's loss of the test part.
    """

    regions: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    names: Sequence[str] = DEFAULT
    empty: str = "nan"
    reduce: str = "volume"
    hd: str = "max"
    hd95: str = "pooled"
    assd: str = "pooled"
    nsd_tolerance_mm: float = 1.0
    loss: bool = False

    def for_spec(self, spec: DataSpec) -> SegmentationMetrics:
        """The metrics for label maps of indices into `spec.labels`.

        Raises:
          UsageError: A class, metric or convention is not known.
        """
        found = zip(spec.class_names, spec.classes, strict=True)
        regions = self.regions or {name: (name,) for name, index in found if index}
        return SegmentationMetrics(
            regions={
                name: tuple(map(spec.class_index, classes))
                for name, classes in regions.items()
            },
            metrics=tuple(self.names),
            empty=self.empty,
            reduce=self.reduce,
            surface=SurfaceSettings(
                hd=self.hd,
                hd95=self.hd95,
                assd=self.assd,
                tolerance_mm=self.nsd_tolerance_mm,
            ),
        )

    def validation(self, spec: DataSpec) -> SegmentationMetrics:
        """Dice alone, undefined where both are empty: what weights are chosen by."""
        chosen = dataclasses.replace(self, names=("dice",), empty="nan")
        if self.reduce == "pool":
            chosen = dataclasses.replace(chosen, reduce="volume")
        return chosen.for_spec(spec)
