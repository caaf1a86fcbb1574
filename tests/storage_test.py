"""Files are whole or absent; a full disk has a name."""

import errno
import hashlib
import multiprocessing
import os

import pytest

from jaxsyn import storage
from jaxsyn.errors import ResourceError


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        with storage.whole_file(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    with storage.whole_file(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(
    "error, message",
    [
        (OSError(errno.ENOSPC, "full"), "No space left while writing to .*out"),
        (RuntimeError("RESOURCE: No space left on device"), "No space left"),
        (ValueError("OUT_OF_RANGE: File too large [os_error_code"), "No space left"),
        (PermissionError(errno.EACCES, "no"), "Not allowed to write to .*out"),
    ],
)
def test_a_full_or_closed_disk_is_named(tmp_path, error, message):
    with pytest.raises(ResourceError, match=message):
        with storage.writing(tmp_path / "out"):
            raise error


def test_other_errors_keep_their_own_kind(tmp_path):
    with pytest.raises(FileNotFoundError):
        with storage.writing(tmp_path):
            raise FileNotFoundError(errno.ENOENT, "gone")


def test_files_are_hashed_again_only_when_they_changed(tmp_path, monkeypatch):
    path, memo, read = tmp_path / "a", tmp_path / "memo.json", []
    digest = hashlib.file_digest

    def counted(file, name):
        read.append(file.name)
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    monkeypatch.setattr(storage, "_SETTLED_NS", 0)
    of = lambda data: [hashlib.sha256(data).hexdigest()]  # noqa: E731
    find = lambda *p: [*storage.fingerprints(p, memo=memo).values()]  # noqa: E731
    path.write_bytes(b"one")
    status = path.stat()
    assert find(path) == find(path) == of(b"one") and len(read) == 1
    path.write_bytes(b"two")
    assert find(path) == of(b"two") and len(read) == 2
    path.write_bytes(b"six")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # As if untouched.
    assert find(path) == of(b"six") and len(read) == 3
    assert find(path.rename(tmp_path / "b")) == of(b"six")
    memo.write_text("damaged")
    del read[:]
    assert find(tmp_path / "b") == of(b"six") and len(read) == 1
    assert storage.fingerprints([tmp_path / "b"]) and len(read) == 2
    monkeypatch.setattr(storage, "_SETTLED_NS", 10**12)
    path.write_bytes(b"new")
    assert find(path) == find(path) == of(b"new") and len(read) == 4


def _hold(path, held, release):
    with storage.lock(path):
        held.set()
        release.wait()


def test_a_lock_is_held_by_one_process_at_a_time(tmp_path):
    path = tmp_path / "lock"
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(path, held, release))
    other.start()
    assert held.wait(30)
    with open(path) as file, pytest.raises(BlockingIOError):
        storage.fcntl.flock(file, storage.fcntl.LOCK_EX | storage.fcntl.LOCK_NB)
    release.set()
    with storage.lock(path):  # Waits for the other to let go.
        pass
    other.join()
