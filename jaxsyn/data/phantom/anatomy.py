"""Healthy brains: random smooth deformations of the average brain."""

import dataclasses
import math

import numpy as np

from jaxsyn.data.phantom.fields import Field, Grid
from jaxsyn.data.phantom.template import Template

# Centre of the template's brain in MNI coordinates, and how much smaller than it
# the brains of BraTS are: its SRI24 atlas is smaller than MNI152.
_CENTRE_MNI = np.array([0.0, -18.0, 6.0], np.float32)
_MEAN_SCALE = 0.885
_LATERAL_VENTRICLES = ((-14.0, -20.0, 16.0), (14.0, -20.0, 16.0))
# What moves within the brain dies out this near to its surface.
_SKULL_MM = 10.0
# A coarse look at all of a brain.
SURVEY = Grid.around((0, 0, 0), 4.0, 100.0)


@dataclasses.dataclass(frozen=True)
class Push:
    """Tissue driven away from a centre, as by a growing mass.

    Attributes:
      centre: In MNI coordinates, mm; it stays where it is.
      radius: How far the push reaches, in mm.
      strength: Share by which the centre is stretched, below 1; negative pulls.
    """

    centre: tuple[float, float, float]
    radius: float
    strength: float

    def source(self, mni: np.ndarray, hold: np.ndarray) -> np.ndarray:
        """Where the tissue now at `mni` [3, n] came from; `hold` [n] damps it."""
        arm = mni - np.asarray(self.centre, np.float32)[:, None]
        reach = np.exp(-np.square(arm).sum(0) / (2 * self.radius**2))
        return mni - self.strength * hold * reach * arm


@dataclasses.dataclass(frozen=True)
class Tissue:
    """What a brain is made of on a grid; zero outside the brain.

    Attributes:
      brain: bool; everything inside the skull, fluid included.
      csf: Share of cerebrospinal fluid, float32 in [0, 1].
      grey: Share of grey matter.
      white: Share of white matter; the three sum to 1 inside the brain.
      mni: MNI coordinates of the brain's voxels, mm, float32 [3, brain.sum()].
    """

    brain: np.ndarray
    csf: np.ndarray
    grey: np.ndarray
    white: np.ndarray
    mni: np.ndarray


class Anatomy:
    """One person's brain, as a function of position."""

    def __init__(self, template: Template, rng: np.random.Generator):
        """Draws shape, size, tilt, cortical thickness, sulci and ventricles."""
        self._template = template
        angles = np.radians(3.0 * np.clip(rng.standard_normal(3), -2, 2))
        size = _MEAN_SCALE * math.exp(0.025 * np.clip(rng.standard_normal(), -2, 2))
        aspect = np.exp(0.02 * np.clip(rng.standard_normal(3), -2, 2))
        self._to_mni = (_rotation(angles) / (size * aspect)).astype(np.float32)
        self._shape = _random_warp(rng, 50.0, 2.3)
        self._folds = [_random_warp(rng, 18.0, 2.0), _random_warp(rng, 9.0, 1.2)]
        self._atrophy = rng.uniform(-0.2, 1.5)
        self._sulci = Field.random(rng, 12.0)
        self._cortex = Field.random(rng, 15.0)
        self._margin_mm = rng.uniform(-0.6, 1.0)
        self._pushes = [
            Push(centre, 18.0, rng.uniform(-0.15, 0.4))
            for centre in _LATERAL_VENTRICLES
        ]

    def push(self, centre_mm, radius: float, strength: float) -> None:
        """Adds the mass effect of a lesion at `centre_mm`, a position of ours."""
        point = Grid.around(centre_mm, 1.0, 0.0)
        centre = self._locate(point)[1][:, 0]
        self._pushes.append(Push(tuple(centre.tolist()), radius, strength))

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Two corners, in mm, between which the brain lies."""
        brain, _ = self._locate(SURVEY)
        places = SURVEY.positions()[:, brain]
        margin = SURVEY.step[0]
        return places.min(1) - margin, places.max(1) + margin

    def tissue(self, grid: Grid, template: Template | None = None) -> Tissue:
        """The brain on a grid.

        Args:
          grid: Where.
          template: One blurred for the grid's steps, if they are large.
        """
        brain, mni = self._locate(grid)
        template = template or self._template
        grey = template.sample("grey", mni) / 255
        white = template.sample("white", mni) / 255
        # The template is an average: steeper log odds give back a person's contrast,
        # and shifting them widens or narrows sulci and cortex.
        fluid = _logit(1 - grey - white)
        fluid = _logistic(
            1.6 * fluid + self._atrophy + 0.6 * self._sulci.on(grid)[brain]
        )
        share = _logit(white / np.maximum(grey + white, 1e-3))
        share = _logistic(1.6 * share + 0.4 * self._cortex.on(grid)[brain])
        return Tissue(
            brain=brain,
            csf=_spread(fluid, brain),
            grey=_spread((1 - fluid) * (1 - share), brain),
            white=_spread((1 - fluid) * share, brain),
            mni=mni,
        )

    def _locate(self, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
        """The brain on a grid, bool, and where in the template its voxels lie."""
        mni = np.einsum("ij,j...->i...", self._to_mni, grid.positions())
        mni += _vectors(self._shape, grid) + _CENTRE_MNI[:, None, None, None]
        depth = self._template.sample("depth", mni)
        brain = depth + 0.5 * self._sulci.on(grid) > -self._margin_mm
        # The skull keeps its smooth shape, whatever moves within.
        hold = np.clip(depth[brain] / _SKULL_MM, 0, 1)
        mni = mni[:, brain]
        for warp in self._folds:
            mni += hold * _vectors(warp, grid)[:, brain]
        for push in self._pushes:
            mni = push.source(mni, hold)
        return brain, mni


def _random_warp(rng: np.random.Generator, scale_mm: float, sd_mm: float):
    """Displacements with detail of `scale_mm` and standard deviation `sd_mm`."""
    fields = [Field.random(rng, scale_mm) for _ in range(3)]
    return [dataclasses.replace(f, values=sd_mm * f.values) for f in fields]


def _vectors(fields: list[Field], grid: Grid) -> np.ndarray:
    """Three fields as one vector field: float32 [3, *shape]."""
    return np.stack([field.on(grid) for field in fields])


def _rotation(angles: np.ndarray) -> np.ndarray:
    """Rotation about x, then y, then z, by angles in radians: [3, 3]."""
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[[i, j], [i, j]] = math.cos(angle)
        turn[i, j], turn[j, i] = -math.sin(angle), math.sin(angle)
        matrix = turn @ matrix
    return matrix


def _logit(share: np.ndarray) -> np.ndarray:
    """Log odds of shares in [0, 1], kept finite."""
    share = np.clip(share, 2e-3, 1 - 2e-3)
    return np.log(share / (1 - share))


def _logistic(odds: np.ndarray) -> np.ndarray:
    """Inverse of `_logit`."""
    return 1 / (1 + np.exp(-odds))


def _spread(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Values [mask.sum()] put where `mask` is true, 0 elsewhere: float32."""
    volume = np.zeros(mask.shape, np.float32)
    volume[mask] = values
    return volume
