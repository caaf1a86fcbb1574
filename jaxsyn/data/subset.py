"""Some slices or volumes of a part, gathered where they are used."""

from collections.abc import Mapping, Sequence

from jaxtyping import Int, Shaped
import numpy as np

from jaxsyn.data import splits
from jaxsyn.errors import DataError
from jaxsyn.spec import DataSpec

_CHUNK = 64  # Looked through at a time.


class Subset:
    """Some rows of what a part holds; its attributes are those of what it is part of.

    Attributes:
      image: Quantised intensities, indexed by rows.
      label: Label maps, likewise.
      position: How high slices are in their case, likewise.
      rows: For each its case and the index, in the case, of its first slice.
    """

    def __init__(self, slices, places: Int[np.ndarray, " n"]):
        """Takes the rows at `places` of a `Cache` or of `Blocks`."""
        self.rows = tuple(slices.rows[i] for i in places)
        self.image = Gathered(slices.image, places)
        self.label = Gathered(slices.label, places)
        self.position = Gathered(slices.position, places)

    def __len__(self) -> int:
        return len(self.rows)


class Gathered:
    """An array of rows of another, made where it is indexed."""

    def __init__(self, source, index: Int[np.ndarray, "n ..."]):
        """Takes rows by index; where the index is negative there are zeros."""
        self._source, self._index = source, index
        self.dtype = source.dtype
        self.shape = (*index.shape, *source.shape[1:])

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, rows: Sequence[int]) -> Shaped[np.ndarray, "n ..."]:
        index = self._index[rows]
        gathered = self._source[np.maximum(index, 0)]
        if (index < 0).any():
            gathered[index < 0] = 0  # The background of images and of labels.
        return gathered

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[np.arange(len(self))], dtype)


def holding(slices, spec: DataSpec, names: Sequence[str]) -> Subset:
    """Those slices or volumes in which at least one of some labels occurs.

    Args:
      slices: A `Cache` or `Blocks`.
      spec: What they mean.
      names: Of the labels.

    Raises:
      UsageError: There is no such label.
      DataError: They occur nowhere.
    """
    wanted = np.zeros(256, bool)
    wanted[[spec.label_index(name) for name in names]] = True
    found = []
    for rows in np.array_split(np.arange(len(slices)), -(-len(slices) // _CHUNK)):
        some = wanted[slices.label[rows]]
        found.append(some.reshape(len(some), -1).any(axis=1))
    places = np.flatnonzero(np.concatenate(found))
    if not places.size:
        raise DataError(
            f"None of {len(slices)} slices or volumes holds {', '.join(names)}.",
            hint="Check the segmentations, or config.data.holding.",
        )
    return Subset(slices, places)


def of_patients(
    rows: Sequence[tuple[str, int]], patient_of: Mapping[str, str], count: int
) -> list[int]:
    """Places of the slices or volumes of so many patients.

    They are drawn in one order, whatever is trained on them: those of a small number
    are among those of any larger.

    Args:
      rows: The case of each, as in `Cache.rows`.
      patient_of: Patients by case.
      count: Of patients; negative for all.

    Raises:
      DataError: There are not so many.
    """
    patients = [patient_of[case] for case, _ in rows]
    order = splits.in_drawn_order(set(patients), "patients")
    if len(order) < count:
        raise DataError(
            f"{count} patients are wanted; the training part has {len(order)}.",
            hint="Lower the number of patients, or train on a larger share.",
        )
    kept = {*(order if count < 0 else order[:count])}
    return [place for place, patient in enumerate(patients) if patient in kept]
