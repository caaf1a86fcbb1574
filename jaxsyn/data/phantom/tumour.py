"""Glioblastomas: necrotic core, enhancing rim, oedema along the white matter."""

import numpy as np
from scipy import ndimage

from jaxsyn.data.phantom import lesions
from jaxsyn.data.phantom.anatomy import Anatomy, Tissue
from jaxsyn.data.phantom.fields import Field, Grid

NECROTIC, OEDEMA, ENHANCING = 1, 2, 4  # The values of BraTS.


class Tumour:
    """A glioblastoma, as a function of position."""

    def __init__(self, anatomy: Anatomy, view: Grid, rng: np.random.Generator):
        """Picks a site within `view`, makes room for the mass there and grows it.

        The volumes' distribution is that of BraTS 2021: medians of 26 ml of core
        and 60 ml of oedema.
        """
        core_ml = float(np.clip(26 * np.exp(0.75 * rng.standard_normal()), 3, 105))
        oedema_ml = 60 * (core_ml / 26) ** 0.35 * np.exp(0.5 * rng.standard_normal())
        oedema_ml = float(np.clip(oedema_ml, 8, 140))
        site = lesions.choose_site(anatomy, view, rng)
        radius_mm = (750 * core_ml / np.pi) ** (1 / 3)
        anatomy.push(site, 1.3 * radius_mm, rng.uniform(0.1, 0.35))
        self._core, self._age = self._grow_core(anatomy, site, core_ml, rng)
        self._fluid = self._grow_oedema(anatomy, site, core_ml + oedema_ml, rng)
        self._rough, self._patchy = Field.random(rng, 5.0), Field.random(rng, 7.0)
        lattice = self._core.lattice
        starved = self._starvation(lattice)[self._core.values > 0.5]
        self._survives = np.quantile(starved, 0.97 - 0.55 * rng.beta(1, 1.8))

    def on(self, grid: Grid, tissue: Tissue) -> lesions.Lesion:
        """The tumour on a grid, given the patient's tissue there."""
        rough = self._rough.on(grid)
        core = tissue.brain & (self._core.on(grid) + 0.08 * rough > 0.5)
        dead = core & (self._starvation(grid) > self._survives)
        alive = core & ~dead
        fluid = self._fluid.on(grid)
        soaked = fluid * (tissue.white + 0.6 * tissue.grey) + 0.06 * rough > 0.45
        oedema = _touching(core, tissue.brain & soaked) & ~core
        shares = {
            "necrosis": dead.astype(np.float32),
            "enhancing": alive.astype(np.float32),
            "oedema": oedema * (1 - tissue.csf) * np.clip(0.2 + 0.7 * fluid, 0, 0.9),
        }
        labels = NECROTIC * dead + OEDEMA * oedema + ENHANCING * alive
        return lesions.Lesion(labels.astype(np.uint8), shares)

    def _grow_core(self, anatomy: Anatomy, site, core_ml: float, rng):
        """Density of the solid tumour, and for how long it has been there."""
        lattice = lesions.lattice_around(site)
        tissue = anatomy.tissue(lattice)
        seeds = [site]
        if rng.random() < 0.25:
            seeds.append(site + rng.normal(0, 11, 3))
        vigour = lesions.uneven(lattice, 13, 0.6, rng)
        motility = (0.14 * tissue.white + 0.04 * tissue.grey) * vigour
        start = lesions.seed_at(lattice, seeds) * (1 - tissue.csf) * tissue.brain
        rate = 0.12 * vigour
        core, age = lesions.grow_to(lattice, start, motility, rate, core_ml)
        # Blood comes from around: what is near any border lives, however old.
        inside = ndimage.gaussian_filter(core.values, 1.5) ** 3
        return core, Field(lattice, age.values * inside)

    def _grow_oedema(self, anatomy: Anatomy, site, volume_ml: float, rng) -> Field:
        """Density of fluid that seeps from the core, hardly into grey matter."""
        lattice = self._core.lattice
        tissue = anatomy.tissue(lattice)
        wet = lesions.uneven(lattice, 16, 0.6, rng)
        arm = lattice.positions() - np.reshape(site, (3, 1, 1, 1))
        wet *= np.exp(-np.square(arm / 40).sum(0) / 2)
        motility = (0.14 * tissue.white + 0.01 * tissue.grey) * wet
        rate = (0.15 * tissue.white + 0.03 * tissue.grey) * wet
        start = self._core.values
        return lesions.grow_to(lattice, start, motility, rate, volume_ml)[0]

    def _starvation(self, grid: Grid) -> np.ndarray:
        """How long the tumour has been cut off from blood at each place."""
        return self._age.on(grid) * np.exp(0.6 * self._patchy.on(grid))


def _touching(core: np.ndarray, soaked: np.ndarray) -> np.ndarray:
    """The connected parts of `core` or `soaked` that hold a piece of the core."""
    parts, _ = ndimage.label(core | soaked)
    return np.isin(parts, np.unique(parts[core]))
