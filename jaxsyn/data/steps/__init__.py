"""What can be done with a case's volumes before they are sliced.

A module of this package is a step, and its name the one in configurations:

    config.data.prepare.steps = ("n4", {"name": "resample", "spacing_mm": 1.0})

It defines `Step`, a frozen dataclass of its options that is called with the volumes of
a case and returns others. `files` are those that it reads, if it does.
"""

from collections.abc import Callable, Mapping, Sequence
import importlib
from pathlib import Path
import pkgutil
from typing import Any

from jaxsyn import settings
from jaxsyn.data.cases import CaseVolumes
from jaxsyn.errors import UsageError

Step = Callable[[CaseVolumes], CaseVolumes]


def build(steps: Sequence[str | Mapping[str, Any]]) -> list[Step]:
    """The steps of a configuration.

    Raises:
      UsageError: A step, or an option of one, is unknown or makes no sense.
    """
    known = sorted(module.name for module in pkgutil.iter_modules(__path__))
    built = []
    for index, step in enumerate(steps):
        where = f"config.data.prepare.steps[{index}]"
        options = {"name": step} if isinstance(step, str) else dict(step)
        name = options.pop("name", None)
        if name is None:
            raise UsageError(
                f"{where} is {options}, without a name.",
                hint=f'Write {{"name": NAME, …}}; there are: {", ".join(known)}.',
            )
        if name not in known:
            raise settings.unknown(f"{where}={name!r}", name, known)
        module = importlib.import_module(f"{__name__}.{name}")
        built.append(settings.build(module.Step, options, where))
    return built


def files_of(steps: Sequence[Step]) -> tuple[Path, ...]:
    """What they read besides the cases."""
    return tuple(Path(path) for step in steps for path in getattr(step, "files", ()))
