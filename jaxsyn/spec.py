"""What a data set holds: modalities, labels and the size of its slices.

The spec travels with a prepared set and with every checkpoint, so that a trained
generator knows what its channels and label values mean.
"""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

import numpy as np

from jaxsyn.errors import DataError, UsageError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Label:
    """One class of a label map.

    Attributes:
      name: The field's own word for it, e.g. `oedema`.
      values: The values that mean it in source files; empty if it is derived,
        as the brain around a tumour is.
      colour: RGB, 0 to 255, for pictures.
      tissue: Whether it is a tissue's, from a map that holds around lesions.
    """

    name: str
    values: tuple[int, ...] = ()
    colour: tuple[int, int, int] = (255, 255, 255)
    tissue: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class IntensityMap:
    """The invertible map from a volume's own intensities to [-1, 1].

    Attributes:
      low: The intensity that becomes -1; what is below it is clipped.
      high: The intensity that becomes 1; what is above it is clipped.
    """

    low: float
    high: float

    def __post_init__(self):
        if not self.low < self.high:
            raise DataError(
                f"An intensity map from {self.low} to {self.high} has no extent.",
                hint="The image is constant inside the brain: check the file.",
            )

    def apply(self, intensities: np.ndarray) -> np.ndarray:
        """Maps intensities, any shape, to float32 in [-1, 1]."""
        unit = (intensities - self.low) / (self.high - self.low)
        return (2.0 * np.clip(unit, 0.0, 1.0) - 1.0).astype(np.float32)

    def invert(self, images: np.ndarray) -> np.ndarray:
        """Maps [-1, 1] back to float32 intensities; any shape."""
        unit = (np.asarray(images, np.float32) + 1.0) / 2.0
        return (self.low + unit * (self.high - self.low)).astype(np.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataSpec:
    """The meaning of a set's arrays.

    A label map holds *indices* into `labels`: index 0 is the background.

    Attributes:
      image_size: Side of the square slices, in pixels.
      modalities: Image channels in order, e.g. `("t1", "t1ce", "t2", "flair")`.
      labels: Classes, by index.
      intensities: For each modality, the map that a typical (median) training
        volume was normalised with: what takes [-1, 1] back to intensities.
      merged: Classes of several labels, as `merge` makes them: their names, and the
        indices of their labels.
    """

    image_size: int
    modalities: tuple[str, ...]
    labels: tuple[Label, ...]
    intensities: tuple[IntensityMap, ...] = ()
    merged: tuple[tuple[str, tuple[int, ...]], ...] = ()

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the labels, by index."""
        return tuple(label.name for label in self.labels)

    @property
    def classes(self) -> tuple[int, ...]:
        """Indices of the labels that can be segmented: those with file values.

        Of labels that are merged, the first stands for all.
        """
        named = {index for _, group in self.merged for index in group}
        known = {i for i, label in enumerate(self.labels) if label.values} | named
        first = self._first_of_class
        return tuple(sorted({first[i] for i in known or range(len(first))}))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of `classes`."""
        names = {group[0]: name for name, group in self.merged}
        return tuple(names.get(i, self.labels[i].name) for i in self.classes)

    @property
    def class_of_label(self) -> tuple[int, ...]:
        """For each label its place in `classes`; a derived one counts as background."""
        places = {index: place for place, index in enumerate(self.classes)}
        return tuple(places.get(i, 0) for i in self._first_of_class)

    @property
    def _first_of_class(self):
        """For each label the first of those that it is merged with, or itself."""
        first = {index: group[0] for _, group in self.merged for index in group}
        return tuple(first.get(i, i) for i in range(len(self.labels)))

    def merge(self, groups: Mapping[str, Sequence[str]]) -> "DataSpec":
        """The same labels, some of which are segmented as one class.

        Args:
          groups: For each such class its labels. A class that is called as a label is
            has that one too. What no group names stays what it is.

        Raises:
          UsageError: A label is unknown, or in two classes; or a class has none.
        """
        merged, class_of = [], {}
        for name, labels in groups.items():
            own = (name,) if name in self.label_names else ()
            for label in {*own, *labels}:
                if label in class_of:
                    raise UsageError(
                        f"The label {label!r} is in two classes, {class_of[label]!r}"
                        f" and {name!r}.",
                        hint="Merge it into one of them.",
                    )
                class_of[label] = name
            indices = {self.label_index(label) for label in (*own, *labels)}
            if not indices:
                raise UsageError(
                    f"The class {name!r} has no labels.", hint="Name those it has."
                )
            merged.append((name, tuple(sorted(indices))))
        return dataclasses.replace(self, merged=tuple(merged))

    def class_index(self, name: str) -> int:
        """Of `classes`, the one called `name`; UsageError lists those there are."""
        names = self.class_names
        if name not in names:
            raise UsageError(
                f"No class {name!r} is segmented in this data set.",
                hint=f"Its classes are: {', '.join(names)}.",
            )
        return self.classes[names.index(name)]

    def label_index(self, name: str) -> int:
        """Index of the label called `name`; UsageError lists those there are."""
        if name not in self.label_names:
            raise UsageError(
                f"No label {name!r} in this data set.",
                hint=f"Its labels are: {', '.join(self.label_names)}.",
            )
        return self.label_names.index(name)

    def check_indices(self, labels: np.ndarray, where: str) -> None:
        """Raises DataError if a label map holds what is no index of this spec."""
        found = np.unique(labels)
        bad = [v for v in found.tolist() if v not in range(len(self.labels))]
        if bad:
            table = ", ".join(f"{i} {n}" for i, n in enumerate(self.label_names))
            raise DataError(
                f"{where}: label values {bad[:8]} are outside the label table.",
                hint=f"A label map holds indices: {table}.",
            )

    def to_json(self) -> dict[str, Any]:
        """A dictionary that `json` can write."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "DataSpec":
        """Reads what `to_json` gave, after a trip through JSON."""
        labels = tuple(
            Label(
                name=label["name"],
                values=tuple(label["values"]),
                colour=tuple(label["colour"]),
                tissue=label.get("tissue", False),
            )
            for label in data["labels"]
        )
        return cls(
            image_size=data["image_size"],
            modalities=tuple(data["modalities"]),
            labels=labels,
            intensities=tuple(IntensityMap(**m) for m in data["intensities"]),
            merged=tuple((n, tuple(group)) for n, group in data.get("merged", ())),
        )


def encode_labels(
    values: np.ndarray, labels: tuple[Label, ...], where: str
) -> np.ndarray:
    """Turns a source file's label values into indices.

    Args:
      values: Label map as read, any shape, integers or whole floats.
      labels: The label table.
      where: Named in errors, usually the file.

    Returns:
      uint8 indices of the same shape.

    Raises:
      DataError: A value is not whole, or belongs to no label.
    """
    found, inverse = np.unique(values, return_inverse=True)
    whole = np.rint(found)
    off = found[~(np.abs(found - whole) < 1e-3)]
    if off.size:
        raise DataError(
            f"{where}: label values {off[:8].tolist()} are not whole numbers.",
            hint="Labels must not be interpolated: resample them by nearest.",
        )
    index_of = {v: i for i, label in enumerate(labels) for v in label.values}
    bad = [int(v) for v in whole if int(v) not in index_of]
    if bad:
        table = ", ".join(
            f"{'/'.join(map(str, label.values))} {label.name}"
            for label in labels
            if label.values
        )
        raise DataError(
            f"{where}: label values {bad[:8]} are outside the declared table.",
            hint=f"Declared are: {table}.",
        )
    table = np.array([index_of[int(v)] for v in whole], np.uint8)
    return table[inverse.reshape(values.shape)]
