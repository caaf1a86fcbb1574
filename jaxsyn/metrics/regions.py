"""Regions: sets of label values that are evaluated as one mask each."""

from collections.abc import Mapping, Sequence
import dataclasses

import numpy as np

from jaxsyn.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Region:
    """A part of a label map that has a name.

    Attributes:
      name: E.g. "WT".
      values: The label values that belong to it, as they stand in the map.
    """

    name: str
    values: tuple[int, ...]

    def __post_init__(self):
        if not self.name or not self.values:
            raise UsageError(
                f"Region {self.name!r} with the label values {self.values} is no"
                " region.",
                hint='It needs a name and at least one value, e.g. "TC" (1, 4).',
            )

    def mask(self, labels: np.ndarray) -> np.ndarray:
        """Where a label map, any shape, has one of the values: boolean."""
        mask = labels == self.values[0]
        for value in self.values[1:]:
            mask |= labels == value
        return mask


# The BraTS challenges' whole tumour, tumour core and enhancing tumour. Values are raw:
# 1 necrotic core, 2 oedema, and the enhancing tumour is 4, but 3 from 2023 on.
BRATS = (Region("WT", (1, 2, 4)), Region("TC", (1, 4)), Region("ET", (4,)))
BRATS_2023 = (Region("WT", (1, 2, 3)), Region("TC", (1, 3)), Region("ET", (3,)))

Declared = Mapping[str, Sequence[int]] | Sequence[Region]


def declared(regions: Declared) -> tuple[Region, ...]:
    """Regions of a mapping such as `{"WT": [1, 2, 4]}`; UsageError if it is none."""
    if isinstance(regions, Mapping):
        regions = [
            Region(name, tuple(map(int, values))) for name, values in regions.items()
        ]
    names = [region.name for region in regions]
    if not names or len(set(names)) < len(names):
        raise UsageError(
            f"Regions were declared with these names: {names}.",
            hint="At least one is needed, and each must have a name of its own.",
        )
    return tuple(regions)
