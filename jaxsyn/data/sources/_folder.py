"""A folder of one's own data, and what a person may say about it in jaxsyn.json.

The file is optional, and so is every key of it:

    {"modalities": ["t1", "flair"],
     "labels": {"background": 0, "oedema": 2},
     "patients": {"case_1": "anna", "case_2": "anna"},
     "foreground": "brain",
     "label": "mask_label-lesion", "mask": "mask_desc-brain"}

- modalities: which images are used, and their order;
- labels: what the values of label maps mean; it wins over what the data set says;
- patients: whose each case is (a case that is not named is refused), or "cases" if
  every case is a patient of its own; it wins over what the data set says;
- foreground: name of the label that foreground without a label gets, "foreground" if
  nothing is said; null for no such label;
- label, mask: in BIDS folders, which of several masks is the label map, and which is
  that of the brain.
"""

from collections.abc import Iterable, Mapping
import dataclasses
from pathlib import Path
import reprlib
from typing import Any

from jaxsyn.data import volumes
from jaxsyn.data.cases import Case, Problem
from jaxsyn.data.sources import _labels
from jaxsyn.errors import DataError
from jaxsyn.spec import Label

NAME = "jaxsyn.json"
# Images, but of kinds that are not read: to pass over them would be to drop cases.
_OTHER_KINDS = {
    *(".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp"),
    *(".npz", ".dcm", ".nrrd", ".mgz", ".mat"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choices:
    """What jaxsyn.json says; see the module.

    Attributes:
      folder: Where it is, or would be.
      modalities: Empty if nothing is said.
      labels: Value by name.
      patients: Patient by case; or "cases"; None if nothing is said.
      foreground: Name of the derived label, if there is to be one.
      label: Empty if nothing is said.
      mask: Likewise.
    """

    folder: Path
    modalities: tuple[str, ...] = ()
    labels: Mapping[str, Any] | None = None
    patients: Mapping[str, str] | str | None = None
    foreground: str | None = "foreground"
    label: str = ""
    mask: str = ""

    @classmethod
    def read(cls, folder: Path, *, masks: bool = False) -> "Choices":
        """Reads a folder's; DataError says which key is wrong.

        Args:
          folder: Where to look for it.
          masks: Whether `label` and `mask` mean anything there.
        """
        path = folder / NAME
        given = _labels.read_json(path) if path.is_file() else {}
        keys = _KEYS | _MASK_KEYS if masks else _KEYS
        for key, value in given.items():
            if key not in keys:
                raise DataError(
                    f"{path} has the key {reprlib.repr(key)}.",
                    hint=f"Known are: {', '.join(keys)}.",
                )
            fits, expected = keys[key]
            if not fits(value):
                raise DataError(
                    f'{path}: "{key}" is {reprlib.repr(value)}.',
                    hint=f"It must be {expected}.",
                )
        if "modalities" in given:
            given["modalities"] = tuple(given["modalities"])
        return cls(folder=folder, **given)

    def choose(self, there: Iterable[str]) -> tuple[str, ...]:
        """The modalities to use of those that are there: all, or those it names.

        Raises:
          DataError: One that it names is not there.
        """
        there = tuple(there)
        if missing := [name for name in self.modalities if name not in there]:
            raise DataError(
                f'{self.folder / NAME}: "modalities" has {missing[0]!r}.',
                hint=f"There are: {', '.join(there) or 'none'}.",
            )
        return self.modalities or there

    def table(
        self,
        cases: Iterable[Case | Problem],
        values: Mapping[str, Any] | None = None,
        where: str = "",
    ) -> tuple[Label, ...]:
        """The label table: as it says, or of the data set, or else as found.

        Args:
          cases: Whose label maps to look into if need be.
          values: What the data set declares: value by name.
          where: And in which file.
        """
        if self.labels is not None:
            where = f'{self.folder / NAME}: "labels"'
            return _labels.declared(self.labels, where, self.foreground)
        if values is not None:
            return _labels.declared(values, where, self.foreground)
        paths = [c.label.path for c in cases if isinstance(c, Case) and c.label]
        return _labels.found(paths, self.folder, self.foreground)

    def finish(self, case: Case | Problem, labels: tuple[Label, ...]) -> Case | Problem:
        """A case with its label table, and with the patient whose it is."""
        if isinstance(case, Problem):
            return case
        if not _labels.is_name(case.name):
            return Problem(
                name=case.name,
                reason=f"{case.name!r} cannot be the name of a case.",
                hint="Files are named after it: use letters, digits, - and _.",
            )
        patient = case.name if self.patients == "cases" else case.patient
        if isinstance(self.patients, Mapping):
            patient = self.patients.get(case.name)
        if patient is None:
            return Problem(
                name=case.name,
                reason=f'{self.folder / NAME}: "patients" does not name {case.name}.',
                hint="Say whose it is: no patient may be trained on and tested on.",
            )
        return dataclasses.replace(case, patient=patient, label_tables=(labels,))


def stem(path: Path) -> str:
    """A file's name without its ending; empty if it is hidden or no image.

    An image of a kind that cannot be read has one too: reading it says so.
    """
    if path.suffix.lower() in _OTHER_KINDS and not path.name.startswith("."):
        return path.stem
    return volumes.stem(path)


def _is_list_of_names(value):
    return (
        isinstance(value, list)
        and 0 < len(value) == len(set(map(str, value)))
        and all(map(_labels.is_name, value))
    )


def _is_patients(value):
    if not isinstance(value, dict):
        return value == "cases"
    return all(map(_labels.is_name, value.values()))


_KEYS = {
    "modalities": (_is_list_of_names, "a list of names, each of them once"),
    "labels": (lambda value: isinstance(value, dict), '{"background": 0, NAME: VALUE}'),
    "patients": (_is_patients, '{CASE: PATIENT}, or "cases": each is one'),
    "foreground": (lambda v: v is None or _labels.is_name(v), "a name or null"),
}
_MASK_KEYS = {
    "label": (_labels.is_name, "the name of a mask, such as mask_label-lesion"),
    "mask": (_labels.is_name, "the name of a mask, such as mask_desc-brain"),
}
