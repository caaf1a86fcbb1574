"""A trained generator, from Python: label maps in, images out."""

from collections.abc import Mapping
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
from jaxsyn.engine.step import Engine, TrainState
from jaxsyn.engine.system import Stage
from jaxsyn.errors import CheckpointError, DataError
from jaxsyn.spec import DataSpec


class Generator:
    """Makes images of label maps with the weights of a finished or running training.

    An image is a function of its label map, the seed and its index in the call,
    whatever the batch size.

    Attributes:
      spec: What the images' channels and the label maps' values mean.
      step: The training step the weights are from.
      meta: What was saved beside the weights.
    """

    def __init__(
        self, system: Any, spec: DataSpec, state: TrainState, meta: Mapping[str, Any]
    ):
        """Use `load`; this takes a system and its state from elsewhere."""
        self.spec, self.step, self.meta = spec, int(state.step), meta
        self._state = state
        self._engine = Engine(system=system, optimizers={}, ema_decays={})
        self._stage = Stage(start=0, stop=1, image_size=spec.image_size, batch_size=1)

    @classmethod
    def load(cls, workdir: str | Path, step: int | None = None) -> "Generator":
        """Reads the newest checkpoint of a run, or that of `step`.

        Args:
          workdir: The folder the training was given.
          step: Which checkpoint; the newest by default.

        Raises:
          CheckpointError: There is none, or it cannot be read.
        """
        checkpoints = Checkpoints(Path(workdir) / "checkpoints", readonly=True)
        step = checkpoints.choose(step)
        meta = checkpoints.meta(step)
        spec = DataSpec.from_json(meta["spec"])
        arrays = checkpoints.restore_arrays(step)
        checkpoints.close()
        system = systems.build(meta["config"]["system"], spec)
        return cls(system, spec, inference_state(arrays), meta)

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
        for leaf in jax.tree.leaves(self._state):
            digest.update(np.ascontiguousarray(leaf))
        return digest.hexdigest()

    def generate(
        self,
        labels: Int[np.ndarray, "*n h w"],
        *,
        seed: int = 0,
        batch_size: int = 16,
        normalised: bool = False,
        extra: Mapping[str, np.ndarray] | None = None,
    ) -> Float[np.ndarray, "*n h w c"]:
        """Synthesises an image for each label map.

        Args:
          labels: One label map [H, W] or several [N, H, W]; indices into
            `spec.labels`, H = W = `spec.image_size`.
          seed: Another seed gives other images of the same label maps.
          batch_size: Images at a time; decides speed and memory alone.
          normalised: Whether to return [-1, 1] instead of intensities.
          extra: What else the system can use, by name, an array of N entries each;
            its docstring says what that is.

        Returns:
          float32 images, channels as `spec.modalities`, in the intensity range of a
          typical training volume.

        Raises:
          DataError: The label maps' size or values are not those of the training.
        """
        labels = np.asarray(labels)
        self._check(labels)
        stack = labels.reshape(-1, *labels.shape[-2:]).astype(np.uint8)
        given = {"label": stack, **self._check_extra(extra or {}, len(stack))}
        images = []
        for start in range(0, len(stack), batch_size):
            chunk = {k: v[start : start + batch_size] for k, v in given.items()}
            count = len(chunk["label"])
            padded = {
                k: np.pad(v, [(0, batch_size - count)] + [(0, 0)] * (v.ndim - 1))
                for k, v in chunk.items()
            }
            index = np.arange(start, start + batch_size)
            made = self._make(self._state, padded, index, seed)
            images.append(np.asarray(made)[:count])
        made = np.concatenate(images).reshape(*labels.shape, -1)
        return made if normalised else self._intensities(made)

    @functools.cached_property
    def _make(self):
        def one(state, given, index, seed):
            given = {name: array[None] for name, array in given.items()}
            batch = given | device.label_features(given["label"], self.spec)
            return self._engine.generate(
                state, batch, stage=self._stage, seed=seed, index=index
            )[0]

        return jax.jit(jax.vmap(one, in_axes=(None, 0, 0, None)))

    def _intensities(self, images):
        channels = [
            intensity.invert(images[..., i])
            for i, intensity in enumerate(self.spec.intensities)
        ]
        return np.stack(channels, axis=-1)

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
