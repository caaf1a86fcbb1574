"""What PyTorch's peers are and do, told as JSON to tests/benchmarks_peers_test.py.

python tests/torch_peers.py steps FOLDER   losses of steps made from our weights
python tests/torch_peers.py counts FILE    parameters of the systems in a file
"""

import importlib
import json
import math
from pathlib import Path
import re
import sys
import types

import numpy as np
import torch
from torch import nn

from benchmarks.peers import torch_step

RENAMED = (  # Ours are arrays of one layer where theirs are layers.
    (r"(modulation\w*)/embedding_(\w+)$", r"\1/embedding/\2"),
    (r"(modulation\w*)/(kernel|bias)$", r"\1/both/\2"),
    (r"Equal(Conv|Dense)_(\d)", lambda m: f"{m[1].lower()}_{m[2]}"),
)


def pattern(shape, wave):
    """What all random numbers are replaced by; images have their channels last."""
    last = (shape[0], *shape[2:], shape[1]) if len(shape) > 3 else shape
    values = wave(np.arange(math.prod(shape), dtype=np.float32)).reshape(last)
    made = torch.from_numpy(np.asarray(values, np.float32))
    return made.movedim(-1, 1) if len(shape) > 3 else made


def normal(*shape, **_):
    shape = shape[0] if shape and isinstance(shape[0], tuple) else shape
    return pattern(shape, lambda i: 2 * np.sin(i + 1))


def uniform(*shape, **_):
    shape = shape[0] if shape and isinstance(shape[0], tuple) else shape
    return pattern(shape, lambda i: 0.5 + 0.5 * np.sin(i))


def load(training, weights):
    """Copies our parameters; all of theirs must be among them."""
    states = {
        f"{network}/{name}".replace(".", "/"): (module, tensor)
        for network, top in training.networks.items()
        for prefix, module in top.named_modules()
        for name, tensor in (
            (f"{prefix}.{own}".strip("."), value)
            for own, value in module.named_parameters(recurse=False)
        )
    }
    for name, value in weights.items():
        for before, after in RENAMED:
            name = re.sub(before, after, name)
        place, _, leaf = name.rpartition("/")
        if leaf in ("kernel", "scale") and name not in states:
            name = f"{place}/weight"
        module, tensor = states.pop(name)
        if leaf == "kernel" and name.endswith("weight"):
            transposed = isinstance(module, nn.ConvTranspose2d)
            value = np.moveaxis(value, (-2, -1), (0, 1) if transposed else (1, 0))
        if leaf == "start":
            value = np.moveaxis(value, -1, 1)
        if tensor.shape != value.shape:
            raise ValueError(f"{name}: {tuple(tensor.shape)}, ours {value.shape}")
        tensor.data.copy_(torch.tensor(value))
    if states:
        raise ValueError(f"We have no {', '.join(states)}")


def load_spectral(training, vectors):
    """Copies our estimates of singular vectors."""
    buffers = {
        f"{network}/{name}".replace(".", "/"): buffer
        for network, module in training.networks.items()
        for name, buffer in module.named_buffers()
        if name.endswith(".u")
    }
    if buffers.keys() != vectors.keys():
        raise ValueError(f"{buffers.keys() ^ vectors.keys()}")
    for name, buffer in buffers.items():
        buffer.copy_(torch.from_numpy(vectors[name]))


def run(folder, steps=2):
    """Losses of some steps, by update."""
    case = json.loads((folder / "case.json").read_text())
    module = importlib.import_module(f"benchmarks.peers.torch_{case['peer']}")
    arrays = {
        name: dict(np.load(folder / f"{name}.npz"))
        for name in ("batch", "weights", "spectral")
    }
    training = module.Peer(case, arrays["batch"])
    load(training, arrays["weights"])
    load_spectral(training, arrays["spectral"])
    found = []
    for _ in range(steps):
        training.step()
        found.append({name: loss.item() for name, loss in training.losses.items()})
    return found


def count(case):
    """Parameters of each network, none of which is made."""
    module = importlib.import_module(f"benchmarks.peers.torch_{case['peer']}")
    peer, sides = module.Peer.__new__(module.Peer), case["sides"]
    peer.options, peer.device = types.SimpleNamespace(**case["system"]), "meta"
    with torch.device("meta"):
        peer.batch = types.SimpleNamespace(
            image=torch.empty(2, 4, *sides),
            one_hot=torch.empty(2, 5, *sides),
            boundary=torch.empty(2, 1, *sides),
            label=torch.empty(2, *sides, dtype=torch.long),
        )
        return torch_step.parameters(peer.build())


def main():
    what, path = sys.argv[1], Path(sys.argv[2])
    if what == "counts":
        known = json.loads(path.read_text())
        print(json.dumps({name: count(case) for name, case in known.items()}))
        return
    torch.randn, torch.rand = normal, uniform
    torch.randn_like = lambda x: normal(tuple(x.shape))
    print(json.dumps(run(path)))


if __name__ == "__main__":
    main()
