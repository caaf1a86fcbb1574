"""Which settings a folder of phantoms was made with, so that none mixes two."""

import dataclasses
import json
from pathlib import Path

from jaxsyn import storage
from jaxsyn.data.phantom.patient import Settings
from jaxsyn.errors import DataError

_RECORD = "phantom.json"
_RECIPE = 1  # To be raised when the same settings come to give other patients.


def claim(out_dir: Path, settings: Settings) -> None:
    """Makes the folder, or checks that what it holds is of the same settings.

    Raises:
      DataError: It holds something else.
      ResourceError: It cannot be written.
    """
    record = out_dir / _RECORD
    wanted = {"recipe": _RECIPE, **dataclasses.asdict(settings)}
    with storage.writing(out_dir):
        out_dir.mkdir(parents=True, exist_ok=True)
        if any(path != record for path in out_dir.iterdir()):
            # As JSON knows it: tuples are lists there.
            _check_equal(record, json.loads(json.dumps(wanted)))
        else:
            storage.write_json(record, wanted)


def _check_equal(record: Path, wanted: dict) -> None:
    if not record.exists():
        raise DataError(
            f"{record.parent} is not empty and holds no phantoms: no {_RECORD}.",
            hint="Choose a folder that is empty or does not exist.",
        )
    found = _read_record(record)
    differ = [key for key in wanted if found.get(key) != wanted[key]]
    if differ:
        raise DataError(
            f"{record.parent} holds phantoms of other settings: "
            + "; ".join(f"{k} {found.get(k)}, not {wanted[k]}" for k in differ),
            hint="Choose another folder, or delete that one.",
        )


def _read_record(record: Path) -> dict:
    try:
        return dict(json.loads(record.read_text()))
    except (OSError, TypeError, ValueError) as error:
        raise DataError(
            f"{record} cannot be read: {error}", hint="Choose another folder."
        ) from error
