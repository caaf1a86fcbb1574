"""The training loop: dispatch a step, look at the one before it, save, sample.

It knows no system and no data set. What a batch is, it asks a `Feed`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import dataclasses
import math
import time
from typing import Any, Protocol
import zlib

import jax
from tqdm import tqdm

from jaxsyn import errors
from jaxsyn.engine.checkpoint import Checkpoints
from jaxsyn.engine.interrupt import Preempted, StopRequest
from jaxsyn.engine.mesh import Layout
from jaxsyn.engine.step import Engine, TrainState
from jaxsyn.engine.system import Batch, Stage


class Feed(Protocol):
    """Where batches come from.

    Attributes:
      resident: Arrays that stay on the accelerator; may be empty.
    """

    resident: Any

    def batches(self, start_step: int, batch_size: int) -> Iterator[Any]:
        """Raw batches of this process from `start_step` on: a function of the step."""

    def prepare(self, raw: Any, resident: Any, key: jax.Array) -> Batch:
        """Makes a batch of a raw one; runs inside `jit`."""


class DivergedError(errors.JaxsynError):
    """A loss is no longer a number."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cadence:
    """How often a run does what; in steps.

    Attributes:
      log_every: Steps between lines of metrics.
      sample_every: Steps between grids of samples; 0 makes none before the end.
      checkpoint_every: Steps between checkpoints; one more is saved at the end.
    """

    log_every: int = 50
    sample_every: int = 1000
    checkpoint_every: int = 1000


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Run:
    """One training: what is trained, on what, and who is told.

    Attributes:
      engine: Steps the system.
      stages: What is trained when; the last one's `stop` ends the run.
      feed: Where batches come from.
      layout: Where arrays live.
      checkpoints: Where states are saved.
      writer: Takes `write_scalars(step, scalars)` and `flush()`.
      sample: Called as `sample(state, step)` to draw pictures, or to look at the
        state in another way; True ends the run.
      meta: What is saved beside each state; JSON.
      cadence: How often.
    """

    engine: Engine
    stages: Sequence[Stage]
    feed: Feed
    layout: Layout
    checkpoints: Checkpoints
    writer: Any
    sample: Callable[[TrainState, int], Any]
    meta: Mapping[str, Any]
    cadence: Cadence

    def init(self) -> TrainState:
        """A fresh state, born in its place on every device."""
        return self._jit_init()(*self._init_arguments(), stage=self.stages[0])

    def abstract_state(self) -> TrainState:
        """Shapes and shardings of a state, without making one."""
        shapes = jax.eval_shape(
            lambda raw, resident: self._init(raw, resident, stage=self.stages[0]),
            *self._init_arguments(),
        )
        return jax.tree.map(
            lambda s: jax.ShapeDtypeStruct(
                s.shape, s.dtype, sharding=self.layout.replicated
            ),
            shapes,
        )

    def resume_or_init(self) -> TrainState:
        """The newest checkpoint's state, or a fresh one."""
        step = self.checkpoints.latest()
        if step is None:
            return self.init()
        return self.checkpoints.restore(step, self.abstract_state())

    def train(self, state: TrainState) -> TrainState:
        """Trains to the end of the last stage.

        Raises:
          Preempted: A signal came; everything is saved.
          DivergedError: A loss is not finite; the last good checkpoint is kept.
        """
        step = int(state.step)
        progress = tqdm(total=self.stages[-1].stop, initial=step, unit="step")
        with StopRequest() as stop, progress:
            for stage in self.stages:
                if step < stage.stop:
                    state, step = self._train_stage(state, step, stage, stop, progress)
                if stop or step < stage.stop:
                    break
        self.writer.flush()
        self.checkpoints.wait()
        if stop and step < self.stages[-1].stop:
            raise Preempted(
                f"Stopped by {stop.name} after step {step}; everything is saved.",
                hint="Run the same command again and it goes on.",
            )
        return state

    def _train_stage(self, state, step, stage, stop, progress):
        """Trains until the stage ends or a signal comes."""
        if stage.reset_optimizers and step == stage.start:
            state = self._jit_reset()(state)
        advance = self._jit_step()
        pending = None
        for raw in self.feed.batches(step, stage.batch_size):
            raw = self.layout.put_batch(raw)
            with jax.transfer_guard("disallow"):
                state, scalars = advance(
                    state,
                    raw,
                    self.feed.resident,
                    stage=stage,
                    due=self.engine.due(step),
                )
            # The device works on this step while the host reads the one before.
            self._look_at(pending, progress)
            step, pending = step + 1, (step + 1, scalars)
            done = step == stage.stop or bool(stop)
            if done or self._save_due(step):
                self._look_at(pending, progress)  # Never save what has diverged.
                pending = None
                self.checkpoints.save(state, step, self.meta)
            over = self._sample_due(step) and self.sample(state, step) is True
            if done or over:
                return state, step
        raise RuntimeError("The feed ended; it must go on for ever.")

    def _save_due(self, step):
        return step % self.cadence.checkpoint_every == 0

    def _sample_due(self, step):
        return self.cadence.sample_every and step % self.cadence.sample_every == 0

    def _look_at(self, pending, progress):
        """Checks, logs and shows the scalars of one finished step."""
        if pending is None:
            return
        step, scalars = pending
        scalars = {k: float(v) for k, v in jax.device_get(scalars).items()}
        for name, value in scalars.items():
            if not math.isfinite(value):
                self.writer.write_scalars(step, scalars)
                self.writer.flush()
                raise DivergedError(
                    f"{name} is {value} at step {step}: training has diverged.",
                    hint="Lower the learning rate or change config.seed; the last good"
                    " checkpoint is kept.",
                )
        if step % self.cadence.log_every == 0:
            self.writer.write_scalars(step, scalars)
            self.writer.flush()
        progress.update(1)
        if time.monotonic() - progress.last_print_t < progress.mininterval:
            return
        shown = {k: f"{v:.3g}" for k, v in scalars.items() if "grad_norm" not in k}
        progress.set_postfix(shown, refresh=False)

    def _prepared_step(self, state, raw, resident, *, stage, due):
        key = jax.random.fold_in(jax.random.key(self.engine.seed), state.step)
        key = jax.random.fold_in(key, zlib.crc32(b"data"))
        batch = self.feed.prepare(raw, resident, key)
        return self.engine.step(state, batch, stage=stage, due=due)

    def _init(self, raw, resident, *, stage):
        batch = self.feed.prepare(raw, resident, jax.random.key(0))
        return self.engine.init(batch, stage=stage)

    def _init_arguments(self):
        stage = self.stages[0]
        raw = next(iter(self.feed.batches(0, stage.batch_size)))
        return self.layout.put_batch(raw), self.feed.resident

    def _jit_init(self):
        return jax.jit(
            self._init,
            static_argnames="stage",
            out_shardings=self.layout.replicated,
            # It runs once: a fifth of the time to compile, and nothing to lose.
            compiler_options={"xla_backend_optimization_level": 0},
        )

    def _jit_step(self):
        replicated = self.layout.replicated
        return jax.jit(
            self._prepared_step,
            static_argnames=("stage", "due"),
            donate_argnames="state",
            out_shardings=(replicated, replicated),
        )

    def _jit_reset(self):
        return jax.jit(
            self.engine.reset_optimizers,
            donate_argnums=0,
            out_shardings=self.layout.replicated,
        )
