"""Files that are whole or absent, and what a full disk is called."""

from collections.abc import Iterator, Sequence
from concurrent import futures
import contextlib
import errno
import fcntl
import hashlib
import json
import os
from pathlib import Path
from typing import IO, Any

from absl import logging

from jaxsyn.errors import ResourceError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_RIGHT = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_FOLDER = (errno.ENOTDIR, errno.EEXIST)


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turns a full disk, a missing permission or no folder into ResourceError."""
    try:
        yield
    except Exception as error:
        number = getattr(error, "errno", None)
        # Array records and checkpoints are written in C++: no number in the error.
        if number in _NO_ROOM or "No space left on device" in str(error):
            raise ResourceError(
                f"No space left while writing to {folder}.",
                hint="Make room, or name another folder, and run the same again.",
            ) from error
        if number in _NO_FOLDER:
            raise ResourceError(
                f"{folder} cannot be a folder: a file is in its way.",
                hint="Name another folder.",
            ) from error
        if number in _NO_RIGHT or "Permission denied" in str(error):
            raise ResourceError(
                f"Not allowed to write to {folder}.",
                hint="Name a folder that you may write to.",
            ) from error
        raise


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Opens a file that appears under its name only once it is complete."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with open(partial, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, data: Any) -> None:
    """Writes JSON, whole or not at all."""
    with whole_file(path) as file:
        file.write(json.dumps(data, indent=1).encode())


def fingerprints(paths: Sequence[Path], *, memo: Path) -> dict[Path, str]:
    """SHA-256 of files; one is read only if its size or time is not in `memo`.

    Args:
      paths: The files.
      memo: A JSON file of what is known, made or brought up to date.
    """
    try:
        known = json.loads(memo.read_text())
    except (OSError, ValueError):
        known = {}

    def fingerprint(path):
        status = path.stat()
        stamp = [status.st_size, status.st_mtime_ns]
        if str(path) in known and known[str(path)][:2] == stamp:
            return known[str(path)]
        with open(path, "rb") as file:
            return [*stamp, hashlib.file_digest(file, "sha256").hexdigest()]

    with futures.ThreadPoolExecutor() as pool:
        found = dict(zip(map(str, paths), pool.map(fingerprint, paths), strict=True))
    if found != {path: known.get(path) for path in found}:
        write_json(memo, known | found)
    return {path: found[str(path)][2] for path in paths}


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Waits until no other process on this machine holds the lock at `path`."""
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logging.info("Waiting for another process that holds %s.", path)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
