"""SHA-256 of a folder's files, kept in it: damage is found, and named, before use.

The manifest has the form of that of an exported generator (`synthesis.standalone`): the
hash of each file by its path, and a hash of all these, so that damage to itself is
found, too. It is written after the files, whole or not at all.

    python -m jaxsyn.integrity DIR

reads every file that the manifests in DIR and below list, and exits with 3 if one is
damaged. A manifest is no signature: who changes files on purpose can change it, too.
"""

import argparse
from collections.abc import Iterable
import hashlib
import json
import logging
from pathlib import Path
import sys
import time

from jaxsyn import storage
from jaxsyn.errors import DataError

_LOG = logging.getLogger(__name__)
MANIFEST = "sha256.json"
# What was whole once, with its size and times: it need not be read at every start.
MEMO = ".sha256-memo.json"


def write(
    folder: Path, parts: Iterable[str] | None = None, *, remember: bool = False
) -> None:
    """Hashes files and writes the folder's manifest.

    Args:
      folder: Where it goes.
      parts: Which of the folder's entries, each with all below it; all by default.
        What the manifest says of other entries stays.
      remember: Whether files are known to be whole until they change; see `damage`.

    Raises:
      DataError: There is a manifest to be added to, and it is damaged.
    """
    kept = {}
    if parts is not None and has_manifest(folder):
        parts = set(parts)
        known = _listed(folder).items()
        kept = {name: sha for name, sha in known if _entry(name) not in parts}
    paths = _files(folder, parts)
    found = _hashes(folder, paths, remember)
    hashes = kept | {name: found[path] for name, path in paths.items()}
    with storage.whole_file(folder / MANIFEST) as file:
        file.write(_manifest_of(hashes))


def has_manifest(folder: Path) -> bool:
    """Whether there is a manifest; one that an earlier version wrote has none."""
    return (folder / MANIFEST).exists()


def check(
    folder: Path, *, hint: str, remember: bool = True, missing_ok: bool = False
) -> None:
    """Raises DataError if a file is not what it was; see `damage`.

    A folder without manifest, as earlier versions left them, is let pass, and that is
    said.
    """
    if has_manifest(folder):
        if why := damage(folder, remember=remember, missing_ok=missing_ok):
            raise DataError(why, hint=hint)
    elif folder.exists():
        _LOG.warning(
            "%s is missing, as where an earlier version was at work: whether the other"
            " files are whole is not known.",
            folder / MANIFEST,
        )


def damage(folder: Path, *, remember: bool = False, missing_ok: bool = False) -> str:
    """What is wrong with the first file that is not what it was; empty if none is.

    A file is unexpected if it lies below an entry of the folder of which the manifest
    lists files. Entries that it does not know at all are nobody's business, nor are
    hidden files, which file systems leave and nobody here reads.

    Args:
      folder: With a manifest.
      remember: Whether a file is not read again while its size and its times of
        modification and of change are those it had when it was last found whole. A
        program cannot set the latter, so all that is written to a file is noticed; what
        a failing disk changes without anybody writing is not. That is left to the
        command, and to checks without this.
      missing_ok: Whether files may be missing.
    """
    try:
        hashes = _listed(folder)
        there = _files(folder, {_entry(name) for name in hashes})
        missing = sorted({*hashes} - {*there})
        if missing and not missing_ok:
            return f"{folder / missing[0]} is missing."
        for name in sorted(there):
            if name not in hashes and not there[name].name.startswith("."):
                return f"{there[name]} is unexpected: {MANIFEST} does not list it."
        found = _hashes(folder, there, remember)
    except DataError as error:
        return error.args[0]
    except OSError as error:
        return f"{error.filename or folder} cannot be read: {error.strerror}."
    for name, path in sorted(there.items()):
        if found[path] != hashes.get(name, found[path]):
            if remember:  # It may be the memory that is damaged.
                return damage(folder, missing_ok=missing_ok)
            return f"{path} is damaged: its SHA-256 is not that in {MANIFEST}."
    return ""


def _listed(folder):
    """The hashes that the manifest lists; DataError if it is damaged."""
    path = folder / MANIFEST
    raw = path.read_bytes()
    try:
        hashes = json.loads(raw)["files"]
        whole = _manifest_of(hashes) == raw
    except (KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        raise DataError(f"{path} is damaged.")
    return hashes


def _files(folder, parts):
    """The files of some entries of a folder, by their paths in it."""
    passed = (MANIFEST, MEMO, ".partial")
    entries = sorted(folder.iterdir()) if parts is None else [folder / p for p in parts]
    found = {}
    for entry in entries:
        below = entry.rglob("*") if entry.is_dir() else (entry,)
        found |= {
            path.relative_to(folder).as_posix(): path
            for path in below
            if path.is_file() and not path.name.endswith(passed)
        }
    return found


def _hashes(folder, paths, remember):
    memo = folder / MEMO if remember else None
    return storage.fingerprints([*paths.values()], memo=memo)


def _entry(name):
    """The entry of its folder that a file is, or is in."""
    return name.split("/")[0]


def _manifest_of(hashes):
    """As `standalone.manifest_of`, which has to do without this module."""
    listed = json.dumps(hashes, sort_keys=True, indent=1)
    own = hashlib.sha256(listed.encode()).hexdigest()
    return json.dumps(
        {"files": json.loads(listed), "sha256 of files": own}, indent=1
    ).encode()


def main(argv: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m jaxsyn.integrity", description=__doc__.splitlines()[0]
    )
    parser.add_argument("folder", metavar="DIR", type=Path)
    root = parser.parse_args(argv).folder
    folders = sorted(path.parent for path in root.rglob(MANIFEST))
    if not folders:
        print(f"jaxsyn: There is no {MANIFEST} in {root}.", file=sys.stderr)
        return DataError.exit_code
    return max(map(_tell, folders))


def _tell(folder):
    """Checks a folder and says what came of it; returns the exit code."""
    began = time.monotonic()
    why = damage(folder)
    if why:
        print(f"damaged  {folder}: {why}")
        return DataError.exit_code
    sizes = [path.stat().st_size for path in _files(folder, None).values()]
    size, speed = sum(sizes) / 1e9, sum(sizes) / 1e9 / (time.monotonic() - began)
    print(f"whole    {folder}: {len(sizes)} files, {size:.3f} GB at {speed:.1f} GB/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
