"""Runs a generator that jaxsyn exported. It needs jax and numpy, not jaxsyn.

A copy of this file is in every exported folder:

    import sys; sys.path.insert(0, "FOLDER")
    import jaxsyn_generator

    generator = jaxsyn_generator.load()
    generator.label_names
    images = generator.generate(labels, seed=0)  # Of one that makes images,
    made = generator.sample(16, seed=0)  # and of one that draws label maps.
"""

import hashlib
import importlib.util
import io
import json
from pathlib import Path
import sys

import jax
import numpy as np

MODULE = "jaxsyn_generator.py"
MANIFEST = "manifest.json"
SPEC = "spec.json"
PARAMETERS = "parameters.npz"
VENDOR = "vendor"  # What jax.export reads programs with, should it not be installed.
FORMAT = 1


class DamagedError(RuntimeError):
    """A file of the folder is missing or not what was exported; it is named."""


def program_file(platform):
    """Where the program for a platform of `jax.export` is."""
    return f"programs/{platform}.jax_export"


def sha256(data):
    """The hash of bytes, as hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def manifest_of(hashes):
    """The manifest's bytes, with a hash of itself.

    Args:
      hashes: Of each file, by its path in the folder.
    """
    listed = json.dumps(hashes, sort_keys=True, indent=1)
    whole = {"files": json.loads(listed), "sha256 of files": sha256(listed.encode())}
    return json.dumps(whole, indent=1).encode()


def load(folder=None):
    """Reads an exported generator, after checking every file of it.

    Args:
      folder: Where it is; by default where this file is.

    Raises:
      DamagedError: A file is missing or has another content than it was given.
      RuntimeError: It was not exported for the platform that JAX runs on here.
    """
    folder = Path(__file__).parent if folder is None else Path(folder)
    return Generator(_checked_files(folder), folder)


class Generator:
    """Makes images of label maps, or label maps, as the generator it was made of.

    What is made is a function of its label map, the seed and its index in the call,
    whatever the batch size.

    Attributes:
      about: What is in spec.json.
      image_size: Side of label maps and images, in pixels.
      label_names: What the values of label maps mean, from 0.
      modalities: The images' channels.
      makes_labels: Whether it draws label maps, rather than being given them.
      makes_images: Whether it makes images.
    """

    def __init__(self, files, folder):
        """Use `load`; this takes the content of its files by name, and its folder."""
        self.about = json.loads(files[SPEC])
        self.image_size = self.about["image_size"]
        self.label_names = tuple(label["name"] for label in self.about["labels"])
        self.modalities = tuple(self.about["modalities"])
        self.makes_labels = self.about["makes_labels"]
        self.makes_images = self.about["makes_images"]
        program = _read_program(files, self.about, folder)
        with np.load(io.BytesIO(files[PARAMETERS]), allow_pickle=False) as parameters:
            self._parameters = jax.device_put(dict(parameters))
        self._make = jax.jit(program.call)

    def generate(
        self, labels, seed=0, *, batch_size=16, normalised=False, coherent=False
    ):
        """Synthesises an image for each label map.

        Args:
          labels: One label map [H, W] or several [N, H, W] of whole numbers, indices
            into `label_names`; H = W = `image_size`.
          seed: Another seed gives other images of the same label maps.
          batch_size: Images at a time; decides speed and memory alone.
          normalised: Whether to return [-1, 1] instead of intensities.
          coherent: Whether all share one draw of noise, as the slices of a volume
            should; else each has its own.

        Returns:
          float32 [..., H, W, C], channels as `modalities`, in the range of a typical
          training volume.

        Raises:
          TypeError: It draws label maps, or `labels` are not whole numbers.
          ValueError: Their shape or values are not those of the training, or the seed
            has more than 32 bits.
        """
        if self.makes_labels:
            raise TypeError("This generator draws label maps: call `sample`.")
        labels = np.asarray(labels)
        self._check(labels)
        stack = labels.reshape(-1, *labels.shape[-2:]).astype(np.uint8)
        index = np.zeros(len(stack)) if coherent else np.arange(len(stack))
        images = self._in_batches(stack, index, seed, batch_size)["image"]
        images = images.reshape(*labels.shape, -1)
        return images if normalised else self._intensities(images)

    def sample(self, count, seed=0, *, batch_size=16, first=0):
        """Draws new label maps, with their images if it makes both.

        Args:
          count: How many.
          seed: Another seed gives others.
          batch_size: How many at a time; decides speed and memory alone.
          first: Index of the first: what a call for 10 gives in two, from 0 and 5.

        Returns:
          "label" uint8 [N, H, W], or [N, D, H, W] of one that makes volumes; "score"
          float32 [N], how real its discriminator finds each; and "image" float32
          [N, H, W, C] in [-1, 1] if it makes images too.

        Raises:
          TypeError: It makes images of label maps that it is given.
          ValueError: The count is below 1, or the seed has more than 32 bits.
        """
        if not self.makes_labels:
            raise TypeError("This generator is given label maps: call `generate`.")
        if count < 1:
            raise ValueError(f"count is {count}; expected 1 or more.")
        labels = np.zeros((count, *self.about["label_shape"]), np.uint8)
        index = np.arange(first, first + count)
        made = self._in_batches(labels, index, seed, batch_size)
        return {**made, "label": made["label"].astype(np.uint8)}

    def _in_batches(self, labels, index, seed, batch_size):
        """What is made of each entry, by name."""
        if not -(2**31) <= seed < 2**31:
            raise ValueError(f"seed is {seed}; expected a number of 32 bits.")
        # Few are made at once, yet not each number of them is compiled anew.
        batch_size = min(batch_size, 1 << (len(labels) - 1).bit_length())
        missing = -len(labels) % batch_size
        labels = np.pad(labels, [(0, missing)] + [(0, 0)] * (labels.ndim - 1))
        index = np.pad(index, (0, missing)).astype(np.int32)
        made = []
        for start in range(0, len(labels), batch_size):
            some = slice(start, start + batch_size)
            arrays = self._parameters, labels[some], index[some], np.int32(seed)
            made.append(jax.device_get(self._make(*arrays)))
        count = len(labels) - missing
        return {k: np.concatenate([m[k] for m in made])[:count] for k in made[0]}

    def _intensities(self, images):
        """Takes images in [-1, 1] to the range of a typical training volume."""
        low, high = (
            np.array([m[end] for m in self.about["intensities"]], np.float32)
            for end in ("low", "high")
        )
        return low + (images + 1) / 2 * (high - low)

    def _check(self, labels):
        size, known = self.image_size, len(self.label_names)
        if labels.ndim not in (2, 3) or labels.shape[-2:] != (size, size):
            raise ValueError(
                f"Label maps of shape {labels.shape}; expected [{size}, {size}] or"
                f" [N, {size}, {size}]."
            )
        if not labels.size:
            raise ValueError("No label maps were given; expected 1 or more.")
        if not np.issubdtype(labels.dtype, np.integer):
            raise TypeError(f"Label maps of {labels.dtype}; expected integers.")
        bad = np.unique(labels[(labels < 0) | (labels >= known)]).tolist()
        if bad:
            table = ", ".join(f"{i} {name}" for i, name in enumerate(self.label_names))
            raise ValueError(f"Label values {bad[:8]}; expected indices of: {table}.")


def _checked_files(folder):
    """The content of every file that the manifest lists, by path."""
    raw = _read(folder, MANIFEST)
    try:
        hashes = json.loads(raw)["files"]
        whole = manifest_of(hashes) == raw
    except (AttributeError, KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        raise DamagedError(f"{folder / MANIFEST} is damaged; export it again.")
    files = {}
    for name, expected in hashes.items():
        files[name] = _read(folder, name)
        if sha256(files[name]) != expected:
            raise DamagedError(
                f"{folder / name} is not what was exported: its SHA-256 differs from"
                f" that in {MANIFEST}. Copy or export it again."
            )
    return files


def _read(folder, name):
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise DamagedError(f"{folder / name} cannot be read: {error}.") from error


def _read_program(files, about, folder):
    """The program for the platform that JAX runs on."""
    if about["format"] != FORMAT:
        raise RuntimeError(
            f"{folder} has the format {about['format']}; this file reads {FORMAT}. Use"
            f" the {MODULE} in that folder."
        )
    from jax import export  # It is no attribute of `jax` until it is imported.

    platform = export.default_export_platform()
    if platform not in about["platforms"]:
        raise RuntimeError(
            f"JAX runs on {platform} here; the generator was exported for"
            f" {', '.join(about['platforms'])}."
        )
    if importlib.util.find_spec("flatbuffers") is None:
        sys.path.append(str(folder / VENDOR))
    try:
        return export.deserialize(bytearray(files[program_file(platform)]))
    except Exception as error:  # Of whatever kind: JAX promises none.
        path = folder / program_file(platform)
        raise RuntimeError(
            f"JAX {jax.__version__} cannot read {path}, which was written with JAX"
            f" {about['jax']}. Install a version near that one."
        ) from error
