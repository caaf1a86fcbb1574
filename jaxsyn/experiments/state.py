"""What became of a cell: files in its folder that processes leave for each other."""

from collections.abc import Iterator, Mapping
import contextlib
import json
from pathlib import Path
import time
from typing import Any

from jaxsyn import storage
from jaxsyn import workdir as workdir_lib
from jaxsyn.errors import CheckpointError, JaxsynError

_IGNORED = (*workdir_lib.CADENCE, "data.jobs", "data.beam", "data.cache")
_IGNORED += ("data.source_dir", "data.prepared_dir")


class CellState:
    """What is known of a cell, in a folder beside that of its job.

    A process holds the folder's lock while it runs the job; with the process, the lock
    ends.
    """

    def __init__(self, workdir: Path, name: str):
        """Takes the experiment's folder and a cell's name; neither need be there."""
        self._name, self.folder = name, workdir / "states" / name
        self.log = self.folder / "log.txt"
        self._attempts = self.folder / "attempts.jsonl"
        self._done = self.folder / "done.json"
        self._failed = self.folder / "failed.json"

    @property
    def done(self) -> dict[str, Any] | None:
        """Of a finished cell: `config`, `seconds` of all attempts and `ended`."""
        return _read(self._done)

    @property
    def failed(self) -> dict[str, Any] | None:
        """Of a cell whose last attempt failed: `error`, `code` and `ended`."""
        return None if self.done else _read(self._failed)

    def check(self, config: Mapping[str, Any]) -> None:
        """Raises CheckpointError if it is finished with another configuration."""
        if not self.done:
            return
        lines = workdir_lib.difference(self.done["config"], config)
        lines = [line for line in lines if line.split(":")[0] not in _IGNORED]
        if lines:
            raise CheckpointError(
                f"{self._name} is finished, with another configuration:\n    "
                + "\n    ".join(lines),
                hint="Choose another --workdir, or delete the cell's folders in cells"
                " and states to run it again.",
            )

    @contextlib.contextmanager
    def held(self) -> Iterator[bool]:
        """Takes the cell while the context lasts; False if another process has it."""
        with storage.writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            file = storage.try_lock(self.folder / ".lock")
        if file is None:
            yield False
            return
        with file:
            yield True

    @property
    def is_held(self) -> bool:
        """Whether a process runs the cell."""
        with self.held() as ours:
            return not ours

    def attempt(self, config: Mapping[str, Any], outcome: str, seconds: float) -> None:
        """Notes an attempt: `done`, `stopped`, or what went wrong."""
        line = {"outcome": outcome, "seconds": seconds, "ended": time.time()}
        with storage.writing(self.folder):
            with open(self._attempts, "a") as file:
                file.write(f"{json.dumps(line)}\n")
            if outcome == "done":
                about = {"config": config, "seconds": self.seconds}
                storage.write_json(self._done, about | {"ended": time.time()})

    def clear(self) -> None:
        """Forgets that an earlier attempt failed."""
        self._failed.unlink(missing_ok=True)

    def fail(self, error: str, code: int) -> None:
        """Notes that the cell failed."""
        about = {"error": error, "code": code, "ended": time.time()}
        with storage.writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            storage.write_json(self._failed, about)

    @property
    def seconds(self) -> float:
        """Of all attempts that ended by themselves."""
        if not self._attempts.exists():
            return 0.0
        lines = map(json.loads, self._attempts.read_text().splitlines())
        return sum(line["seconds"] for line in lines)


def explain(error: BaseException) -> str:
    """An error as it is noted: the project's own in its words, others by name."""
    if isinstance(error, JaxsynError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _read(path):
    return json.loads(path.read_text()) if path.exists() else None
