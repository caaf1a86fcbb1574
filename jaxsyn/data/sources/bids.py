"""A BIDS folder (https://bids.neuroimaging.io): raw images, and masks in derivatives.

All NIfTI files are taken that are named sub-X[_ses-Y][_run-Z][_key-value...]_suffix,
in whatever folder, but for those of func, fmap, sourcedata and the like. A case is what
has the same subject, session and run; subjects are the patients.

What else a name says, its suffix first, tells files of a case apart: those of
sub-1_ce-gadolinium_T1w.nii.gz and sub-1_desc-preproc_T1w.nii.gz are the modalities
T1w_ce-gadolinium and T1w_desc-preproc. Required are the modalities that at least half
of the labelled cases have, in alphabetical order; the others are not used, which is
logged. A case that lacks a required one is a Problem.

The label map is the file of suffix dseg, or else mask or msk, that is not of the brain
(desc-brain). If there are several kinds of it, or to choose other modalities, or to use
a mask of the brain, write a jaxsyn.json into the folder; see `_folder`.

The names of labels are those of a table dseg.tsv (columns index, name) beside the label
maps or further up. Of a mask, 1 is named after its entity label-NAME, or else "mask".
Without a table the labels of a dseg are the values found.
"""

from collections import Counter
from collections.abc import Iterator
import json
from pathlib import Path
import re

from jaxsyn.data import volumes
from jaxsyn.data.cases import Case, ImageFile, Problem
from jaxsyn.data.sources import _files, _labels, table
from jaxsyn.data.sources._folder import NAME, Choices
from jaxsyn.errors import DataError
from jaxsyn.spec import Label

ORIGIN = "These are your own images; public BIDS data sets are at openneuro.org"
LAYOUT = "sub-X/[ses-Y/]anat/sub-X[_ses-Y]_T1w.nii.gz, masks in derivatives"
_DEPTH = 6  # Such as derivatives/PIPELINE/sub-X/ses-Y/anat.
_PASSED = {
    *("sourcedata", "code", "stimuli", "figures", "func", "fmap", "beh"),
    *("eeg", "ieeg", "meg", "nirs", "motion"),
}
_FILE = re.compile(r"(sub-[^_-]+)((?:_[^_-]+-[^_]+)*)_([^_]+)")
_CASE = ("ses", "run")  # Besides the subject, what tells cases apart.
_NO_MODALITY = ("probseg", "defacemask")


def describe(root: Path) -> tuple[tuple[str, ...], tuple[Label, ...]]:
    """Modalities and label table of a BIDS folder.

    Raises:
      DataError: There are several kinds of label maps to choose from, or a table of
        labels or jaxsyn.json is wrong.
    """
    opened = _Folder(root)
    return opened.modalities, opened.labels


def find_cases(root: Path) -> Iterator[Case | Problem]:
    """Finds the cases; an incomplete or ambiguous one is a Problem."""
    opened = _Folder(root)
    yield from opened.misnamed
    for case in opened.cases:
        yield opened.choices.finish(case, opened.labels)


class _Folder:
    """What is in a BIDS folder, and which of it is used."""

    def __init__(self, root: Path):
        self.root, self.choices = root, Choices.read(root, masks=True)
        self.files, self.misnamed = _scan(root)
        kinds = Counter(kind for files in self.files.values() for kind in files)
        for key in ("label", "mask"):
            _check_there(self.choices, key, kinds)
        self.label = self.choices.label or _label_of(root, kinds)
        self.modalities = self._modalities(kinds)
        self.cases = [self._case(name, self.files[name]) for name in self.files]
        self.labels = self.choices.table(self.cases, *self._declared())

    def _modalities(self, kinds):
        images = sorted(kind for kind in kinds if not _is_mask(kind))
        if self.choices.modalities:
            return self.choices.choose(images)
        labelled = [files for files in self.files.values() if self.label in files]
        among = labelled or list(self.files.values())
        had = {kind: sum(kind in files for files in among) for kind in images}
        usual = [
            kind
            for kind in images
            if 2 * had[kind] >= len(among) and _suffix(kind) not in _NO_MODALITY
        ]
        used = {*usual, self.label, self.choices.mask}
        unused = [
            f"{kind} (in {count} of {len(self.files)} cases)"
            for kind, count in sorted(kinds.items())
            if kind not in used
        ]
        if unused:
            _labels.tell(
                f"{self.root}: not used are {', '.join(unused)}. {NAME} in it may say"
                f" what is: {json.dumps({'modalities': usual})}"
            )
        return tuple(usual)

    def _case(self, name, files):
        optional = [self.label] if self.label in files else []
        mask = [self.choices.mask] if self.choices.mask else []
        for kind in (*self.modalities, *optional, *mask):
            if len(files.get(kind, ())) != 1:
                there = sorted(path.name for paths in files.values() for path in paths)
                reason = f"{name} has {'several' if kind in files else 'no'} {kind}"
                return Problem(
                    name=name,
                    reason=f"{reason}; it has {', '.join(there)}.",
                    hint="Complete the case, move it away, or say which modalities are"
                    f" used in {NAME}.",
                )
        roles = {kind: ImageFile(path=files[kind][0]) for kind in files}
        return Case(
            name=name,
            patient=name.split("_")[0],
            images={modality: roles[modality] for modality in self.modalities},
            label=roles.get(self.label),
            mask=roles.get(self.choices.mask),
            label_tables=(),
        )

    def _declared(self):
        """The labels' values by name, and where that is said; None if it is not."""
        paths = [p for files in self.files.values() for p in files.get(self.label, ())]
        tables = sorted({t for path in paths if (t := _table_of(self.root, path))})
        values = [_read_table(path) for path in tables]
        for path, other in zip(tables, values, strict=True):
            if other != values[0]:
                raise DataError(
                    f"{path} and {tables[0]} name labels differently.",
                    hint=f'Say in {NAME} what the values mean: "labels".',
                )
        if tables:
            return values[0], str(tables[0])
        if not self.label or _suffix(self.label).endswith("dseg"):
            return None, ""
        entity = re.search("_label-([^_]+)", self.label)
        return {"background": 0, entity[1] if entity else "mask": 1}, self.label


def _scan(root):
    """Files by case and kind, and those that are not named by the rules."""
    cases, misnamed = {}, []
    for folder in _files.folders(root, _DEPTH):
        if _PASSED & set(folder.relative_to(root).parts):
            continue
        for path in sorted(folder.iterdir()):
            stem = volumes.stem(path)
            if not stem.startswith("sub-") or not path.is_file():
                continue
            if match := _FILE.fullmatch(stem):
                case, kind = _parse(match)
                cases.setdefault(case, {}).setdefault(kind, []).append(path)
            else:
                reason = f"{path} is not named sub-X[_key-value...]_suffix, as in BIDS."
                misnamed.append(Problem(name=stem, reason=reason, hint="Rename it."))
    return dict(sorted(cases.items())), misnamed


def _parse(match):
    """The case that a file is of, and its kind: suffix and other entities."""
    subject, entities, suffix = match.groups()
    entities = entities.split("_")[1:]
    own = [entity for entity in entities if entity.split("-")[0] in _CASE]
    others = [entity for entity in entities if entity not in own]
    return "_".join([subject, *own]), "_".join([suffix, *others])


def _suffix(kind):
    return kind.split("_")[0]


def _is_mask(kind):
    return re.fullmatch("(.+-)?(dseg|mask|msk)", _suffix(kind)) is not None


def _check_there(choices, key, kinds):
    if (kind := getattr(choices, key)) and kind not in kinds:
        masks = ", ".join(filter(_is_mask, sorted(kinds))) or "none"
        raise DataError(
            f'{choices.folder / NAME}: "{key}" is {kind!r}, there is no such file.',
            hint=f"There are: {masks}.",
        )


def _label_of(root, kinds):
    """The kind of file that holds label maps; empty if there is none."""
    masks = [k for k in sorted(kinds) if _is_mask(k) and "-brain" not in k.lower()]
    found = [k for k in masks if _suffix(k).endswith("dseg")] or masks
    if len(found) > 1:
        there = ", ".join(f"{kind} ({kinds[kind]} cases)" for kind in found)
        raise DataError(
            f"{root} has several kinds of label maps: {there}.",
            hint=f'Choose one in {NAME} in that folder: {{"label": "{found[0]}"}}',
        )
    return found[0] if found else ""


def _table_of(root, path):
    """The nearest table of a label map, from beside it up to the root."""
    stem = volumes.stem(path)
    own = "_".join(part for part in stem.split("_") if part[:4] not in ("sub-", "ses-"))
    for folder in path.parents:
        for name in (f"{stem}.tsv", f"{own}.tsv", "dseg.tsv"):
            if (folder / name).is_file():
                return folder / name
        if folder == root:
            return None
    return None


def _read_table(path):
    """Values by name, of a table with columns index and name."""
    header, lines = table.read_rows(path)
    if missing := {"index", "name"} - set(header):
        raise DataError(
            f"{path} has no column {min(missing)!r}; it has {', '.join(header)}.",
            hint="BIDS asks for the columns index and name.",
        )
    index, name = header.index("index"), header.index("name")
    values = {}
    for number, cells in lines.items():
        if not cells[index].isdecimal() or cells[name] in values:
            raise DataError(
                f"{path}, line {number}: index {cells[index]!r}, name {cells[name]!r}.",
                hint="An index is a whole number; every name is there once.",
            )
        values[cells[name]] = int(cells[index])
    return values if 0 in values.values() else {"background": 0} | values
