"""Errors that end a job, and the exit code each of them ends it with.

A user sees one line that says what was got and what was expected, and a second
that says what to do about it. Anything else that escapes is a bug in jaxsyn and
keeps its traceback.
"""

PREEMPTED = 75  # EX_TEMPFAIL: run the same command again and it goes on.


class JaxsynError(Exception):
    """A failure that the user can do something about.

    Attributes:
      hint: What to do, in one sentence.
      exit_code: What the command exits with.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = ""):
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}\n  hint: {self.hint}" if self.hint else message


class UsageError(JaxsynError):
    """A command, a configuration or an argument that makes no sense."""

    exit_code = 2


class DataError(JaxsynError):
    """Files that are missing, damaged or not what they were declared to be."""

    exit_code = 3


class CheckpointError(JaxsynError):
    """A checkpoint or a workdir that does not fit, or is damaged."""

    exit_code = 4


class ResourceError(JaxsynError):
    """No space, no permission, no memory; or another process of the run is gone."""

    exit_code = 5
