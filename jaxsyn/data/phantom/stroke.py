"""Ischaemic strokes: a dead core and tissue at risk in one artery's territory."""

import numpy as np

from jaxsyn.data.phantom import lesions
from jaxsyn.data.phantom.anatomy import Anatomy, Tissue
from jaxsyn.data.phantom.fields import Field, Grid
from jaxsyn.data.phantom.territories import territory


class Infarct:
    """An ischaemic stroke, as a function of position."""

    def __init__(self, anatomy: Anatomy, view: Grid, rng: np.random.Generator):
        """Picks the occluded branch within `view` and starves what it feeds."""
        site = lesions.choose_site(anatomy, view, rng)
        mni = anatomy.tissue(Grid.around(site, 1.0, 0.0)).mni
        self._artery, self._side = territory(mni)[0], np.sign(mni[0, 0])
        self._watershed = Field.random(rng, 12.0)
        lattice = lesions.lattice_around(site)
        tissue = anatomy.tissue(lattice)
        feeble = lesions.uneven(lattice, 12, 0.7, rng)
        solid = (tissue.white + tissue.grey) * self._fed(lattice, tissue)
        # Not so much that nothing is left to be saved.
        core_ml = float(np.clip(25 * np.exp(rng.standard_normal()), 1, 150))
        core_ml = min(core_ml, 0.5 * solid.sum() * lattice.cell_ml)
        emboli = site + rng.normal(0, 14, (rng.poisson(0.6), 3))
        start = lesions.seed_at(lattice, [site, *emboli]) * solid
        spread, rate = 0.1 * solid * feeble, 0.2 * solid * feeble
        self._core = lesions.grow_to(lattice, start, spread, rate, core_ml)[0]
        start = self._core.values
        risk_ml = core_ml * rng.uniform(1.5, 3.0) + 5
        self._risk = lesions.grow_to(lattice, start, spread, rate, risk_ml)[0]
        self._rough = Field.random(rng, 5.0)

    def on(self, grid: Grid, tissue: Tissue) -> lesions.Lesion:
        """The infarct on a grid, given the patient's tissue there."""
        edge = 0.5 - 0.08 * self._rough.on(grid)
        fed = self._fed(grid, tissue) & (tissue.csf < 0.5)
        core = fed & (self._core.on(grid) > edge)
        risk = fed & ~core & (self._risk.on(grid) > edge)
        solid = 1 - tissue.csf
        shares = {"infarct": core * solid, "penumbra": risk * solid}
        return lesions.Lesion(core.astype(np.uint8), shares)

    def _fed(self, grid: Grid, tissue: Tissue) -> np.ndarray:
        """Where the occluded artery leads: bool of the grid's shape."""
        fed = np.zeros(grid.shape, bool)
        same_side = np.sign(tissue.mni[0]) == self._side
        blurred = tissue.mni + 5 * self._watershed.on(grid)[tissue.brain]
        fed[tissue.brain] = same_side & (territory(blurred) == self._artery)
        return fed
