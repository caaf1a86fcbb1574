"""The best snapshot of a generator of label maps, by sliced Wasserstein distance."""

from collections.abc import Mapping, Sequence
import logging
from typing import Any

import jax
from jax.experimental import multihost_utils
import numpy as np

from jaxsyn.data import device
from jaxsyn.data.codec import MaskCodec
from jaxsyn.engine import processes
from jaxsyn.engine.checkpoint import Checkpoints
from jaxsyn.engine.step import Engine, TrainState
from jaxsyn.engine.system import Stage
from jaxsyn.errors import UsageError
from jaxsyn.metrics.swd import sliced_wasserstein
from jaxsyn.spec import DataSpec

_LOG = logging.getLogger(__name__)
_BATCH = 32


class BestSnapshot:
    """Measures every snapshot as paper 001 does, and keeps the best.

    Synthetic label maps are compared at full size, levels not rounded to labels where
    the codec is the index; they come from the averaged weights, whatever size the
    training is at. Codes of several channels are decoded first.

    Attributes:
      best: The least distance so far, times 1000; infinite before the first.
    """

    def __init__(
        self,
        engine: Engine,
        stages: Sequence[Stage],
        slices,
        spec: DataSpec,
        checkpoints: Checkpoints,
        writer,
        meta: Mapping[str, Any],
        *,
        count: int,
    ):
        """Draws the real label maps to compare with.

        Args:
          engine: Generates.
          stages: Of the training.
          slices: What is trained on.
          spec: What they mean.
          checkpoints: Where the best state is kept.
          writer: Takes `write_scalars(step, scalars)`.
          meta: What is saved beside it.
          count: Label maps on either side.

        Raises:
          UsageError: The system makes no label maps.
        """
        if not engine.system.makes_labels:
            raise UsageError(
                "config.train.best=swd compares label maps; this system makes none.",
                hint="Leave it out.",
            )
        self._stages, self._writer, self._meta = stages, writer, dict(meta)
        self._checkpoints, self._last = checkpoints, None
        latest = checkpoints.latest()
        known = {} if latest is None else checkpoints.meta(latest)
        self.best = known.get("swd", np.inf)
        rows = np.random.default_rng(0).permutation(len(slices))[:count]
        codec = MaskCodec.of_spec(spec)
        self._real = np.asarray(codec.encode(slices.label[np.sort(rows)]))

        def generate(state, index, stage):
            shape = (_BATCH, *self._real.shape[1:-1])
            batch = device.label_features(np.zeros(shape, np.uint8), spec)
            made = engine.generate(state, batch, stage=stage, index=index)
            if made.shape[-1] == 1:
                return made
            return codec.encode(engine.system.decode(made)["label"])

        self._generate = jax.jit(generate, static_argnames="stage")

    def look(self, state: TrainState, step: int) -> None:
        """Measures the state of a step, once, and keeps it if none was better."""
        if step == self._last:
            return
        self._last = step
        stage = next(s for s in self._stages if step <= s.stop)
        made = [
            multihost_utils.process_allgather(
                self._generate(state, index, stage=stage), tiled=True
            )
            for index in range(-(-len(self._real) // _BATCH))
        ]
        # All processes are to agree on what is saved, to the last bit.
        distance = processes.of_first(
            self._distance(made) if processes.is_first() else None
        )
        if distance is None:
            _LOG.warning("Step %d: all label maps are one and the same level.", step)
            return
        self._writer.write_scalars(step, {"swd": distance})
        if distance < self.best:
            self.best = distance
            self._checkpoints.save(state, step, {**self._meta, "swd": distance})
            self._checkpoints.wait()

    def _distance(self, made):
        """To the real label maps; None if all levels are one."""
        fake = np.concatenate(made)[: len(self._real)]
        levels = np.rint(np.clip(fake * 127.5 + 127.5, 0, 255))
        if np.ptp(levels) == 0:
            return None
        return float(sliced_wasserstein(self._real, levels).average)
