"""One file per method. A configuration names the file; there is no list to keep."""

from collections.abc import Mapping
import importlib
import inspect
import pkgutil
from typing import Any

from jaxsyn import settings
from jaxsyn.engine.system import System
from jaxsyn.errors import UsageError
from jaxsyn.spec import DataSpec


def names() -> list[str]:
    """The systems there are: the modules of this folder."""
    modules = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in modules if not name.startswith("_"))


def find(name: str) -> type[System]:
    """The `System` that the module `name` defines; UsageError lists those there are."""
    if name not in names():
        raise settings.unknown(f"config.system.name={name!r}", name, names())
    module = importlib.import_module(f"{__name__}.{name}")
    (cls,) = (
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, System) and member.__module__ == module.__name__
    )
    return cls


def check(config: Mapping[str, Any], depth: int = 0) -> None:
    """Raises what can be known to be wrong before there are data.

    Args:
      config: As for `build`.
      depth: Slices of a volume, 0 if there are slices alone: a system may make one of
        the two only.

    Raises:
      UsageError: What `build` would raise, or `depth` is not for this system.
    """
    cls, options = _split(config)
    settings.check(cls, options, "config.system", given=("spec",))
    if (3 if depth else 2) not in cls.axes:
        raise UsageError(
            f"{config['name']} works on {'slices' if depth else 'volumes'};"
            f" config.depth is {depth}.",
            hint="Set it to 0." if depth else "Set it to the slices of a volume.",
        )


def build(config: Mapping[str, Any], spec: DataSpec) -> System:
    """Makes the system that a configuration names, for the data `spec` describes.

    Args:
      config: `name`, a module of this folder, beside the fields of its system.
      spec: What the data hold.

    Raises:
      UsageError: There is no such module, or no such field.
    """
    cls, options = _split(config)
    return settings.build(cls, options, "config.system", spec=spec)


def _split(config):
    options = dict(config)
    return find(options.pop("name", "")), options
