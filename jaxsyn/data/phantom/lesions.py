"""What tumours and infarcts share: a site, a lattice to grow on, an extent."""

import dataclasses

import numpy as np

from jaxsyn.data.phantom.anatomy import SURVEY, Anatomy
from jaxsyn.data.phantom.fields import Field, Grid
from jaxsyn.data.phantom.growth import MAX_DIFFUSIVITY, grow
from jaxsyn.data.phantom.territories import NONE, territory
from jaxsyn.errors import UsageError

# Lesions grow on cells of this size, whatever grid they are written on.
_CELL_MM = 2.5
_REACH_MM = 65.0


@dataclasses.dataclass(frozen=True)
class Lesion:
    """A lesion on a grid.

    Attributes:
      labels: Label values of the file, uint8, 0 where there is no lesion.
      shares: By component, how much of the tissue it has replaced: float32 in
        [0, 1], summing to at most 1.
    """

    labels: np.ndarray
    shares: dict[str, np.ndarray]


def no_lesion(grid: Grid) -> Lesion:
    """What a healthy brain has."""
    return Lesion(np.zeros(grid.shape, np.uint8), {})


def choose_site(anatomy: Anatomy, view: Grid, rng: np.random.Generator) -> np.ndarray:
    """A place [3] in the white matter of the cerebrum within `view`, in mm.

    Raises:
      UsageError: There is no such place.
    """
    tissue = anatomy.tissue(SURVEY)
    positions = SURVEY.positions()[:, tissue.brain].T
    fit = (tissue.white[tissue.brain] > 0.6) & (territory(tissue.mni) != NONE)
    fit &= view.holds(positions)
    if not fit.any():
        extent = " x ".join(f"{side:g}" for side in np.abs(view.step) * view.shape)
        raise UsageError(
            f"A field of view of {extent} mm holds no white matter for a lesion;"
            " a brain measures about 140 x 175 x 140 mm.",
            hint="Ask for a larger shape or spacing.",
        )
    return rng.choice(positions[fit])


def lattice_around(site: np.ndarray) -> Grid:
    """The lattice on which a lesion at `site` grows."""
    return Grid.around(site, _CELL_MM, _REACH_MM)


def seed_at(lattice: Grid, sites: list[np.ndarray]) -> np.ndarray:
    """A small density around each site: float32 in [0, 1] of the lattice's shape."""
    seed = np.zeros(lattice.shape, np.float32)
    for site in sites:
        away = lattice.positions() - np.asarray(site, np.float32)[:, None, None, None]
        seed = np.maximum(seed, np.exp(-np.square(away / _CELL_MM).sum(0) / 2))
    return seed


def uneven(lattice: Grid, scale_mm: float, sd: float, rng: np.random.Generator):
    """A positive random factor around 1 with detail of `scale_mm`."""
    return np.exp(sd * Field.random(rng, scale_mm).on(lattice))


def grow_to(lattice: Grid, start, diffusivity, rate, volume_ml: float):
    """`grow` to a volume in millilitres: density and age, as fields."""
    density, age = grow(
        start,
        np.minimum(diffusivity, MAX_DIFFUSIVITY),
        np.minimum(rate, 1),
        volume_ml / lattice.cell_ml,
    )
    return Field(lattice, density), Field(lattice, age)
