"""jaxsyn: generative adversarial networks for annotated medical images, in JAX."""

import importlib.metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxsyn.synthesis.generator import Generator as Generator

__all__ = ["Generator", "__version__"]


def __getattr__(name: str):
    # What is heavy to import is imported when it is asked for.
    if name == "Generator":
        from jaxsyn.synthesis.generator import Generator

        return Generator
    if name == "__version__":
        return importlib.metadata.version("jaxsyn")
    raise AttributeError(f"module 'jaxsyn' has no attribute {name!r}")
