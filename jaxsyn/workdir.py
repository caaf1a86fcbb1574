"""A run's folder: whose it is, who is at work in it, and on what it ran."""

from collections.abc import Collection, Iterator, Mapping
import contextlib
import datetime
import importlib.metadata
import json
import logging
import os
from pathlib import Path
import platform
import shlex
import socket
import subprocess
import sys
from typing import Any

import jax

from jaxsyn import storage
from jaxsyn.errors import CheckpointError, ResourceError

_LOG = logging.getLogger(__name__)
LOCK = ".lock"  # There while a process is at work in the folder.
# What may differ from one call to the next without making it another run.
CADENCE = ("train.log_every", "train.sample_every", "train.checkpoint_every")
CADENCE += ("train.keep_checkpoints", "train.on_alarm", "train.rollbacks")
# How the same steps are computed; results differ by rounding at most.
CADENCE += ("train.steps_per_dispatch", "train.shard")
FREE = ("train.steps", "train.epochs", *CADENCE)
FREE += ("data.source_dir", "data.prepared_dir", "data.cache", "data.jobs", "data.beam")
FREE += ("synthetic.dir", "seeds", "rows", "paper")  # A judge's table may grow.
PACKAGES = ("jaxsyn", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
PACKAGES += ("nibabel", "tensorflow-cpu", "tensorflow-datasets", "clu")


def claim(
    workdir: Path,
    config: Mapping[str, Any],
    *,
    free: Collection[str] = FREE,
    **origin: str,
) -> None:
    """Makes `workdir` the folder of a run with `config`, or recognises it.

    Args:
      workdir: The folder; made if it is not there.
      config: The run's configuration as plain dictionaries.
      free: Keys that may differ from those it was claimed with.
      **origin: What it is made of, kept beside versions and devices in
        environment.json: `data`, a prepared set's key.

    Raises:
      CheckpointError: The folder belongs to another configuration; the message
        prints what differs.
      ResourceError: The folder cannot be written.
    """
    check(workdir, config, free=free)
    with storage.writing(workdir):
        workdir.mkdir(parents=True, exist_ok=True)
        storage.write_json(workdir / "config.json", config)
        storage.write_json(workdir / "environment.json", environment(**origin))


def check(
    workdir: Path, config: Mapping[str, Any], *, free: Collection[str] = FREE
) -> None:
    """Raises what `claim` would if `workdir` is another run's, without claiming it."""
    path = workdir / "config.json"
    with storage.writing(workdir):
        old = json.loads(path.read_text()) if path.exists() else None
    # As JSON knows it: tuples are lists there.
    new = json.loads(json.dumps(config))
    lines = [] if old is None else difference(old, new)
    lines = [line for line in lines if line.split(":")[0] not in free]
    if lines:
        raise CheckpointError(
            f"{workdir} belongs to another configuration:\n    " + "\n    ".join(lines),
            hint="Choose another --workdir, or give the options it was started with.",
        )


@contextlib.contextmanager
def held(workdir: Path) -> Iterator[None]:
    """Keeps other processes out of `workdir` while the context lasts.

    The lock is the operating system's (`flock`), between machines as far as the file
    system has it, and ends with the process, killed or not. The file says whose it is.

    Args:
      workdir: The folder; made if it is not there.

    Raises:
      ResourceError: Another process has it, which is named; or it cannot be written.
    """
    path, new = workdir / LOCK, not workdir.exists()
    with storage.writing(workdir):
        workdir.mkdir(parents=True, exist_ok=True)
        file = storage.try_lock(path)
    if file is None:
        raise ResourceError(
            f"{workdir} is in use by {_holder(path) or 'another process'}.",
            hint="Wait until it ends or stop it, or choose another --workdir.",
        )
    with file:
        if killed := _holder(path):
            _LOG.warning("%s was in use by %s, which is gone.", workdir, killed)
        _sign(file)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            if new:  # Nothing has come of it.
                with contextlib.suppress(OSError):
                    workdir.rmdir()


def _sign(file):
    """Says in the lock's file who holds it."""
    now = datetime.datetime.now().astimezone()
    about = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": now.isoformat(" ", "seconds"),
        "command": shlex.join(sys.argv),
    }
    file.truncate(0)
    file.write(json.dumps(about))
    file.flush()


def _holder(path):
    """Who holds a lock or held it last, in words; empty if that is not known."""
    try:
        about = json.loads(path.read_text())
        return (
            f"process {about['pid']} on {about['host']} since {about['since']}"
            f" ({about['command']})"
        )
    except (OSError, KeyError, TypeError, ValueError):
        return ""


def environment(**origin: str) -> dict[str, Any]:
    """What a result depends on beside the configuration: versions and devices."""
    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "backend": jax.default_backend(),
        "devices": [device.device_kind for device in jax.devices()],
        "git_commit": _git_commit(),
        **origin,
    }


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Lines `key: old -> new`, for dotted keys of nested dictionaries that differ."""
    old, new = _flatten(old), _flatten(new)
    lines = []
    for key in sorted(set(old) | set(new)):
        before, after = old.get(key, "(not set)"), new.get(key, "(not set)")
        if before != after:
            lines.append(f"{key}: {before!r} -> {after!r}")
    return lines


def _flatten(tree, prefix=""):
    flat = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git_commit():
    """Of this package, with "-dirty" if it was changed since; None if it has none."""
    # Installed in somebody's repository, it is not of that one.
    if not _git("ls-files", Path(__file__).name):
        return None
    return _git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(*command):
    """What git says in this package's folder; None if it has nothing to say."""
    words = ["git", "-C", str(Path(__file__).parent), *command]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
