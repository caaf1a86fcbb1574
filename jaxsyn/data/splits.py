"""Which cases are trained on, chosen among and tested on.

By default whole patients are divided. Division by slice puts neighbouring, nearly
equal slices of one patient on both sides, which flatters every test; it is here to
reproduce papers that did so.
"""

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from jaxsyn.errors import DataError

PARTS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Split:
    """A division into parts.

    Attributes:
      unit: What was divided, "patient" or "slice".
      parts: For each part the names in it, sorted; see `slice_name` for slices.
    """

    unit: str
    parts: Mapping[str, tuple[str, ...]]

    def __post_init__(self):
        part_of = {}
        for part, names in self.parts.items():
            for name in names:
                if name in part_of:
                    where = f"{part_of[name]} and in {part}"
                    raise DataError(
                        f"The {self.unit} {name!r} is in {where}.",
                        hint="Leave it in one of them.",
                    )
                part_of[name] = part

    @property
    def part_of(self) -> dict[str, str]:
        """The part of each name."""
        return {name: part for part, names in self.parts.items() for name in names}

    @property
    def sha256(self) -> str:
        """Hash of the division, whatever order or file it was written in."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """A dictionary that `json` can write."""
        parts = {part: sorted(names) for part, names in self.parts.items()}
        return {"unit": self.unit, **parts}

    @classmethod
    def load(cls, path: str | Path) -> "Split":
        """Reads `{"unit": "patient", "train": [names], "validation": …, "test": …}`.

        Raises:
          DataError: It is no such file, or a name is in two parts.
        """
        try:
            data = json.loads(Path(path).read_text())
            parts = {part: tuple(map(str, data.get(part, ()))) for part in PARTS}
            unit, unknown = data.get("unit", "patient"), {*data} - {"unit", *PARTS}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise DataError(
                f"{path} is no division into train, validation and test: {error}",
                hint='It must hold {"unit": "patient", "train": [names], …}.',
            ) from error
        if unknown or unit not in ("patient", "slice"):
            raise DataError(
                f"{path}: unit {unit!r}, unknown parts {sorted(unknown)}.",
                hint=f'The unit is "patient" or "slice", parts are {", ".join(PARTS)}.',
            )
        return cls(unit=unit, parts=parts)


def slice_name(case: str, index: int) -> str:
    """The name of one slice, e.g. `BraTS20_001:077`."""
    return f"{case}:{index:03d}"


def divide(
    names: Iterable[str],
    fractions: Sequence[float],
    *,
    seed: int,
    unit: str = "patient",
) -> Split:
    """Divides names into train, validation and test.

    It depends on the names, not on their order. Every part with a fraction above 0
    gets at least one name as long as there are enough; the larger fraction goes
    first where there are not.

    Args:
      names: Patients, or slices.
      fractions: Share of each part.
      seed: Which of the possible divisions.
      unit: "patient" or "slice".
    """
    drawn = in_drawn_order(set(names), seed)
    sizes = _sizes(len(drawn), fractions)
    parts = {}
    for part, size in zip(PARTS, sizes, strict=True):
        parts[part], drawn = tuple(sorted(drawn[:size])), drawn[size:]
    return Split(unit=unit, parts=parts)


def in_drawn_order(names: Iterable[str], seed: int | str) -> list[str]:
    """Names in an order drawn at random: a function of names and seed alone.

    The first k of them are, for every k, a fair sample, and in all larger ones.
    """

    def rank(name):
        return hashlib.sha256(f"{seed}/{name}".encode()).digest()

    return sorted(names, key=rank)


def check_covers(split: Split, names: Iterable[str]) -> None:
    """Raises DataError if a name has no part: nothing is left out unnoticed."""
    if missing := sorted(set(names) - set(split.part_of)):
        raise DataError(
            f"The split file names no part for {len(missing)} {split.unit}s:"
            f" {', '.join(missing[:5])}.",
            hint="Put each into train, validation or test.",
        )


def _sizes(total, fractions):
    """Whole numbers that add up to `total`, as near the fractions as can be."""
    order = sorted(range(len(fractions)), key=lambda i: -fractions[i])
    asked = [i for i in order if fractions[i] > 0]
    sizes = [0] * len(fractions)
    for i in asked[:total]:
        sizes[i] = 1
    while sum(sizes) < total:
        # The next name goes where the most are missing.
        i = max(asked, key=lambda i: fractions[i] * total - sizes[i])
        sizes[i] += 1
    return sizes
