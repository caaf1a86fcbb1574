"""A CSV file of paths: a row for each case, a column for each modality.

    case,patient,t1,flair,label
    a1,anna,a1/t1.nii.gz,a1/flair.nii.gz,a1/lesion.nii.gz

Columns case (otherwise the name of the first image), patient (otherwise the case),
label, mask (of the brain) and tissues are optional; every other column is a modality,
in the file's order, unless jaxsyn.json beside it names those to use; see `_folder`,
also for labels, which otherwise are the values found in the label maps. With a column
label and no modality these are label maps alone, for generators of label maps.

Tissues are maps with 1 in cerebrospinal fluid, 2 in grey and 3 in white matter, which
hold where nothing else has a label; `python -m jaxsyn.data.tissues` makes them. With
them there is no label for the foreground.

Paths are relative to the file. Columns are divided by commas, semicolons or tabs.
"""

from collections.abc import Iterator
import csv
import dataclasses
import io
from pathlib import Path

from jaxsyn.data import volumes
from jaxsyn.data.cases import Case, ImageFile, Problem
from jaxsyn.data.sources import _labels
from jaxsyn.data.sources._folder import Choices
from jaxsyn.data.sources.brats_tissues import TISSUES
from jaxsyn.errors import DataError
from jaxsyn.spec import Label

ORIGIN = "These are your own images"
LAYOUT = "a CSV file with a column of paths for each modality, or a folder with one"
_TEXT, _FILES = ("case", "patient"), ("label", "mask", "tissues")


def describe(root: Path) -> tuple[tuple[str, ...], tuple[Label, ...]]:
    """Modalities and label table of a CSV file, or of the one in a folder.

    Raises:
      DataError: The file or the jaxsyn.json beside it leaves open what they are.
    """
    choices, modalities, cases = _open(root)
    return modalities, _labels_of(choices, cases)


def find_cases(root: Path) -> Iterator[Case | Problem]:
    """Finds the cases of the rows; one with an empty cell or no file is a Problem."""
    choices, _, cases = _open(root)
    labels = _labels_of(choices, cases)
    for case in cases:
        yield choices.finish(case, labels)


def read_rows(path: Path) -> tuple[list[str], dict[int, list[str]]]:
    """The columns' names, and the other lines' cells by the number of the line.

    Lines are as long as the first, unless there is more in them.

    Raises:
      DataError: It is no text in UTF-8, or its quotes or names of columns are wrong.
    """
    try:
        text = path.read_text("utf-8-sig")
        first = next(filter(None, map(str.strip, text.splitlines())), "")
        delimiter = max(",;\t", key=first.count)
        reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
        lines = [(reader.line_num, [*map(str.strip, cells)]) for cells in reader]
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is no text in UTF-8: {error}.", hint="Save it as CSV UTF-8."
        ) from error
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: {error}.",
            hint="Check the quotes; a quote within quotes is doubled.",
        ) from error
    lines = [(number, cells) for number, cells in lines if any(cells)]
    if not lines:
        raise DataError(f"{path} is empty.", hint="Its first line names the columns.")
    (_, header), *lines = lines
    _check_header(path, header)
    missing = {number: len(header) - len(cells) for number, cells in lines}
    return header, {n: cells + [""] * missing[n] for n, cells in lines}


def _check_header(path, header):
    names = [name.lower() for name in header]
    if twice := [name for name in header if names.count(name.lower()) > 1]:
        raise DataError(
            f"{path} has the column {twice[0]!r} twice.", hint="Rename one of them."
        )
    if "" in names:
        raise DataError(
            f"{path}: column {names.index('') + 1} has no name.",
            hint="pandas writes such a column of row numbers unless index=False.",
        )


def _labels_of(choices, cases):
    if any(isinstance(case, Case) and case.tissues for case in cases):
        table = dataclasses.replace(choices, foreground=None).table(cases)
        taken = {value for label in TISSUES for value in label.values}
        for label in table:
            if taken & set(label.values):
                raise DataError(
                    f"The label {label.name} is {label.values[0]}; beside tissues"
                    f" {', '.join(map(str, sorted(taken)))} mean those.",
                    hint="Give it another value in the label maps.",
                )
        return (*table, *TISSUES)
    return choices.table(cases)


def _open(root):
    path = _file_of(root)
    choices = Choices.read(path.parent)
    header, lines = read_rows(path)
    special = [*_TEXT, *_FILES]
    header = [name.lower() if name.lower() in special else name for name in header]
    modalities = choices.choose(name for name in header if name not in special)
    for name in modalities:
        if not _labels.is_name(name):
            raise DataError(
                f"{path}: {name!r} cannot be the name of a modality.",
                hint="Files are named after it: use letters, digits, - and _.",
            )
    if not modalities and "label" not in header:
        raise DataError(
            f"{path} has no column of images; its columns are {', '.join(header)}.",
            hint="Its first line must name them: case,patient,t1,flair,label.",
        )
    lines_of, cases = {}, []
    for number, cells in lines.items():
        case = _case(path, number, header, cells, modalities)
        if lines_of.setdefault(case.name, number) != number:
            case = Problem(
                name=f"{case.name} (line {number})",
                reason=f"{path}, line {number}: {case.name} is in line"
                f" {lines_of[case.name]} already.",
                hint="Give every case a name of its own, in a column case.",
            )
        cases.append(case)
    return choices, modalities, cases


def _file_of(root):
    if root.is_file():
        return root
    found = sorted(p for p in root.glob("*.csv") if not p.name.startswith("."))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise DataError(
            f"{root} must hold one CSV file; there: {names}.",
            hint="Name the file itself: --config.data.source_dir=FILE.csv",
        )
    return found[0]


def _case(path, number, header, cells, modalities):
    row = dict(zip(header, cells, strict=False))
    files = [name for name in (*modalities, *_FILES) if name in row]
    name = row.get("case") or volumes.stem(row[files[0]]) or f"line {number}"
    reason = ""
    if len(cells) > len(header) and any(cells[len(header) :]):
        reason = f"it has {len(cells)} cells, there are {len(header)} columns"
    for column in (*filter(row.__contains__, _TEXT), *files):
        reason = reason or _wrong(path, row, column, column in files)
    if reason:
        return Problem(
            name=name,
            reason=f"{path}, line {number}: {reason}.",
            hint="Paths are relative to the CSV file. If a column is no image, name"
            ' those that are in jaxsyn.json: "modalities".',
        )
    images = {column: ImageFile(path=path.parent / row[column]) for column in files}
    label, mask, tissues = (images.pop(column, None) for column in _FILES)
    return Case(
        name=name,
        patient=row.get("patient", name),
        images=images,
        label=label,
        mask=mask,
        tissues=tissues,
        label_tables=(),
    )


def _wrong(path, row, column, is_file):
    """What is wrong with a cell, if anything."""
    if not row[column]:
        return f"the cell in column {column!r} is empty"
    if is_file and not (path.parent / row[column]).is_file():
        return f"column {column!r}: there is no file {path.parent / row[column]}"
    if is_file and not volumes.stem(row[column]):
        kinds = ", ".join(volumes.ENDINGS)
        return f"column {column!r}: {row[column]} is no file in {kinds}"
    return ""
