"""Several processes, on one machine or on many, that train one state together.

Process 0 hosts JAX's coordination service, which brings the others together and
notices when one is gone. On the CPU a lost process is noticed at once, since it closes
its connections; elsewhere, and where a whole machine is lost, after half a minute.
"""

from collections.abc import Iterator
import contextlib
import ctypes
import itertools
import json
import os
import re
import signal
import sys
from typing import Any, NoReturn

import jax
from jax._src.distributed import global_state  # Its key-value store is not public.

from jaxsyn import errors
from jaxsyn.engine import place as place_lib

_MEETING_S = 300  # How long the others may take to start,
_SILENCE_S = 30  # to be silent before they are given up,
_FAILING_S = 5  # and to fail, too, where one fails.
_FOR_EVER_MS = 30 * 24 * 3600 * 1000
_LOST = re.compile(
    r"gloo|nccl|heartbeat|coordination ?service|connection (closed|reset)|socket closed"
    r"|barrier failed|broken pipe",
    re.IGNORECASE,
)
_turns = itertools.count()
_kept = []  # C calls it, Python must not let go of it.


class FirstFailedError(errors.JaxsynError):
    """Process 0 failed at what the others waited for; the exit code is its own."""


def join() -> None:
    """Joins the other processes, if the environment says that there are some.

    To be called before JAX starts its backends. `place.find` reads the environment.
    Ends the process with the code of `ResourceError` if the others do not come.

    Raises:
      UsageError: The environment makes no sense.
    """
    place = place_lib.find()
    if place is None:
        return
    who = f"Process {place['process_id']} of {place['num_processes']}"
    late = errors.ResourceError(
        f"{who} did not meet the others within {_MEETING_S} s.",
        hint="Were all started, and can they reach the machine and port of process 0?",
    )
    _when_aborted(str(late), late.exit_code)
    # Its handler would take SIGTERM away from ours.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            initialization_timeout=_MEETING_S,
            heartbeat_timeout_seconds=_SILENCE_S,
            shutdown_timeout_seconds=_SILENCE_S,
            **place,
        )
    except (RuntimeError, ValueError, KeyError) as error:
        raise errors.UsageError(
            f"{who} cannot join the others: {error}",
            hint="Is the port of process 0 free, and its address right?",
        ) from error
    lost = _lost()
    doubt = "  If JAX's lines above tell of something else, that is why."
    _when_aborted(f"{lost}\n{doubt}", lost.exit_code)


def count() -> int:
    """How many processes there are."""
    return global_state.num_processes if global_state.client else 1


def is_first() -> bool:
    """Whether this is process 0, which alone writes files and speaks."""
    return global_state.process_id == 0


def of_first(value: Any) -> Any:
    """What process 0 gave, in all processes; JSON. All are to call this in one order.

    Raises:
      ResourceError: Process 0 is gone.
    """
    if count() == 1:
        return value
    key = f"jaxsyn/{next(_turns)}"
    with a_lost_peer_is_said():
        if is_first():
            global_state.client.key_value_set(key, json.dumps(value))
            return value
        return json.loads(global_state.client.blocking_key_value_get(key, _FOR_EVER_MS))


@contextlib.contextmanager
def first_goes_first(what: str) -> Iterator[None]:
    """Process 0 runs the body, then the others do, who find what it left on disk.

    Args:
      what: Is done, for people: "preparing the data".

    Raises:
      FirstFailedError: In the others, where process 0 failed.
      ResourceError: In the others, where process 0 is gone.
    """
    if not is_first():
        if failure := of_first(None):
            message, hint, code = failure
            error = FirstFailedError(f"Process 0 failed {what}: {message}", hint=hint)
            error.exit_code = code
            raise error
        yield
        return
    try:
        yield
    except BaseException as error:
        message = error.args[0] if error.args else type(error).__name__
        hint, code = getattr(error, "hint", ""), getattr(error, "exit_code", 1)
        of_first([str(message), hint, code])
        raise
    of_first(None)


@contextlib.contextmanager
def a_lost_peer_is_said() -> Iterator[None]:
    """Around what processes do together: says in plain words that one is gone.

    Raises:
      ResourceError: Another process is gone.
    """
    try:
        yield
    except (RuntimeError, ValueError) as error:  # Of XLA, by way of JAX and Orbax.
        if count() > 1 and _LOST.search(str(error)):
            raise _lost(str(error).strip().splitlines()[0]) from error
        raise


def leave(code: int) -> NoReturn:
    """Ends this process, when the others have come to their end as well.

    A process that failed alone does not wait: the others then find that it is gone.

    Args:
      code: To exit with.
    """
    if count() == 1:
        sys.exit(code)
    together = code in (0, errors.PREEMPTED)
    if not together:
        _when_aborted("", code)  # All is said.
    patience = _FOR_EVER_MS if together else 1000 * _FAILING_S
    try:
        global_state.client.wait_at_barrier("jaxsyn/end", patience)
    except RuntimeError:
        if together:
            code = _lost().exit_code
            print(f"jaxsyn: {_lost()}", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # Without JAX's own wait for those who are gone.
    signal.signal(signal.SIGABRT, signal.SIG_DFL)  # Python itself goes now.
    sys.exit(code)


def _lost(why: str = "") -> errors.ResourceError:
    own = global_state.process_id
    others = [str(i) for i in range(count()) if i != own]
    which = f"Process {others[0]}"
    if len(others) > 1:
        which = f"One of processes {', '.join(others)}"
    return errors.ResourceError(
        f"{which} is gone, or cannot be reached any more: process {own} of {count()}"
        f" cannot go on without it.{why and f' ({why[:200]})'}",
        hint="Its own last lines say why. Checkpoints are kept: start all processes"
        " with the same command again, and they go on from the last.",
    )


def _when_aborted(message: str, code: int) -> None:
    """Lets the process end with a message and a code where C++ code aborts it.

    JAX's coordination client does that when another process is gone, and lets no
    Python code have a say: the abort's signal is all there is to hold on to.
    """

    @ctypes.CFUNCTYPE(None, ctypes.c_int)
    def end(number):
        del number
        if message:
            os.write(sys.__stderr__.fileno(), f"jaxsyn: {message}\n".encode())
        os._exit(code)

    _kept.append(end)
    ctypes.CDLL(None).signal(signal.SIGABRT.value, end)
