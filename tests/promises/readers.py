"""What fuzzers read: a small valid file of each kind, and how it is read.

A reader is to give an image that can be used, or a `DataError`, whatever is in a file.
Where a file has checksums, what is accepted is to be what was written.
"""

from collections.abc import Callable
import dataclasses
import gzip
import io
from pathlib import Path
import pickle
import sys
import types
import zipfile
import zlib

import nibabel
import numpy as np
from PIL import Image

from jaxsyn.data import volumes
from jaxsyn.errors import DataError
from jaxsyn.metrics import torch_archive

MOST_BYTES = 2**26  # Of an image of a file of a few hundred bytes.
SHAPE = (4, 3, 5)
VOXELS = np.random.default_rng(0).integers(0, 100, SHAPE).astype("int16")


@dataclasses.dataclass(frozen=True)
class Kind:
    """Of files.

    Attributes:
      name: A file's.
      content: Valid.
      checked: Whether the file has checksums of all of it.
      wrap: What is done to changed content before it is written, as to give it right
        checksums again.
    """

    name: str
    content: bytes
    checked: bool = False
    wrap: Callable[[bytes], bytes] = bytes

    def read(self, folder: Path, content: bytes) -> bool:
        """Reads changed content as a user would; returns whether it was accepted.

        Raises:
          AssertionError: What was accepted cannot be used, or was changed unnoticed.
        """
        path = folder / self.name
        path.write_bytes(self.wrap(content))
        try:
            found = _read(path)
        except DataError as error:
            assert error.args[0] and error.hint, f"no hint: {error!r}"
            return False
        assert all(np.isfinite(array).all() for array in found)
        assert sum(array.nbytes for array in found) < MOST_BYTES
        if self.checked and content != self.content:
            path.write_bytes(self.content)
            for one, other in zip(found, _read(path), strict=True):
                np.testing.assert_array_equal(one, other)
        return True


def _read(path):
    """The arrays in a file."""
    if path.suffix == ".pt":
        return [*torch_archive.read(str(path)).values()]
    volume = volumes.read(path)
    assert np.linalg.matrix_rank(volume.affine[:3, :3]) == 3
    return [volume.data, volume.affine]


def kinds() -> dict[str, Kind]:
    """Of all that is read."""
    nifti = nibabel.Nifti1Image(VOXELS, np.diag([1.0, 2.0, 3.0, 1.0]))
    nifti.set_qform(nifti.affine, 1)
    nifti_2 = nibabel.Nifti2Image(VOXELS, nifti.affine)
    png, npy = io.BytesIO(), io.BytesIO()
    Image.fromarray(VOXELS[..., 0].astype(np.uint8)).save(png, "PNG")
    np.save(npy, VOXELS)
    pickled = _pickled()
    return {
        "nifti": Kind("x.nii", nifti.to_bytes()),
        "nifti 2": Kind("x.nii", nifti_2.to_bytes()),
        "nifti.gz": Kind("x.nii.gz", _gzipped(nifti.to_bytes()), checked=True),
        "in nifti.gz": Kind("x.nii.gz", nifti.to_bytes(), wrap=_gzipped),
        "metaimage": Kind("x.mha", _metaimage(VOXELS.tobytes("F"))),
        "packed metaimage": Kind(
            "x.mha", _metaimage(zlib.compress(VOXELS.tobytes("F")), packed=True)
        ),
        "png": Kind("x.png", png.getvalue(), checked=True),
        "in png": Kind("x.png", png.getvalue(), wrap=_with_right_checksums),
        "npy": Kind("x.npy", npy.getvalue()),
        "weights": Kind("x.pt", _zipped(pickled)),
        "pickle in weights": Kind("x.pt", pickled, wrap=_zipped),
    }


def _gzipped(content):
    return gzip.compress(content, mtime=0)


def _metaimage(voxels, packed=False):
    fields = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": str(packed),
        **({"CompressedDataSize": str(len(voxels))} if packed else {}),
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": "0 0 0",
        "ElementSpacing": "1 2 3",
        "DimSize": "4 3 5",
        "ElementType": "MET_SHORT",
        "ElementDataFile": "LOCAL",
    }
    return "".join(f"{k} = {v}\n" for k, v in fields.items()).encode() + voxels


def _with_right_checksums(content):
    """A PNG whose chunks' checksums are made to fit, as far as there are chunks."""
    made, place = bytearray(content[:8]), 8
    while place + 12 <= len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        body = content[place + 4 : place + 8 + length]
        made += content[place : place + 4] + body + zlib.crc32(body).to_bytes(4, "big")
        place += 12 + length
    return bytes(made + content[place:])


def _pickled():
    """The pickle of a module with one tensor, as TorchScript writes it."""
    module = types.ModuleType("torch._utils")

    def rebuild(*arguments):
        raise AssertionError("only its name is used")

    rebuild.__module__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    module._rebuild_tensor_v2 = rebuild
    scripted, torch = types.ModuleType("__torch__.net"), types.ModuleType("torch")
    scripted.Net = type("Net", (), {"__module__": "__torch__.net"})
    torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch"})
    numbers = object()

    class Tensor:
        def __reduce__(self):
            return rebuild, (numbers, 0, (2, 3), (3, 1), False, {})

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            storage = ("storage", torch.FloatStorage, "0", "cpu", 6)
            return storage if obj is numbers else None

    stand_ins = {"torch": torch, "torch._utils": module, "__torch__.net": scripted}
    stand_ins["__torch__"] = types.ModuleType("__torch__")
    before = {name: sys.modules.get(name) for name in stand_ins}
    sys.modules.update(stand_ins)
    try:
        file, net = io.BytesIO(), scripted.Net()
        net.weight, net.training = Tensor(), False
        Pickler(file, protocol=2).dump(net)
    finally:
        for name, old in before.items():
            sys.modules.pop(name) if old is None else sys.modules.update({name: old})
    return file.getvalue()


def _zipped(pickled):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("net/data.pkl", pickled)
        archive.writestr("net/data/0", np.arange(6, dtype="<f4").tobytes())
    return file.getvalue()
