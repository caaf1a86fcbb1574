"""Label tables of one's own data: declared in a file, or found in the label maps.

Files are not trusted: what does not declare whole numbers from 0 to 32767, each of them
once, is refused with what was there and what to do about it.
"""

from collections.abc import Iterable, Mapping
import colorsys
import functools
import json
from pathlib import Path
import reprlib
from typing import Any

from absl import logging
import numpy as np

from jaxsyn.data import volumes
from jaxsyn.errors import DataError
from jaxsyn.spec import Label

MAX_VALUE = 32767  # As int16, label maps are written.
MAX_FOUND = 32  # Different values in label maps; an image has more.
_MAX_BYTES = 2**20
_MAX_LABELS = 256  # Indices are of 8 bits.
_MAX_NAME = 100
_GOLDEN = 0.618034  # Hues in steps of the golden section of a turn stay far apart.


def is_name(text: Any) -> bool:
    """Whether it can be the name of a file, as names of cases and channels become."""
    return (
        isinstance(text, str)
        and 0 < len(text) <= _MAX_NAME
        and text.isprintable()
        and text == text.strip()
        and not text.startswith(".")
        and not set(text) & set("/\\")
    )


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
      DataError: It is larger than 1 MB, no JSON, no object, or has a name twice.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise ValueError("it is larger than 1 MB")
        data = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_once)
        if not isinstance(data, dict):
            raise ValueError(f"it holds {reprlib.repr(data)}, expected an object")
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path} cannot be understood: {error}.",
            hint="It must hold one JSON object, {...}; check its commas and quotes.",
        ) from error
    return data


def declared(
    values: Mapping[str, Any], where: str, derived: str | None
) -> tuple[Label, ...]:
    """A label table, in the order of its values.

    Args:
      values: For each name its value in label maps.
      where: Named in errors: the file and the key.
      derived: Name of the entry for foreground without a label; None for no entry.

    Raises:
      DataError: A name or a value cannot be used or is there twice, or none is 0.
    """
    names = {}
    for name, value in values.items():
        _check_label(name, value, where)
        if value in names:
            raise DataError(
                f"{where}: {names[value]!r} and {name!r} are both {value}.",
                hint="Give each value one name.",
            )
        names[value] = name
    if 0 not in names:
        raise DataError(
            f"{where}: no label has the value 0.",
            hint='What is 0 in a label map is background: add "background": 0.',
        )
    if derived in values or len(names) + bool(derived) > _MAX_LABELS:
        raise DataError(
            f"{where}: there is no room beside its {len(names)} labels for"
            f" {derived!r}, the foreground that has no label.",
            hint='Write another name, or null, into jaxsyn.json: "foreground".',
        )
    table = [
        Label(name=name, values=(value,), colour=_colour(value))
        for value, name in sorted(names.items())
    ]
    if derived:
        table.append(Label(name=derived, colour=(120, 120, 130)))
    return tuple(table)


def found(paths: Iterable[Path], where: Path, derived: str | None) -> tuple[Label, ...]:
    """The table of all values in label maps, as `label_2`; 0 is `background`.

    A file that cannot be read counts for nothing here: its case is refused when it is
    read. Values are remembered as long as a file does not change.

    Args:
      paths: The label maps.
      where: What they were found in, for messages.
      derived: As in `declared`.

    Raises:
      DataError: They hold more than 32 different values, or other than 0 to 32767.
    """
    values = set()
    for path in paths:
        state = path.stat()
        values |= _values(path, state.st_size, state.st_mtime_ns)
        _check_few(len(values), where)
    names = {"background": 0} | {f"label_{v}": v for v in sorted(values)}
    if values:
        tell(
            f"{where}: its labels have no names. Write them into jaxsyn.json beside"
            f" it: {json.dumps({'labels': names})}"
        )
    return declared(names, str(where), derived)


@functools.cache
def tell(message: str) -> None:
    """Logs what a person should know, once."""
    logging.warning("%s", message)


def _once(pairs):
    data = dict(pairs)
    if len(data) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} is in it twice")
    return data


def _check_label(name, value, where):
    if not is_name(name):
        raise DataError(
            f"{where}: {reprlib.repr(name)} cannot be the name of a label.",
            hint="Use letters, digits and spaces, at most 100 of them.",
        )
    if type(value) is not int or not 0 <= value <= MAX_VALUE:
        raise DataError(
            f"{where}: {name!r} is {reprlib.repr(value)}.",
            hint=f"The value of a label is a whole number from 0 to {MAX_VALUE}.",
        )


@functools.cache
def _values(path, _size, _time):
    """The values other than 0 of one label map."""
    try:
        data = volumes.read(path).data
    except DataError:
        return frozenset()
    flat = data.ravel("K")
    values = np.unique(flat[flat != 0])
    _check_few(values.size, path)
    wrong = values[(values < 0) | (values > MAX_VALUE) | (values % 1 != 0)]
    if wrong.size:
        raise DataError(
            f"{path}: label values {wrong[:8].tolist()} are not from 0 to {MAX_VALUE}.",
            hint="Is it a label map? If so, give its labels other values.",
        )
    return frozenset(map(int, values))


def _check_few(count, where):
    if count > MAX_FOUND:
        raise DataError(
            f"{where}: {count} different values: it looks like an image, not a label"
            " map.",
            hint="Check which files are the label maps. If it is one, declare what its"
            ' values mean in jaxsyn.json: "labels".',
        )


def _colour(value):
    """RGB; black for 0."""
    hue = value * _GOLDEN % 1.0
    rgb = colorsys.hsv_to_rgb(hue, 0.65, 0.9 if value else 0.0)
    return tuple(round(255 * channel) for channel in rgb)
