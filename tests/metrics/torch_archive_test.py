"""TorchScript archives: what is read, and what is refused."""

import io
import os
import pickle
import sys
import types
import zipfile

import numpy as np
import pytest

from jaxsyn.errors import DataError
from jaxsyn.metrics import torch_archive


class Storage:
    """Numbers that lie beside the pickle."""

    def __init__(self, key, numbers, kind):
        self.key, self.numbers, self.kind = key, numbers, kind


class Tensor:
    def __init__(self, *arguments):
        self.arguments = arguments

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


@pytest.fixture
def names(monkeypatch):
    """Stand-ins for the names that PyTorch's pickles hold."""
    classes = {
        "torch": ["FloatStorage", "DoubleStorage"],
        "__torch__": [],
        "__torch__.net": ["Net", "Conv"],
        "torch._utils": [],
    }
    for module_name, members in classes.items():
        module = types.ModuleType(module_name)
        for member in members:
            made = type(member, (), {"__module__": module_name})
            setattr(module, member, made)
        monkeypatch.setitem(sys.modules, module_name, module)

    def _rebuild_tensor_v2(*arguments):
        raise AssertionError("only its name is used")

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    sys.modules["torch._utils"]._rebuild_tensor_v2 = _rebuild_tensor_v2
    return sys.modules


def archive(root):
    """A file with the pickle of `root` and its storages."""
    stored, pickled = {}, io.BytesIO()

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            if not isinstance(obj, Storage):
                return None
            stored[obj.key] = obj.numbers.tobytes()
            return ("storage", obj.kind, obj.key, "cpu", obj.numbers.size)

    Pickler(pickled, protocol=2).dump(root)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        zipped.writestr("net/data.pkl", pickled.getvalue())
        for key, content in stored.items():
            zipped.writestr(f"net/data/{key}", content)
    file.seek(0)
    return file


def net(names, *, strides=(3, 1), kind="FloatStorage", key="7", offset=1):
    """A module within a module, with a tensor [2, 3] that starts at element 1."""
    numbers = np.arange(8, dtype="<f4")
    storage = Storage(key, numbers, getattr(names["torch"], kind))
    conv = names["__torch__.net"].Conv()
    conv.weight = Tensor(storage, offset, (2, 3), strides, False, {})
    conv.stride = 2
    root = names["__torch__.net"].Net()
    root.conv, root.training = conv, False
    return root


def test_tensors_are_named_by_their_path(names):
    tensors = torch_archive.read(archive(net(names)))
    assert list(tensors) == ["conv.weight"]
    np.testing.assert_array_equal(tensors["conv.weight"], [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strides": (1, 2)}, "not contiguous"),
        ({"kind": "DoubleStorage"}, "torch.DoubleStorage, which is not allowed"),
        ({"key": "../data"}, "stores '../data'"),
        ({"offset": 4}, "can be read: .*cannot reshape"),
    ],
)
def test_tensors_of_another_kind_are_refused(names, change, message):
    with pytest.raises(DataError, match=message):
        torch_archive.read(archive(net(names, **change)))


def test_a_pickle_that_runs_a_command_is_refused(tmp_path):
    class Command:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "made"),)

    with pytest.raises(DataError, match=r"posix.mkdir|nt.mkdir.*not allowed"):
        torch_archive.read(archive(Command()))
    assert not (tmp_path / "made").exists()


def zipped(pickled, **options):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as archive:
        archive.writestr("net/data.pkl", pickled)
    file.seek(0)
    return file


def test_what_is_packed_is_refused_as_it_may_be_a_bomb():
    bomb = zipped(bytes(2**24), compression=zipfile.ZIP_DEFLATED)
    assert len(bomb.getvalue()) < 2**16
    with pytest.raises(DataError, match=r"'net/data.pkl' is packed"):
        torch_archive.read(bomb)


def test_a_pickle_that_wants_room_for_a_billion_values_is_refused():
    wanting = pickle.NONE + pickle.LONG_BINPUT + b"\xff\xff\xff\x3f" + pickle.STOP
    with pytest.raises(DataError, match="keeps 1073741823 values"):
        torch_archive.read(zipped(pickle.PROTO + b"\x02" + wanting))


def test_what_is_no_archive_is_refused():
    with pytest.raises(DataError, match="no TorchScript archive"):
        torch_archive.read(io.BytesIO(b"nothing"))
