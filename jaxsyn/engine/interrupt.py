"""Being asked to stop: Ctrl-C, a scheduler's SIGTERM, Slurm's SIGUSR1."""

import signal
import types

from jaxsyn import errors

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class Preempted(errors.JaxsynError):
    """The run was asked to stop and saved what it had."""

    exit_code = errors.PREEMPTED


class StopRequest:
    """Notices signals while it is entered; truthy once one came.

    A second signal is not caught: it ends the process at once.
    """

    def __init__(self):
        self.name = ""

    def __bool__(self) -> bool:
        return bool(self.name)

    def __enter__(self) -> "StopRequest":
        self._previous = {s: signal.signal(s, self._notice) for s in SIGNALS}
        return self

    def __exit__(self, *exc_info):
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _notice(self, number: int, frame: types.FrameType | None):
        del frame
        self.name = signal.Signals(number).name
        signal.signal(number, signal.SIG_DFL)
