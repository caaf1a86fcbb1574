"""The tensors of a TorchScript archive, read without PyTorch and without trust.

Such an archive is a zip: `data.pkl` is a pickle of the tree of modules, `data/N` the
numbers of a tensor, little-endian. A pickle may call any function that it names, so
this one may name only what rebuilds tensors; every module becomes an inert object.
"""

from collections import OrderedDict
from collections.abc import Iterator
import io
import math
import pickle
import pickletools
from typing import Any, BinaryIO
import zipfile

import numpy as np

from jaxsyn.errors import DataError

_AGAIN = "Get the file again."


def read(file: str | BinaryIO) -> dict[str, np.ndarray]:
    """The float32 tensors of an archive, by dotted path.

    Raises:
      DataError: It is no such archive, or its pickle names what it should not.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            (name,) = (n for n in archive.namelist() if n.endswith("/data.pkl"))
            pickled = _stored(archive, name)
            _check_memo(pickled)
            root = name.removesuffix("data.pkl")
            module = _Unpickler(io.BytesIO(pickled), archive, f"{root}data/").load()
            return dict(_tensors(module))
    except DataError:
        raise
    except Exception as error:  # Of damaged files zipfile and pickle raise anything.
        raise DataError(
            f"This is no TorchScript archive that can be read: {error!r:.200}",
            hint=_AGAIN,
        ) from error


def _stored(archive, name):
    """An entry's bytes. PyTorch packs none; one that is packed may be a bomb."""
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise DataError(f"The archive's {name[:80]!r} is packed.", hint=_AGAIN)
    return archive.read(name)


def _check_memo(pickled):
    """An unpickler takes memory for as many places as the largest that is named."""
    for count, (opcode, argument, _) in enumerate(pickletools.genops(pickled)):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and argument > count:
            raise DataError(
                f"The archive's pickle keeps {argument} values.", hint=_AGAIN
            )


class _Module:
    """Stands for any module; the pickle gives it its attributes."""


class _Unpickler(pickle.Unpickler):
    """Knows the few names that rebuild tensors and refuses all others."""

    def __init__(self, file: BinaryIO, archive: zipfile.ZipFile, folder: str):
        super().__init__(file)
        self._archive, self._folder = archive, folder
        # A class of its own: what a pickle may do to it ends with this file.
        self._module = type("Module", (_Module,), {})

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("__torch__."):
            return self._module
        if (module, name) not in _NAMES:
            raise DataError(
                f"The archive's pickle names {module}.{name}, which is not allowed.",
                hint="Do not use this file: it is not one of weights alone.",
            )
        return _NAMES[module, name]

    def persistent_load(self, pid: Any) -> np.ndarray:
        _, kind, key, _, count = pid
        if kind != "<f4" or not key.isdecimal():
            raise DataError(
                f"The archive stores {key!r:.80} as {kind!r:.80}, not as float32.",
                hint=_AGAIN,
            )
        return np.frombuffer(_stored(self._archive, self._folder + key), kind, count)


def _rebuild(storage, offset, shape, strides, *_):
    """A tensor; refuses one whose elements do not follow each other."""
    contiguous = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    if any(
        n > 1 and got != due
        for n, got, due in zip(shape, strides, contiguous, strict=True)
    ):
        raise DataError(
            f"A tensor {shape!r:.80} with strides {strides!r:.80} is not contiguous.",
            hint=_AGAIN,
        )
    return storage[offset : offset + math.prod(shape)].reshape(shape)


def _tensors(module: _Module, prefix: str = "") -> Iterator[tuple[str, np.ndarray]]:
    for name, value in vars(module).items():
        if isinstance(value, _Module):
            yield from _tensors(value, f"{prefix}{name}.")
        elif isinstance(value, np.ndarray):
            yield prefix + name, value


_NAMES = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "FloatStorage"): "<f4",
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
    ("torch.jit._pickle", "build_intlist"): list,
}
