"""Lattices of positions in millimetres, and smooth random functions of position.

Everything that varies in a patient (warps, tissue, tumour growth, coil shading) is
a function of position, drawn before it is known where it will be asked for. So a
patient is the same patient on whatever grid it is written.
"""

import dataclasses
import math

import numpy as np

# Random functions live on lattices that reach this far from the brain's centre.
_REACH_MM = 120.0
# Variance of a uniform cubic B-spline sum over white noise: 151/315 per axis.
_SPLINE_SD = math.sqrt(151 / 315) ** 3


@dataclasses.dataclass(frozen=True)
class Grid:
    """An axis-aligned lattice of positions.

    Positions are millimetres from the centre of the brain: x grows to the patient's
    right, y forwards, z upwards (RAS).

    Attributes:
      origin: Position of element [0, 0, 0], in mm.
      step: Distance between neighbours along each axis, in mm; may be negative.
      shape: Number of elements along each axis.
    """

    origin: tuple[float, float, float]
    step: tuple[float, float, float]
    shape: tuple[int, int, int]

    @classmethod
    def around(cls, centre, step_mm: float, reach_mm: float) -> "Grid":
        """A cube of `step_mm` cells that reaches `reach_mm` to each side."""
        half = round(reach_mm / step_mm)
        origin = tuple(float(c) - half * step_mm for c in centre)
        return cls(origin, (step_mm,) * 3, (2 * half + 1,) * 3)

    @property
    def cell_ml(self) -> float:
        """Volume of one cell, in millilitres."""
        return abs(math.prod(self.step)) / 1000

    def axes(self) -> list[np.ndarray]:
        """The positions along each axis, in mm, float32."""
        return [
            (o + s * np.arange(n)).astype(np.float32)
            for o, s, n in zip(self.origin, self.step, self.shape, strict=True)
        ]

    def positions(self) -> np.ndarray:
        """All positions, in mm: float32 [3, *shape]."""
        return np.stack(np.meshgrid(*self.axes(), indexing="ij"))

    def holds(self, positions: np.ndarray) -> np.ndarray:
        """Whether positions [n, 3] lie within the grid: bool [n]."""
        ends = np.stack([axis[[0, -1]] for axis in self.axes()])
        low, high = ends.min(1), ends.max(1)
        return np.all((positions >= low) & (positions <= high), axis=1)

    def box(self, low, high) -> tuple[slice, slice, slice]:
        """Index ranges of what lies between the corners `low` and `high`, in mm."""
        ranges = []
        for axis, a, b in zip(self.axes(), low, high, strict=True):
            inside = np.flatnonzero((axis >= a) & (axis <= b))
            start, stop = (inside[0], inside[-1] + 1) if inside.size else (0, 0)
            ranges.append(slice(int(start), int(stop)))
        return tuple(ranges)

    def crop(self, box: tuple[slice, slice, slice]) -> "Grid":
        """The part of the grid that `box` selects."""
        origin = [
            axis[b.start].item() for axis, b in zip(self.axes(), box, strict=True)
        ]
        return Grid(tuple(origin), self.step, tuple(b.stop - b.start for b in box))


@dataclasses.dataclass(frozen=True)
class Field:
    """A smooth scalar function of position: cubic B-splines on a lattice.

    Attributes:
      lattice: Where the splines sit; beyond it the function continues its edge.
      values: Their coefficients, float32 of the lattice's shape.
    """

    lattice: Grid
    values: np.ndarray

    @classmethod
    def random(cls, rng: np.random.Generator, scale_mm: float) -> "Field":
        """A Gaussian field of mean 0, variance 1 and detail of `scale_mm`."""
        lattice = Grid.around((0, 0, 0), scale_mm, _REACH_MM)
        values = rng.standard_normal(lattice.shape, np.float32) / _SPLINE_SD
        return cls(lattice, values.astype(np.float32))

    def on(self, grid: Grid) -> np.ndarray:
        """The function at a grid's positions: float32 of the grid's shape."""
        values = self.values
        # The last axis first: the largest sums then run along contiguous rows.
        for axis in (2, 1, 0):
            points, knots = grid.axes()[axis], self.lattice.axes()[axis]
            values = _between(points, knots, values, axis)
        return values


def _between(
    points: np.ndarray, knots: np.ndarray, values: np.ndarray, axis: int
) -> np.ndarray:
    """Cubic B-splines along one axis: from coefficients at knots to points, float32.

    Sums of four terms in a fixed order, not a matrix product: what a linear algebra
    library rounds depends on the machine, and a phantom shall not.
    """
    t = (points - knots[0]) / (knots[1] - knots[0])
    cell = np.floor(t)
    f = t - cell
    weights = (
        (1 - f) ** 3 / 6,
        (3 * f**3 - 6 * f**2 + 4) / 6,
        (-3 * f**3 + 3 * f**2 + 3 * f + 1) / 6,
        f**3 / 6,
    )
    along = [-1 if i == axis else 1 for i in range(values.ndim)]
    total = 0
    for offset, weight in zip((-1, 0, 1, 2), weights, strict=True):
        nearest = np.clip(cell + offset, 0, knots.size - 1).astype(int)
        term = np.take(values, nearest, axis)
        term *= weight.astype(np.float32).reshape(along)
        total = np.add(term, total, out=term)
    return total
