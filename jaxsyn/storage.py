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
import time
from typing import IO, Any

from absl import logging

from jaxsyn.errors import ResourceError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_RIGHT = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_FOLDER = (errno.ENOTDIR, errno.EEXIST)
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_SETTLED_NS = 2_000_000_000  # What is younger may change without the clock's ticking.


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turns a full disk, a missing permission or no folder into ResourceError."""
    try:
        yield
    except Exception as error:
        number = getattr(error, "errno", None)
        # Array records and checkpoints are written in C++: no number in the error.
        said = str(error)
        if number in _NO_ROOM or any(os.strerror(n) in said for n in _NO_ROOM):
            raise ResourceError(
                f"No space left while writing to {folder}.",
                hint="Make room, or name another folder, and run the same again.",
            ) from error
        if number in _NO_FOLDER:
            raise ResourceError(
                f"{folder} cannot be a folder: a file is in its way.",
                hint="Name another folder.",
            ) from error
        if number in _NO_RIGHT or "Permission denied" in said:
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


def fingerprints(paths: Sequence[Path], *, memo: Path | None = None) -> dict[Path, str]:
    """SHA-256 of files; one is read only if its size or times are not in `memo`.

    The time of change is among them, which no program can set back.

    Args:
      paths: The files; they are read in threads.
      memo: A JSON file of what is known, made or brought up to date if it can be.
    """
    try:
        known = json.loads(memo.read_text()) if memo else {}
    except (OSError, ValueError):
        known = {}

    def fingerprint(path):
        status = path.stat()
        own = f"{status.st_dev}-{status.st_ino}"  # Wherever it is moved to.
        stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        if own in known and known[own][:3] == stamp:
            return own, known[own]
        with open(path, "rb") as file:
            return own, [*stamp, hashlib.file_digest(file, "sha256").hexdigest()]

    with futures.ThreadPoolExecutor() as pool:
        found = dict(zip(paths, pool.map(fingerprint, paths), strict=True))
    settled = time.time_ns() - _SETTLED_NS
    learnt = {own: entry for own, entry in found.values() if entry[2] < settled}
    if memo and learnt != {own: known.get(own) for own in learnt}:
        with contextlib.suppress(OSError):  # Others' folders may be read-only.
            write_json(memo, known | learnt)
    return {path: entry[3] for path, (_, entry) in found.items()}


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


def try_lock(path: Path) -> IO[str] | None:
    """Takes the lock at `path`, or returns None if another process has it.

    Returns:
      The lock's file, to be read and written. The lock ends when it is closed, or with
      the process, however that ends.
    """
    while True:
        file = open(path, "a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            logging.warning("%s: no locks are to be had in that file system.", path)
        # Who had it before may have deleted it meanwhile.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file
        file.close()
