"""A trained generator, from Python: label maps in and images out, or new label maps."""

from collections.abc import Mapping, Sequence
import functools
import hashlib
import json
from pathlib import Path
from typing import Any

import jax
from jaxtyping import Float, Int
import numpy as np

from jaxsyn import systems
from jaxsyn.data import device
from jaxsyn.engine.checkpoint import Checkpoints, inference_state
from jaxsyn.engine.mesh import Layout
from jaxsyn.engine.step import Engine, TrainState
from jaxsyn.engine.system import Stage
from jaxsyn.errors import CheckpointError, DataError, UsageError
from jaxsyn.spec import DataSpec


class Generator:
    """Makes images of label maps, or label maps, with the weights of a training.

    What is made is a function of its label map, the seed and its index in the call,
    whatever the batch size and the number of devices that share a batch.

    Attributes:
      spec: What the images' channels and the label maps' values mean.
      step: The training step the weights are from.
      meta: What was saved beside the weights.
      state: The weights, on each device.
    """

    def __init__(
        self,
        system: Any,
        spec: DataSpec,
        state: TrainState,
        meta: Mapping[str, Any],
        devices: Sequence[jax.Device] | None = None,
    ):
        """Use `load`; this takes a system and its state from elsewhere."""
        self.spec, self.step, self.meta = spec, int(state.step), meta
        self._layout = Layout.over(devices or jax.local_devices())
        self.state = jax.device_put(state, self._layout.replicated)
        self._engine = Engine(system=system, optimizers={}, ema_decays={})
        self._stage = Stage(start=0, stop=1, image_size=spec.image_size, batch_size=1)

    @classmethod
    def load(
        cls,
        workdir: str | Path,
        step: int | None = None,
        *,
        folder: str = "checkpoints",
        options: Mapping[str, Any] | None = None,
        devices: Sequence[jax.Device] | None = None,
    ) -> "Generator":
        """Reads the newest checkpoint of a run, or that of `step`.

        Args:
          workdir: The folder the training was given.
          step: Which checkpoint; the newest by default.
          folder: `checkpoints`, or `best` for the best snapshot, if one was kept.
          options: Of the system, where generation should differ from the training,
            e.g. `{"truncation": 0.7}`.
          devices: Which share each batch; all of this machine by default.

        Raises:
          CheckpointError: There is none, or it cannot be read.
          UsageError: The system has no such option.
        """
        checkpoints = Checkpoints(Path(workdir) / folder, readonly=True)
        step = checkpoints.choose(step)
        meta = checkpoints.meta(step)
        spec = DataSpec.from_json(meta["spec"])
        arrays = checkpoints.restore_arrays(step)
        checkpoints.close()
        system = systems.build({**meta["config"]["system"], **(options or {})}, spec)
        return cls(system, spec, inference_state(arrays), meta, devices)

    @property
    def trained_on(self) -> Mapping[str, Any]:
        """The "unit", patient or slice, and the "names" of what it was trained on.

        Raises:
          CheckpointError: The checkpoint does not say.
        """
        if "trained_on" not in self.meta:
            raise CheckpointError(
                "The generator's checkpoint does not say which patients it has seen.",
                hint="Train it again with this version of jaxsyn.",
            )
        return self.meta["trained_on"]

    @property
    def fingerprint(self) -> str:
        """A hash of its weights and of what they belong to."""
        digest = hashlib.sha256(json.dumps(self.meta, sort_keys=True).encode())
        for leaf in jax.tree.leaves(self.state):
            digest.update(np.ascontiguousarray(leaf))
        return digest.hexdigest()

    @property
    def makes_labels(self) -> bool:
        """Whether it makes label maps, rather than images of those it is given."""
        return self._engine.system.makes_labels

    @property
    def makes_images(self) -> bool:
        """Whether it makes images, with label maps of its own or of given ones."""
        return self._engine.system.makes_images

    @property
    def label_shape(self) -> tuple[int, ...]:
        """Of one label map: (H, W), or (D, H, W) of one who makes volumes."""
        side, depth = self.spec.image_size, self.meta["config"].get("depth", 0)
        return (depth, side, side) if depth else (side, side)

    def generate(
        self,
        labels: Int[np.ndarray, "*n h w"],
        *,
        seed: int = 0,
        batch_size: int = 16,
        normalised: bool = False,
        coherent: bool = False,
        extra: Mapping[str, np.ndarray] | None = None,
    ) -> Float[np.ndarray, "*n h w c"]:
        """Synthesises an image for each label map.

        Args:
          labels: One label map [H, W] or several [N, H, W]; indices into
            `spec.labels`, H = W = `spec.image_size`.
          seed: Another seed gives other images of the same label maps.
          batch_size: Images at a time; decides speed and memory alone.
          normalised: Whether to return [-1, 1] instead of intensities.
          coherent: Whether all share one draw of latents and noise, as the slices of
            a volume should; else each has its own.
          extra: What else the system can use, by name, an array of N entries each;
            its docstring says what that is.

        Returns:
          float32 images, channels as `spec.modalities`, in the intensity range of a
          typical training volume.

        Raises:
          DataError: The label maps' size or values are not those of the training.
          UsageError: It makes label maps itself.
        """
        if self.makes_labels:
            raise UsageError(
                "This generator makes label maps; it is given none.",
                hint="Call `sample`, or load the training of one that makes images.",
            )
        labels = np.asarray(labels)
        self._check(labels)
        stack = labels.reshape(-1, *labels.shape[-2:]).astype(np.uint8)
        given = {"label": stack, **self._check_extra(extra or {}, len(stack))}
        index = np.zeros(len(stack), int) if coherent else np.arange(len(stack))
        made = self._in_batches(given, index, seed, batch_size)["image"]
        made = made.reshape(*labels.shape, -1)
        return made if normalised else self.intensities(made)

    def sample(
        self, count: int, *, seed: int = 0, batch_size: int = 16, first: int = 0
    ) -> dict[str, np.ndarray]:
        """Draws new label maps, with their images if it makes both.

        Args:
          count: How many.
          seed: Another seed gives others.
          batch_size: How many at a time; decides speed and memory alone.
          first: Index of the first: what a call for 10 gives in two, from 0 and 5.

        Returns:
          "label" uint8 [N, H, W], or [N, D, H, W] of a generator of volumes; "score"
          float32 [N], how real its discriminator finds each; and "image" float32
          [N, H, W, C] in [-1, 1] if it makes images too.

        Raises:
          UsageError: It makes images of label maps that it is given.
        """
        if not self.makes_labels:
            raise UsageError(
                "This generator makes images of label maps, and has to be given them.",
                hint="Call `generate`, or load the training of one that makes label"
                " maps.",
            )
        given = {"label": np.zeros((count, *self.label_shape), np.uint8)}
        index = np.arange(first, first + count)
        made = self._in_batches(given, index, seed, batch_size)
        return {**made, "label": made["label"].astype(np.uint8)}

    def intensities(
        self, images: Float[np.ndarray, "*n h w c"]
    ) -> Float[np.ndarray, "*n h w c"]:
        """Takes images in [-1, 1] to the range of a typical training volume."""
        channels = [
            intensity.invert(images[..., i])
            for i, intensity in enumerate(self.spec.intensities)
        ]
        return np.stack(channels, axis=-1)

    def make(
        self,
        state: TrainState,
        given: Mapping[str, jax.Array],
        index: jax.Array,
        seed: jax.Array,
    ) -> Mapping[str, jax.Array]:
        """What is made of each entry, as a function that JAX can trace.

        Args:
          state: Weights like `state`.
          given: "label" [N, *label_shape] and what else the system can use.
          index: Of each in the call, [N].
          seed: Of all.

        Returns:
          "image" float32 in [-1, 1], "label" int32 and "score" float32, as far as it
          makes them, of N entries each.
        """

        def one(given, index):
            given = {name: array[None] for name, array in given.items()}
            batch = given | device.label_features(given["label"], self.spec)
            arguments = {"stage": self._stage, "seed": seed, "index": index}
            made = self._engine.generate(state, batch, **arguments)
            found = dict(self._engine.system.decode(made))
            if self.makes_labels:
                found["score"] = self._engine.score(state, batch, made, **arguments)
            return {name: array[0] for name, array in found.items()}

        return jax.vmap(one)(given, index)

    @functools.cached_property
    def _make(self):
        """The same where each device makes its part of a batch."""
        whole, part = self._layout.replicated.spec, self._layout.batch.spec
        made = jax.shard_map(
            self.make,
            mesh=self._layout.mesh,
            in_specs=(whole, part, part, whole),
            out_specs=part,
            check_vma=False,  # Loops begin with zeros that are the same on all.
        )
        return jax.jit(made)

    def _in_batches(self, given, index, seed, batch_size):
        """What is made of each entry, by name."""
        # Few are made at once, yet not each number of them is compiled anew.
        batch_size = min(batch_size, 1 << (len(index) - 1).bit_length())
        devices = self._layout.mesh.size
        batch_size = -(-batch_size // devices) * devices
        made = []
        for start in range(0, len(index), batch_size):
            chunk = {"index": index, **given}
            chunk = {k: v[start : start + batch_size] for k, v in chunk.items()}
            count = len(chunk["index"])
            chunk = {
                # All batches are compiled as one.
                k: np.pad(v, [(0, batch_size - count)] + [(0, 0)] * (v.ndim - 1))
                for k, v in chunk.items()
            }
            chunk = jax.device_put(chunk, self._layout.batch)
            places = chunk.pop("index")
            some = jax.device_get(self._make(self.state, chunk, places, seed))
            made.append({k: v[:count] for k, v in some.items()})
        return {k: np.concatenate([some[k] for some in made]) for k in made[0]}

    def _check_extra(self, extra, count):
        arrays = {name: np.asarray(array) for name, array in extra.items()}
        for name, array in arrays.items():
            if array.shape[:1] != (count,):
                raise DataError(
                    f"extra[{name!r}] has the shape {array.shape}; there are {count}"
                    " label maps.",
                    hint="Give one entry for each label map.",
                )
        return arrays

    def _check(self, labels):
        size = self.spec.image_size
        if labels.ndim not in (2, 3) or labels.shape[-2:] != (size, size):
            raise DataError(
                f"Label maps of shape {labels.shape}; expected [{size}, {size}] or"
                f" [N, {size}, {size}].",
                hint="Crop and resize them as the training set was prepared.",
            )
        if not np.issubdtype(labels.dtype, np.integer):
            raise DataError(
                f"Label maps of {labels.dtype}; expected integers.",
                hint="A label map holds indices, not probabilities or images.",
            )
        self.spec.check_indices(labels, "labels")
