"""One phantom patient: images and mask, decided by a seed and a number."""

from collections.abc import Mapping
import dataclasses

import numpy as np
from threadpoolctl import threadpool_limits

from jaxsyn.data.phantom import modalities, scanner
from jaxsyn.data.phantom.anatomy import Anatomy, Tissue
from jaxsyn.data.phantom.fields import Grid
from jaxsyn.data.phantom.lesions import Lesion, no_lesion
from jaxsyn.data.phantom.stroke import Infarct
from jaxsyn.data.phantom.template import Template
from jaxsyn.data.phantom.tumour import Tumour
from jaxsyn.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Kind:
    """What a kind of patient has, and what images are taken of it."""

    modalities: Mapping[str, modalities.Modality]
    lesion: type[Tumour] | type[Infarct] | None


KINDS = {
    "tumour": Kind(modalities.TUMOUR, Tumour),
    "healthy": Kind(modalities.TUMOUR, None),
    "stroke-dwi": Kind(modalities.STROKE_DWI, Infarct),
    "stroke-ctp": Kind(modalities.STROKE_CTP, Infarct),
}
# The brain sits a little forward and low in the image, as in BraTS: shares of its
# extent along y and z.
_OFF_CENTRE = (0.0, 10 / 240, 5 / 155)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What decides a set of phantoms, apart from the number of patients.

    Attributes:
      seed: Any integer from 0.
      kind: One of `KINDS`.
      shape: Voxels of an image.
      spacing_mm: Size of a voxel.

    Raises:
      UsageError: A value is out of range.
    """

    seed: int
    kind: str = "tumour"
    shape: tuple[int, int, int] = (240, 240, 155)
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __post_init__(self):
        _check(self.seed >= 0, f"seed {self.seed}", "0 or more")
        _check(self.kind in KINDS, f"kind {self.kind!r}", f"one of {', '.join(KINDS)}")
        sound = len(self.shape) == 3 and all(1 <= n <= 1024 for n in self.shape)
        _check(sound, f"shape {self.shape}", "three numbers of voxels from 1 to 1024")
        sound = len(self.spacing_mm) == 3 and all(
            0.2 <= s <= 20 for s in self.spacing_mm
        )
        _check(sound, f"spacing {self.spacing_mm} mm", "0.2 to 20 mm along each axis")

    def grid(self) -> Grid:
        """Where the voxels lie; the array's axes run left, back and up (LPS)."""
        shape, size = np.array(self.shape), np.array(self.spacing_mm)
        step = size * (-1, -1, 1)
        origin = -step * (shape - 1) / 2 + size * shape * _OFF_CENTRE
        return Grid(tuple(origin.tolist()), tuple(step.tolist()), self.shape)


def _check(sound: bool, got: str, expected: str) -> None:
    if not sound:
        raise UsageError(f"The phantom's {got} is not {expected}.")


@dataclasses.dataclass(frozen=True)
class Head:
    """A patient before images are taken.

    Attributes:
      box: The part of the image that the head fills; the rest is air.
      grid: Its voxels.
      tissue: The brain on the grid.
      lesion: The lesion on the grid.
    """

    box: tuple[slice, slice, slice]
    grid: Grid
    tissue: Tissue
    lesion: Lesion


class Phantom:
    """A set of patients, drawn one by one; can be sent to another process."""

    def __init__(self, settings: Settings, template: Template):
        """Prepares the average brain for the settings' spacing."""
        self.settings = settings
        self._template = template
        self._averaged = template.averaged(settings.spacing_mm)

    def draw(self, index: int) -> dict[str, np.ndarray]:
        """Draws patient `index`, from 1, who depends on that and the settings alone.

        Returns:
          Images by modality, int16 (float32 for perfusion maps), above 0 in the brain
          and 0 outside, and the label map `mask`, uint8; all of the settings' shape.
          Values of the mask: 1 necrotic, 2 oedema, 4 enhancing, or 1 infarct.

        Raises:
          UsageError: The field of view holds no place for a lesion.
        """
        # The matrices are small: threads would cost more than they bring.
        with threadpool_limits(1):
            head = self.head(index)
            volumes = {"mask": head.lesion.labels}
            for name, modality in KINDS[self.settings.kind].modalities.items():
                rng = self._rng(index, name)
                shares = head.lesion.shares
                volumes[name] = scanner.acquire(
                    modality, head.tissue, shares, head.grid, rng
                )
        return {name: self._padded(v, head.box) for name, v in volumes.items()}

    def head(self, index: int) -> Head:
        """What is in the head of patient `index`, before images are taken."""
        lesion_of_kind = KINDS[self.settings.kind].lesion
        view = self.settings.grid()
        anatomy = Anatomy(self._template, self._rng(index, "anatomy"))
        lesion = None
        if lesion_of_kind:
            lesion = lesion_of_kind(anatomy, view, self._rng(index, "lesion"))
        box = view.box(*anatomy.bounds())
        grid = view.crop(box)
        tissue = anatomy.tissue(grid, self._averaged)
        found = lesion.on(grid, tissue) if lesion else no_lesion(grid)
        return Head(box, grid, tissue, found)

    def _rng(self, index: int, stream: str) -> np.random.Generator:
        """Randomness for one purpose, so that none depends on another's draws."""
        return np.random.default_rng([self.settings.seed, index, *stream.encode()])

    def _padded(self, volume: np.ndarray, box) -> np.ndarray:
        """`volume` at `box` of a volume of zeros of the settings' shape."""
        whole = np.zeros(self.settings.shape, volume.dtype)
        whole[box] = volume
        return whole
