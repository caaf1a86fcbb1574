"""Checkpoints through Orbax: saved while training goes on, restored bit for bit.

Orbax restores files whose bits have flipped without a word. Therefore each step has a
manifest of SHA-256 (see `integrity`), made by the thread that saves, before the step
gets its name: there is none that is finished and has no manifest. Every file is checked
against it before anything of the step is used.
"""

from collections.abc import Mapping
import functools
import logging
from pathlib import Path
import shlex
import shutil
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from jaxsyn import integrity, storage
from jaxsyn.engine import processes
from jaxsyn.engine.step import TrainState
from jaxsyn.errors import CheckpointError, ResourceError

_LOG = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoints of one run: a folder with one sub-folder a step.

    A folder appears under its final name only when it is whole, so what is there
    after a crash can be restored. One that is damaged later is not used, and an older
    one is not silently used in its stead: the error says which of them is whole.
    """

    def __init__(self, folder: Path, *, keep: int = 2, readonly: bool = False):
        """Opens or creates `folder`.

        Args:
          folder: Where the checkpoints are.
          keep: How many to keep; older ones are deleted.
          readonly: Whether to refuse to write, as generation does.

        Raises:
          CheckpointError: Read-only, and there is no such folder.
          ResourceError: The folder cannot be made.
        """
        folder = Path(folder).absolute()
        if readonly and not folder.is_dir():
            raise CheckpointError(
                f"No checkpoints in {folder.parent}.",
                hint="Train first: python -m jaxsyn.main --config=... --workdir=...",
            )
        listing = ocp.AsyncOptions(post_finalization_callback=self._list_files)
        options = ocp.CheckpointManagerOptions(
            create=True, max_to_keep=keep, async_options=listing
        )
        if readonly:
            options = ocp.CheckpointManagerOptions(
                create=False, read_only=True, save_interval_steps=0
            )
        self._folder = folder
        self._saved: int | None = None  # The last step that was.
        self._whole: set[int] = set()  # Steps that were checked.
        with storage.writing(folder):
            self._manager = ocp.CheckpointManager(folder, options=options)

    def latest(self) -> int | None:
        """Step of the newest checkpoint, or None; in all processes the same.

        Raises:
          CheckpointError: It is damaged. Process 0 reads it for all.
        """
        step = self._manager.latest_step() if processes.is_first() else None
        known = step is None or step in self._whole
        step, why = processes.of_first([step, "" if known else self._damage(step)])
        if why:
            raise self._damaged(step, why)
        self._whole |= {step} - {None}
        return step

    def choose(self, step: int | None = None) -> int:
        """The newest step, or `step` if there is a checkpoint of it.

        Raises:
          CheckpointError: There is none, or it is damaged.
        """
        steps = sorted(self._manager.all_steps())
        if not steps or (step is not None and step not in steps):
            wanted = "checkpoint" if step is None else f"checkpoint of step {step}"
            raise CheckpointError(
                f"No {wanted} in {self._folder}.",
                hint=f"There are: {', '.join(map(str, steps)) or 'none'}.",
            )
        step = steps[-1] if step is None else step
        self._check(step)
        return step

    def save(self, state: TrainState, step: int, meta: Mapping[str, Any]) -> None:
        """Starts saving `state` and goes on; `meta` is what JSON can hold.

        The caller may donate the state's buffers to the next step at once.

        Raises:
          ResourceError: There is no room, or no permission.
        """
        if step in self._manager.all_steps():
            return
        self.wait()  # Orbax would, too.
        self._check_room(state)
        args = ocp.args.Composite(
            state=ocp.args.StandardSave(state),
            meta=ocp.args.JsonSave(dict(meta)),
        )
        self._saved = step
        with storage.writing(self._folder):
            self._manager.save(step, args=args)

    def wait(self) -> None:
        """Returns when everything is on disk.

        Raises:
          ResourceError: There was no room, or no permission.
        """
        with storage.writing(self._folder):
            self._manager.wait_until_finished()
            self._manager.check_for_errors()
            self._list_rest()

    def meta(self, step: int) -> dict[str, Any]:
        """What was saved beside the state at `step`.

        Raises:
          CheckpointError: It is damaged or cannot be read.
        """
        return self._restore(step, meta=ocp.args.JsonRestore())["meta"]

    def restore(self, step: int, like: TrainState) -> TrainState:
        """Reads the state of `step` into the shapes and shardings of `like`.

        Args:
          step: A step for which there is a checkpoint.
          like: A state, concrete or abstract (`jax.ShapeDtypeStruct` with sharding).

        Raises:
          CheckpointError: It is damaged, or belongs to other networks.
        """
        return self._restore(step, state=ocp.args.StandardRestore(like))["state"]

    def restore_arrays(self, step: int) -> dict[str, Any]:
        """Reads `step` as nested dictionaries of NumPy arrays, on no device.

        Raises:
          CheckpointError: It is damaged or cannot be read.
        """
        self._check(step)
        with ocp.PyTreeCheckpointer() as reader:
            try:
                folder = self._folder / str(step) / "state"
                arguments = jax.tree.map(
                    lambda _: ocp.RestoreArgs(restore_type=np.ndarray),
                    reader.metadata(folder).item_metadata.tree,
                )
                return reader.restore(folder, restore_args=arguments)
            except (ValueError, KeyError, TypeError, OSError) as error:
                raise self._unreadable(step, error) from error

    def close(self) -> None:
        """Waits and lets go."""
        self._manager.close()
        self._list_rest()

    def _check_room(self, state):
        """Says early, and in a line, what would fail late and in hundreds."""
        needed = sum(x.nbytes for x in jax.tree.leaves(state))
        free = shutil.disk_usage(self._folder).free
        if free < needed:
            raise ResourceError(
                f"No space left in {self._folder}: a checkpoint takes"
                f" {needed / 1e6:.0f} MB and {free / 1e6:.0f} MB are free.",
                hint="Make room and run the same again; it goes on from the last whole"
                " checkpoint.",
            )

    def _list_files(self):
        """Writes the manifest of a step that is whole but has not got its name yet."""
        for folder in self._folder.glob(f"{self._saved}.orbax-checkpoint-tmp*"):
            parts = [path.name for path in folder.iterdir() if path.is_dir()]
            integrity.write(folder, parts)

    def _list_rest(self):
        """Adds to it what Orbax writes last: little, and not needed to restore."""
        folder = self._folder / str(self._saved)
        if processes.is_first() and folder.exists():
            files = [path.name for path in folder.iterdir() if path.is_file()]
            integrity.write(folder, files if integrity.has_manifest(folder) else None)
        self._saved = None

    def _restore(self, step: int, **items):
        self._check(step)
        try:
            return self._manager.restore(step, args=ocp.args.Composite(**items))
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise self._unreadable(step, error) from error

    def _check(self, step):
        """Raises CheckpointError if a file of the step is damaged."""
        if step not in self._whole and (why := self._damage(step)):
            raise self._damaged(step, why)
        self._whole.add(step)

    def _damage(self, step):
        """What is wrong with the files of a step; empty if nothing is."""
        folder = self._folder / str(step)
        if integrity.has_manifest(folder):
            return integrity.damage(folder)
        missing = f"{folder / integrity.MANIFEST} is missing"
        before = [s for s in self._manager.all_steps() if s < step]
        if any(integrity.has_manifest(self._folder / str(s)) for s in before):
            return f"{missing}."
        _LOG.warning("%s: whether the checkpoint is damaged is not known.", missing)
        return ""

    def _damaged(self, step, why):
        """The error for a damaged step; it offers another that is not."""
        folder = self._folder / str(step)
        others = sorted({*self._manager.all_steps()} - {step}, reverse=True)
        good = next((other for other in others if not self._damage(other)), None)
        found = "No other there is whole" if good is None else f"Step {good} is whole"
        return CheckpointError(
            f"Checkpoint {folder} is damaged: {why}",
            hint=f"{found}. To go on without this one, move it away and run the same"
            f" again: mv {shlex.quote(str(folder))} {shlex.quote(f'{folder}.damaged')}",
        )

    def _unreadable(self, step, error):
        return CheckpointError(
            f"Checkpoint {self._folder / str(step)} cannot be restored: "
            f"{str(error).strip().splitlines()[0]}",
            hint="It is damaged or of another system; delete that folder to go back to"
            " the checkpoint before it.",
        )


def inference_state(arrays: Mapping[str, Any]) -> TrainState:
    """What making images needs of the arrays that `restore_arrays` gives."""
    put = functools.partial(jax.tree.map, jnp.asarray)
    return TrainState(
        step=jnp.asarray(arrays["step"]),
        params=put(arrays["params"]),
        stats=put(arrays.get("stats", {})),
        opt={},
        ema=put(arrays.get("ema", {})),
        memory=put(arrays.get("memory", {})),
    )
