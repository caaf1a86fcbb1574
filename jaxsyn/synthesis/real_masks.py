"""Patients' own label maps, one after another: what other sources begin with."""

import dataclasses
import itertools
import zlib

import numpy as np

from jaxsyn.data.prepared import PreparedSet
from jaxsyn.data.splits import in_drawn_order
from jaxsyn.synthesis.cases import SyntheticCase


class RealMasks:
    """Label maps as they are, of one patient after another.

    Attributes:
      prepared: The set they are from.
      seed: Decides their order.
    """

    generator = sieve = None

    def __init__(self, prepared: PreparedSet, part: str, seed: int):
        """Takes those of a part."""
        self.prepared, self.seed = prepared, seed
        self._cache = prepared.cache(part)
        places = range(len(self._cache))
        self._places = {
            case: np.array(list(group))
            for case, group in itertools.groupby(
                places, key=lambda i: self._cache.rows[i][0]
            )
        }
        self._order = in_drawn_order(self._places, f"{seed}/masks")

    def __len__(self) -> int:
        """How many cases there are before the first comes again."""
        return len(self._order)

    def draw(self, number: int) -> SyntheticCase:
        """The label map of the patient whose turn it is."""
        case = self._order[number % len(self._order)]
        info = self.prepared.cases[case]
        return SyntheticCase(
            name=case_name(number),
            label=np.asarray(self._cache.label[self._places[case]]),
            info=dataclasses.replace(info, kept=self._kept(case)),
            lineage={"labels": case, "patients": [info.patient]},
        )

    def _kept(self, case):
        """Slices of a case in this part: all there are, unless divided by slice."""
        return tuple(self._cache.rows[i][1] for i in self._places[case])


def case_name(number: int) -> str:
    """The name of a synthetic case."""
    return f"syn_{number:04d}"


def seed_of(seed: int, number: int) -> int:
    """A seed for one case, which depends on no other."""
    return zlib.crc32(f"{seed}/{number}".encode()) >> 1


def rng_of(seed: int, number: int) -> np.random.Generator:
    """Random numbers for one case."""
    return np.random.default_rng([seed, number])
