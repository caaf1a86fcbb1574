"""Rows of the judge's table: which mixture of cases its U-Nets are trained on."""

from collections.abc import Sequence
import dataclasses

import numpy as np

from jaxsyn import settings
from jaxsyn.data import subset
from jaxsyn.data.augment import PRESETS
from jaxsyn.data.cache import Cache
from jaxsyn.data.prepared import PreparedSet
from jaxsyn.errors import DataError, UsageError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """What the U-Nets of one row of the table are trained on.

    Attributes:
      name: Of the row.
      patients: How many training patients' real cases; -1 for all, 0 for none. Smaller
        sets are parts of larger ones.
      synthetic: Synthetic cases, as a multiple of the training cases there are.
      synthetic_cases: Their number, where it is not given as a multiple.
      augment: One of `augment.PRESETS`, applied to both.
      start_from: A row above, whose weights are the start: fine-tuning.
      steps: Of its training, where they are not the judge's.
    """

    name: str
    patients: int = -1
    synthetic: float = 0.0
    synthetic_cases: int = 0
    augment: str = "none"
    start_from: str = ""
    steps: int = 0

    def __post_init__(self):
        if self.augment not in PRESETS:
            what = f"Row {self.name!r}: augment={self.augment!r}"
            raise settings.unknown(what, self.augment, list(PRESETS))
        least = min(self.synthetic, self.synthetic_cases, self.steps)
        if self.patients < -1 or least < 0:
            raise UsageError(
                f"Row {self.name!r} has patients={self.patients},"
                f" synthetic={self.synthetic},"
                f" synthetic_cases={self.synthetic_cases} and steps={self.steps}.",
                hint="patients is -1 for all, or 0 or more; the others are 0 or more.",
            )
        if self.synthetic and self.synthetic_cases:
            raise UsageError(
                f"Row {self.name!r} has synthetic={self.synthetic} and"
                f" synthetic_cases={self.synthetic_cases}.",
                hint="Give the multiple of the training cases, or the number of cases.",
            )
        if not self.patients and not self.has_synthetic:
            raise UsageError(
                f"Row {self.name!r} has nothing to be trained on.",
                hint="Give it patients, or synthetic cases.",
            )

    @property
    def has_synthetic(self) -> bool:
        """Whether any case is synthetic."""
        return bool(self.synthetic or self.synthetic_cases)

    def count_synthetic(self, real: int) -> int:
        """Its synthetic cases where there are so many real ones to train on."""
        if not self.synthetic:
            return self.synthetic_cases
        return max(1, round(self.synthetic * real))


def training_slices(
    row: Row, prepared: PreparedSet, rendered: Sequence[Cache]
) -> Cache:
    """The real and synthetic slices of a row, one after the other.

    Args:
      row: The row.
      prepared: The real cases.
      rendered: The synthetic ones, in sets of which the first are taken first.

    Raises:
      DataError: The row wants more patients or synthetic cases than there are.
    """
    chosen = places(row, prepared, rendered)
    return Cache(
        image=np.concatenate([cache.image[rows] for cache, rows in chosen]),
        label=np.concatenate([cache.label[rows] for cache, rows in chosen]),
        rows=tuple(cache.rows[i] for cache, rows in chosen for i in rows),
    )


def places(
    row: Row, prepared: PreparedSet, rendered: Sequence[Cache]
) -> list[tuple[Cache, list[int]]]:
    """Where a row's slices are: in which caches, and at which of their rows.

    Raises:
      DataError: As `training_slices`, but no slice is read.
    """
    chosen, real = [], prepared.cache("train")
    if row.patients:
        # The same patients for every seed: what differs is the training alone.
        kept = subset.of_patients(real.rows, prepared.patient_of, row.patients)
        chosen.append((real, kept))
    if row.has_synthetic:
        cases = list(dict.fromkeys(case for some in rendered for case, _ in some.rows))
        wanted = row.count_synthetic(len({case for case, _ in real.rows}))
        if len(cases) < wanted:
            raise DataError(
                f"Row {row.name!r} wants {wanted} synthetic cases; there are"
                f" {len(cases)}.",
                hint="Synthesise more of them, or lower the row's synthetic.",
            )
        kept = set(cases[:wanted])
        for some in rendered:
            found = [i for i, (case, _) in enumerate(some.rows) if case in kept]
            chosen.append((some, found))
    return chosen


def check(rows: Sequence[Row], generator: str) -> None:
    """Raises UsageError if rows do not fit together, or synthetic cases have no origin.

    Args:
      rows: Of the table.
      generator: Who makes synthetic cases, or the export that has them; may be empty.
    """
    names = [row.name for row in rows]
    if len(set(names)) < len(names):
        raise UsageError(
            f"Rows share a name: {', '.join(names)}.", hint="Rename one of them."
        )
    for i, row in enumerate(rows):
        if row.start_from and row.start_from not in names[:i]:
            raise UsageError(
                f"Row {row.name!r} starts from {row.start_from!r}, which is not above"
                " it.",
                hint=f"Above it are: {', '.join(names[:i]) or 'none'}.",
            )
        if row.has_synthetic and not generator:
            raise UsageError(
                f"Row {row.name!r} has synthetic cases, but no generator is given.",
                hint="Name the workdir of a training: --config.generator=WORKDIR, or of"
                " a synthesis job: --config.synthetic.export=WORKDIR",
            )
