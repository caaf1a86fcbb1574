"""From one case's volumes to normalised square slices.

Numpy only: this runs in worker processes, which start faster without JAX.
"""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any, Literal

from jaxtyping import Bool, Num, UInt8, UInt16
import numpy as np

from jaxsyn.data import foregrounds, steps
from jaxsyn.data.cases import CaseVolumes
from jaxsyn.data.grid import PLANES, Grid, Order
from jaxsyn.data.native import Native
from jaxsyn.errors import DataError, UsageError
from jaxsyn.spec import IntensityMap

LEVELS = 65535


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrepareSettings:
    """Everything that decides what a prepared set holds, besides its source files.

    Attributes:
      image_size: Side of the square slices, in pixels.
      fit: "pad" keeps the voxels' size and pads (or, around the brain, cuts) to
        `image_size`; "resize" scales, images bilinearly and labels to the nearest.
      crop: "brain" takes a square around the brain, the same for all slices of a
        case; "none" takes the whole image.
      crop_margin: Voxels left around the brain.
      plane: "axial", "coronal" or "sagittal": which slices are taken.
      foreground: How the brain, or whatever images are of, is found where no mask is
        given: "nonzero", "otsu" or "all"; see `foregrounds.find`.
      steps: What is done with volumes before; see the package `steps`.
      intensity: How intensities are scaled to [-1, 1], and clipped there. "range":
        between two percentiles of a volume's brain. "zscore": `deviations` below and
        above their mean in the brain. "window": from `window[0]` to `window[1]`, as
        Hounsfield units are.
      low_percentile: With "range", the percentile that becomes -1 if the volume's
        minimum is not 0; if it is, 0 becomes -1.
      high_percentile: The one that becomes 1.
      deviations: Of the standard deviation, with "zscore".
      window: With "window".
      min_foreground: The least share of a slice's pixels that must be brain for the
        slice to be kept; 0 keeps all, and 1e-9 those with any. Where there are label
        maps alone, what has a label stands for the brain, here and in `crop`.
      split: What is divided into parts: "patient", or "slice", which puts slices of
        one patient into training and test.
      fractions: Of patients (or slices) in train, validation and test.
      split_seed: Which division of that kind.
      split_file: A division to use instead, as written beside a prepared set.
    """

    image_size: int = 256
    fit: Literal["pad", "resize"] = "pad"
    crop: Literal["none", "brain"] = "none"
    crop_margin: int = 4
    plane: Literal["axial", "coronal", "sagittal"] = "axial"
    foreground: Literal["nonzero", "otsu", "all"] = "nonzero"
    steps: Sequence[str | Mapping[str, Any]] = ()
    intensity: Literal["range", "zscore", "window"] = "range"
    low_percentile: float = 0.1
    high_percentile: float = 99.9
    deviations: float = 4.0
    window: tuple[float, float] = (0.0, 0.0)
    min_foreground: float = 0.01
    split: Literal["patient", "slice"] = "patient"
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    split_seed: int = 0
    split_file: str = ""

    def __post_init__(self):
        for name in ("fractions", "steps", "window"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        steps.build(self.steps)
        _check_word("fit", self.fit, ("pad", "resize"))
        _check_word("plane", self.plane, PLANES)
        _check_word("foreground", self.foreground, foregrounds.FOREGROUNDS)
        _check_word("intensity", self.intensity, ("range", "zscore", "window"))
        _check_that(self.deviations > 0, "deviations", self.deviations, "positive")
        _check_that(
            self.intensity != "window"
            or (len(self.window) == 2 and self.window[0] < self.window[1]),
            "window",
            self.window,
            "two intensities in rising order",
        )
        _check_word("crop", self.crop, ("none", "brain"))
        _check_word("split", self.split, ("patient", "slice"))
        _check_that(self.image_size >= 1, "image_size", self.image_size, "positive")
        _check_that(self.crop_margin >= 0, "crop_margin", self.crop_margin, "0 or more")
        _check_that(
            0 <= self.low_percentile < self.high_percentile <= 100,
            "low_percentile, high_percentile",
            (self.low_percentile, self.high_percentile),
            "in rising order between 0 and 100",
        )
        _check_that(
            0 <= self.min_foreground < 1,
            "min_foreground",
            self.min_foreground,
            "at least 0 and less than 1",
        )
        _check_that(
            len(self.fractions) == 3
            and min(self.fractions) >= 0
            and abs(sum(self.fractions) - 1) < 1e-6,
            "fractions",
            self.fractions,
            "three shares (train, validation, test) that add up to 1",
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CaseInfo:
    """How a case was prepared: enough to take its slices back.

    Attributes:
      case: Its name, unique in the set.
      patient: Whose it is.
      kept: Indices of its slices, counted from the most inferior, posterior or left.
      intensities: For each modality, the map it was normalised with.
      grid: Where the slices are in the volume.
      affine: 4×4, from the volume's voxel indices to RAS+ millimetres.
      notes: What its reader noticed.
      native: The files' own grid, if steps of the preparation have left it.
    """

    case: str
    patient: str
    kept: tuple[int, ...]
    intensities: tuple[IntensityMap, ...]
    grid: Grid
    affine: tuple[tuple[float, ...], ...]
    notes: tuple[str, ...] = ()
    native: Native | None = None

    @property
    def native_affine(self) -> Num[np.ndarray, "4 4"]:
        """From the files' voxel indices to RAS+ millimetres."""
        return np.array(self.native.affine if self.native else self.affine)

    def volume(
        self, slices: Num[np.ndarray, "n h w"], order: Order, fill: float = 0
    ) -> Num[np.ndarray, "x y z"]:
        """Puts its slices, or others in their places, back onto the files' grid.

        Args:
          slices: [N, size, size], as many as are kept.
          order: "linear" for images (then float32), "nearest" for labels.
          fill: What voxels outside the window and in other slices hold.
        """
        made = self.grid.volume(slices, list(self.kept), order=order, fill=fill)
        if not self.native:
            return made
        return self.native.carry(made, np.array(self.affine), order=order, fill=fill)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of prepared slices, rows and columns."""
        voxel = np.linalg.norm(np.asarray(self.affine)[:3, :3], axis=0)
        depth, height, width = (float(voxel[axis]) for axis in self.grid.axes)
        scale = self.grid.side / self.grid.size
        return depth, height * scale, width * scale

    def to_json(self) -> dict[str, Any]:
        """A dictionary that `json` can write."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "CaseInfo":
        """Reads what `to_json` gave, after a trip through JSON."""
        return cls(
            case=data["case"],
            patient=data["patient"],
            kept=tuple(data["kept"]),
            intensities=tuple(IntensityMap(**m) for m in data["intensities"]),
            grid=Grid.from_json(data["grid"]),
            affine=tuple(map(tuple, data["affine"])),
            notes=tuple(data["notes"]),
            native=Native.from_json(data["native"]) if data.get("native") else None,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreparedCase:
    """A case's slices.

    Attributes:
      image: Quantised intensities, channels in the order of the modalities.
      label: Indices into the label table.
      info: How they were made.
    """

    image: UInt16[np.ndarray, "n h w c"]
    label: UInt8[np.ndarray, "n h w"]
    info: CaseInfo


def prepare_case(
    volumes: CaseVolumes, settings: PrepareSettings, *, case: str, patient: str
) -> PreparedCase:
    """Normalises, cuts and quantises one case, after the steps that are asked for.

    Raises:
      DataError: There is no brain, an image is constant in it, or no slice holds
        enough of it.
      UsageError: The images do not fit into `image_size` without resizing.
    """
    for step in steps.build(settings.steps):
        volumes = step(volumes)
    grid = Grid.lay(
        volumes.affine,
        volumes.foreground,
        size=settings.image_size,
        fit=settings.fit,
        crop=settings.crop,
        margin=settings.crop_margin,
        plane=settings.plane,
    )
    kept = _kept_slices(grid, volumes.foreground, settings.min_foreground)
    maps = tuple(
        intensity_map(image, volumes.foreground, settings) for image in volumes.images
    )
    return PreparedCase(
        image=_quantised(volumes, grid, kept, maps),
        label=grid.shrink(grid.slices(volumes.label, kept), "nearest"),
        info=CaseInfo(
            case=case,
            patient=patient,
            kept=tuple(kept.tolist()),
            intensities=maps,
            grid=grid,
            affine=tuple(map(tuple, np.asarray(volumes.affine, float).tolist())),
            notes=tuple(volumes.notes),
            native=volumes.native,
        ),
    )


def intensity_map(
    image: Num[np.ndarray, "x y z"],
    foreground: Bool[np.ndarray, "x y z"],
    settings: PrepareSettings,
) -> IntensityMap:
    """Finds the range of a volume's intensities in the brain; see the settings.

    Raises:
      DataError: No voxel is brain, or all of them are equal.
    """
    brain = image[foreground]
    if not brain.size:
        raise DataError(
            "There is no brain in the images: every voxel is background.",
            hint="Check the files, or leave the case out.",
        )
    if settings.intensity == "window":
        return IntensityMap(low=settings.window[0], high=settings.window[1])
    if settings.intensity == "zscore":
        mean = float(brain.mean(dtype=np.float64))
        reach = settings.deviations * float(brain.std(dtype=np.float64))
        return IntensityMap(low=mean - reach, high=mean + reach)
    percentiles = settings.low_percentile, settings.high_percentile
    low, high = np.percentile(brain, percentiles)
    return IntensityMap(low=0.0 if image.min() == 0 else float(low), high=float(high))


def quantise(images: Num[np.ndarray, "*shape"]) -> UInt16[np.ndarray, "*shape"]:
    """Rounds [-1, 1] to the 65536 levels of uint16."""
    return np.rint((images + 1.0) * (LEVELS / 2)).astype(np.uint16)


def dequantise(images: UInt16[np.ndarray, "*shape"]) -> np.ndarray:
    """Takes uint16 back to float32 in [-1, 1]; off by at most 1/65535."""
    return images.astype(np.float32) / LEVELS * 2.0 - 1.0


def _kept_slices(grid, foreground, min_foreground):
    """Indices of the slices in which at least this share of pixels is brain."""
    brain = grid.slices(foreground, slice(None))
    kept = np.flatnonzero(brain.mean(axis=(1, 2)) >= min_foreground)
    if not kept.size:
        raise DataError(
            f"No slice has {min_foreground:.1%} of its pixels in the brain.",
            hint="Check the files, or set min_foreground lower.",
        )
    return kept


def _quantised(volumes, grid, kept, maps):
    """The slices of all modalities, [N, size, size, C] in uint16."""
    slices = np.empty((len(kept), grid.size, grid.size, len(maps)), np.uint16)
    # A few slices at a time stay in the processor's cache: three times as fast.
    for some in np.array_split(np.arange(len(kept)), -(-len(kept) // 4)):
        outside = ~grid.slices(volumes.foreground, kept[some])
        for channel, intensities in enumerate(maps):
            window = grid.slices(volumes.images[channel], kept[some])
            window = window.astype(np.float32)
            np.copyto(window, intensities.low, where=outside)
            images = intensities.apply(grid.shrink(window, "linear"))
            slices[some, ..., channel] = quantise(images)
    return slices


def _check_word(name, value, known):
    if value not in known:
        raise UsageError(
            f"Unknown {name} {value!r}.", hint=f"Known are: {', '.join(known)}."
        )


def _check_that(fine, name, value, expected):
    if not fine:
        raise UsageError(f"{name} is {value}.", hint=f"It must be {expected}.")
