"""The platform that networks are traced for: what their fastest form depends on.

As a rule it is the one they run on. What is exported is traced for each in turn.
"""

from collections.abc import Iterator
import contextlib
import contextvars

import jax

_CHOSEN = contextvars.ContextVar("platform", default=None)


def is_cpu() -> bool:
    """Whether what is being traced will run on CPUs."""
    return (_CHOSEN.get() or jax.default_backend()) == "cpu"


def is_one_cpu() -> bool:
    """Whether it will run on a single CPU device, as exported functions do."""
    return is_cpu() and (_CHOSEN.get() is not None or jax.device_count() == 1)


@contextlib.contextmanager
def traced_for(platform: str) -> Iterator[None]:
    """Says for which platform functions are traced here: `cpu`, `cuda` or `tpu`.

    They are to be new ones: what JAX has traced before, it does not trace again.
    """
    token = _CHOSEN.set(platform)
    try:
        yield
    finally:
        _CHOSEN.reset(token)
