"""From a configuration's mappings to typed settings, with errors that teach."""

from collections.abc import Collection, Mapping
import dataclasses
import difflib
from typing import Any, TypeVar

from jaxsyn.errors import UsageError

T = TypeVar("T")


def build(cls: type[T], values: Mapping[str, Any], where: str, **given: Any) -> T:
    """Makes the frozen dataclass `cls` of a part of the configuration.

    Args:
      cls: A keyword-only dataclass; its defaults are the only ones there are.
      values: What the configuration says, by field.
      where: The part's name in errors, e.g. `config.train`.
      **given: Fields that do not come from the configuration.

    Raises:
      UsageError: A key is unknown or has a value of another type, or one without a
        default is missing.
    """
    check(cls, values, where, given)
    return cls(**{k: _hashable(v) for k, v in values.items()}, **given)


def check(
    cls: type, values: Mapping[str, Any], where: str, given: Collection[str] = ()
) -> None:
    """Raises what `build` would, as far as the dataclass itself does not."""
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}
    known = sorted(set(fields) - set(given))
    for key, value in values.items():
        if key not in known:
            raise unknown(f"{where}.{key}", key, known)
        _check_type(f"{where}.{key}", value, fields[key].type)
    required = [
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing := sorted(set(required) - set(values) - set(given)):
        raise UsageError(
            f"{where} lacks {', '.join(missing)}.",
            hint=f"Its keys are: {', '.join(known)}.",
        )


def unknown(what: str, name: str, known: list[str]) -> UsageError:
    """The error for a name that is none of `known`; it suggests the nearest."""
    near = difflib.get_close_matches(name, known, n=1)
    guess = f"Did you mean {near[0]!r}? " if near else ""
    return UsageError(
        f"{what} is not known.", hint=f"{guess}Known are: {', '.join(known)}."
    )


def _check_type(where: str, value: Any, expected: Any) -> None:
    """Checks plain types; what is richer, the dataclass checks itself."""
    accepted = {bool: bool, int: int, float: (int, float), str: str}.get(expected)
    if accepted is None:
        return
    if not isinstance(value, accepted) or (expected is not bool and value is True):
        raise UsageError(
            f"{where} is {value!r}.", hint=f"It must be of type {expected.__name__}."
        )


def _hashable(value: Any) -> Any:
    """Lists, which a configuration file prefers, become tuples."""
    if isinstance(value, list | tuple):
        return tuple(_hashable(v) for v in value)
    return value
