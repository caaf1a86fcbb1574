"""A trained U-Net, from Python: images in, label maps out."""

from collections.abc import Mapping
import copy
from pathlib import Path
from typing import Any

import jax
from jaxtyping import Float, Int
import numpy as np

from jaxsyn import systems
from jaxsyn.data.blocks import block_slices
from jaxsyn.engine.checkpoint import Checkpoints, inference_state
from jaxsyn.engine.step import Engine, TrainState
from jaxsyn.engine.system import Stage
from jaxsyn.errors import DataError
from jaxsyn.spec import DataSpec

CHOSEN = "chosen"  # Where a fit keeps the weights it has chosen.


class Segmenter:
    """Segments the slices of a case with the weights of a finished fit.

    Attributes:
      spec: What the images' channels and the labels mean.
      meta: What was saved beside the weights.
      state: The weights.
    """

    def __init__(self, system: Any, meta: Mapping[str, Any], state: TrainState):
        """Use `load`; this takes a system and its state from elsewhere."""
        self.spec, self.meta = system.spec, meta
        self.depth = meta["depth"]
        self.state = state
        self._engine = Engine(system=system, optimizers={}, ema_decays={})
        size = self.spec.image_size
        self._stage = Stage(start=0, stop=1, image_size=size, batch_size=1)
        self._predict, self._bridge = jax.jit(self._predict), jax.jit(self._bridge)
        self._loss = jax.jit(self._loss)

    def with_state(self, state: TrainState) -> "Segmenter":
        """The same network with other weights: nothing is compiled anew."""
        other = copy.copy(self)
        other.state = state
        return other

    @classmethod
    def load(cls, folder: str | Path) -> "Segmenter":
        """Reads the weights that a fit has chosen.

        Args:
          folder: A cell's folder, in the `cells` of a judge's workdir.

        Raises:
          CheckpointError: There are none, or they cannot be read.
        """
        checkpoints = Checkpoints(Path(folder) / CHOSEN, readonly=True)
        step = checkpoints.choose()
        meta, arrays = checkpoints.meta(step), checkpoints.restore_arrays(step)
        checkpoints.close()
        spec = DataSpec.from_json(meta["spec"])
        return cls(systems.build(meta["system"], spec), meta, inference_state(arrays))

    def segment(
        self, images: Float[np.ndarray, "n h w c"], *, batch_size: int = 16
    ) -> Int[np.ndarray, "n h w"]:
        """The most probable label of each pixel of a case.

        Args:
          images: Its slices in order, in [-1, 1], channels as `spec.modalities`.
          batch_size: Slices at a time; decides speed and memory alone.

        Returns:
          uint8 indices into `spec.labels`.

        Raises:
          DataError: The images are not of the size or channels of the training's.
        """
        most = self.probabilities(images, batch_size=batch_size).argmax(axis=-1)
        return np.array(self.spec.classes, np.uint8)[most]

    def probabilities(
        self, images: Float[np.ndarray, "n h w c"], *, batch_size: int = 16
    ) -> Float[np.ndarray, "n h w k"]:
        """Each pixel's probability of each of `spec.classes`, float32.

        A network for volumes sees overlapping blocks; what it says is averaged.
        """
        images = np.asarray(images, np.float32)
        self._check(images)
        if not self.depth:
            return self._in_batches(self._predict, images, batch_size)
        blocks = block_slices(len(images), self.depth)
        volumes = images[np.maximum(blocks, 0)]
        volumes[blocks < 0] = -1.0
        seen = self._in_batches(
            self._predict, volumes, max(1, batch_size // self.depth)
        )
        total = np.zeros((*images.shape[:3], seen.shape[-1]), np.float32)
        counts = np.bincount(blocks[blocks >= 0], minlength=len(images))
        for block, probabilities in zip(blocks, seen, strict=True):
            total[block[block >= 0]] += probabilities[block >= 0]
        return total / counts[:, None, None, None]

    def features(
        self, images: Float[np.ndarray, "n h w c"], *, batch_size: int = 16
    ) -> Float[np.ndarray, "n d"]:
        """What the bridge holds, averaged over its pixels: for `fd_unet`."""
        return self._in_batches(self._bridge, images, batch_size)

    def loss(
        self, images: Float[np.ndarray, "b ... c"], labels: Int[np.ndarray, "b ..."]
    ) -> float:
        """What the training's loss is of a batch, with nothing random.

        Args:
          images: Slices, or volumes if it segments those, in [-1, 1].
          labels: Indices into `spec.labels`, all of them.
        """
        return float(self._loss(self.state, {"image": images, "label": labels}))

    def _in_batches(self, function, images, batch_size):
        """Applies a function to batches of one size: one compilation."""
        made = []
        for start in range(0, len(images), batch_size):
            chunk = images[start : start + batch_size]
            padded = np.zeros((batch_size, *chunk.shape[1:]), np.float32)
            padded[: len(chunk)] = chunk
            made.append(np.asarray(function(self.state, padded))[: len(chunk)])
        return np.concatenate(made)

    def _predict(self, state, images):
        return self._engine.generate(state, {"image": images}, stage=self._stage)

    def _loss(self, state, batch):
        def nets(_, images):
            return self._apply(state, images)

        loss = self._engine.system.segmentation_loss(nets, batch, {})
        return sum(loss.terms.values())

    def _apply(self, state, images, **how):
        """The network itself, as it is when it is not trained."""
        network = self._engine.system.networks["segmenter"]
        params = {**state.params, **state.ema}["segmenter"]
        variables = {"params": params, **state.stats["segmenter"]}
        return network.apply(variables, images, train=False, **how)

    def _bridge(self, state, images):
        _, kept = self._apply(state, images, mutable=["intermediates"])
        (features,) = kept["intermediates"]["bridge"]
        return features.mean(axis=tuple(range(1, features.ndim - 1)))

    def _check(self, images):
        size, channels = self.spec.image_size, len(self.spec.modalities)
        if images.ndim != 4 or images.shape[1:] != (size, size, channels):
            raise DataError(
                f"Images of shape {images.shape}; expected"
                f" [N, {size}, {size}, {channels}].",
                hint="Prepare them as the training set was prepared.",
            )
