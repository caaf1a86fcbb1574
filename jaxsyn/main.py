"""The one command: `python -m jaxsyn.main --config=configs/X.py --workdir=DIR`.

Kept short on purpose: what a job does is in its own module.
"""

from pathlib import Path
import sys
import traceback

from absl import app, flags
from ml_collections import config_flags

from jaxsyn import errors, jobs
from jaxsyn.engine import processes

_CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "What to do: a file of configs/, `file.py:words` to vary it.",
    # Keys that a configuration leaves out have defaults; wrong ones are refused with
    # a list of the right ones where they are read.
    lock_config=False,
    accept_new_attributes=True,
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "The run's folder; the same command goes on where it stopped."
)
flags.mark_flags_as_required(["config", "workdir"])


def main(argv: list[str]) -> None:
    """Runs the job that the configuration names."""
    if len(argv) > 1:
        raise errors.UsageError(
            f"Stray words on the command line: {' '.join(argv[1:])}.",
            hint="Options are written --config.key=value.",
        )
    jobs.run(_CONFIG.value, Path(_WORKDIR.value))


def _parse_flags(argv):
    """Parses the flags; what is wrong with them is the user's to mend."""
    for word in argv:  # A configuration may import its neighbours.
        if word.startswith("--config="):
            folder = Path(word.removeprefix("--config=").split(":")[0]).resolve().parent
            while (folder / "__init__.py").exists():
                folder = folder.parent
            sys.path.insert(0, str(folder))
    try:
        left = flags.FLAGS(argv)
        _CONFIG.value.to_dict()  # A file that could not be read says so only now.
        return left
    except (flags.Error, AttributeError, KeyError, OSError, TypeError) as error:
        *_, last = filter(None, map(str.strip, str(error).splitlines()))
        raise errors.UsageError(
            last,
            hint="python -m jaxsyn.main --config=configs/borde_brats.py --workdir=DIR"
            " [--config.key=value ...]; the keys are in configs/common.py.",
        ) from error


def cli() -> None:
    """Runs `main` and turns the project's errors into a line, a hint and a code."""
    processes.leave(_run())


def _run():
    """Runs `main`; returns the exit code."""
    try:
        jobs.set_up_process()
        app.run(main, flags_parser=_parse_flags)
    except errors.JaxsynError as error:
        print(f"jaxsyn: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:  # Outside the loop; what was prepared is kept.
        print("jaxsyn: stopped; the same command goes on.", file=sys.stderr)
        return errors.PREEMPTED
    except SystemExit as end:  # How absl ends, well or after --help.
        return end.code or 0
    except Exception:
        traceback.print_exc()
        return 1


if __name__ == "__main__":
    cli()
