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
      augment: One of `augment.PRESETS`, applied to both.
      start_from: A row above, whose weights are the start: fine-tuning.
    """

    name: str
    patients: int = -1
    synthetic: float = 0.0
    augment: str = "none"
    start_from: str = ""

    def __post_init__(self):
        if self.augment not in PRESETS:
            what = f"Row {self.name!r}: augment={self.augment!r}"
            raise settings.unknown(what, self.augment, list(PRESETS))
        if self.patients < -1 or self.synthetic < 0:
            raise UsageError(
                f"Row {self.name!r} has patients={self.patients} and"
                f" synthetic={self.synthetic}.",
                hint="patients is -1 for all, or 0 or more; synthetic is 0 or more.",
            )
        if not self.patients and not self.synthetic:
            raise UsageError(
                f"Row {self.name!r} has nothing to be trained on.",
                hint="Give it patients, or synthetic cases.",
            )


def training_slices(row: Row, prepared: PreparedSet, rendered: Cache | None) -> Cache:
    """The real and synthetic slices of a row, one after the other.

    Args:
      row: The row.
      prepared: The real cases.
      rendered: The synthetic ones, if the row has any.

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
    row: Row, prepared: PreparedSet, rendered: Cache | None
) -> list[tuple[Cache, list[int]]]:
    """Where a row's slices are: in which caches, and at which of their rows.

    Raises:
      DataError: As `training_slices`, but no slice is read.
    """
    chosen = []
    if row.patients:
        cache = prepared.cache("train")
        # The same patients for every seed: what differs is the training alone.
        kept = subset.of_patients(cache.rows, prepared.patient_of, row.patients)
        chosen.append((cache, kept))
    if row.synthetic:
        cases = list(dict.fromkeys(case for case, _ in rendered.rows))
        real = len({case for case, _ in prepared.cache("train").rows})
        wanted = max(1, round(row.synthetic * real))
        if len(cases) < wanted:
            raise DataError(
                f"Row {row.name!r} wants {wanted} synthetic cases; there are"
                f" {len(cases)}.",
                hint="Synthesise more of them, or lower the row's synthetic.",
            )
        kept = set(cases[:wanted])
        chosen.append(
            (rendered, [i for i, (c, _) in enumerate(rendered.rows) if c in kept])
        )
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
        if row.synthetic and not generator:
            raise UsageError(
                f"Row {row.name!r} has synthetic cases, but no generator is given.",
                hint="Name the workdir of a training: --config.generator=WORKDIR, or of"
                " a synthesis job: --config.synthetic.export=WORKDIR",
            )
