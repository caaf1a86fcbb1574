"""The training loop: dispatch a step, look at the one before it, save, sample.

It knows no system and no data set. What a batch is, it asks a `Feed`.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
import contextlib
import dataclasses
from typing import Any, Protocol
import zlib

import jax
import numpy as np
from tqdm import tqdm

from jaxsyn.engine import processes
from jaxsyn.engine.checkpoint import Checkpoints
from jaxsyn.engine.interrupt import Preempted, StopRequest
from jaxsyn.engine.mesh import Layout
from jaxsyn.engine.step import Engine, TrainState
from jaxsyn.engine.system import Batch, Stage
from jaxsyn.engine.watch import Watch


class Feed(Protocol):
    """Where batches come from.

    Attributes:
      resident: Arrays that stay on the accelerator; may be empty.
    """

    resident: Any

    def batches(self, start_step: int, batch_size: int) -> Generator[Any]:
        """Raw batches of this process from `start_step` on: a function of the step."""

    def prepare(self, raw: Any, resident: Any, key: jax.Array) -> Batch:
        """Makes a batch of a raw one; runs inside `jit`."""


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
      steps_per_dispatch: How many steps the accelerator is given at once, where no
        checkpoint, picture or other phases come between them.
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
    steps_per_dispatch: int = 1

    def init(self) -> TrainState:
        """A fresh state, born in its place on every device."""
        arguments = self._init_arguments()
        init = jax.jit(
            self._init,
            out_shardings=self.layout.of_state(jax.eval_shape(self._init, *arguments)),
            # It runs once: a fifth of the time to compile, and nothing to lose.
            compiler_options={"xla_backend_optimization_level": 0},
        )
        return init(*arguments)

    def abstract_state(self) -> TrainState:
        """Shapes and shardings of a state, without making one."""
        shapes = jax.eval_shape(self._init, *self._init_arguments())
        return jax.tree.map(
            lambda s, sharding: jax.ShapeDtypeStruct(
                s.shape, s.dtype, sharding=sharding
            ),
            shapes,
            self.layout.of_state(shapes),
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
        hidden = not processes.is_first()
        with (
            StopRequest() as stop,
            tqdm(
                total=self.stages[-1].stop, initial=step, unit="step", disable=hidden
            ) as progress,
            processes.a_lost_peer_is_said(),
        ):
            watch = Watch(self.writer, self.cadence.log_every, stop, progress)
            for stage in self.stages:
                if step < stage.stop:
                    state, step = self._train_stage(state, step, stage, watch)
                if watch.stopping or step < stage.stop:
                    break
            self.writer.flush()
            self.checkpoints.wait()
        watch.summarise()
        if watch.stopping and step < self.stages[-1].stop:
            raise Preempted(
                f"Stopped by {stop.name or 'a signal to another process'} after step"
                f" {step}; everything is saved.",
                hint="Run the same command again and it goes on.",
            )
        return state

    def _train_stage(self, state, step, stage, watch):
        """Trains until the stage ends or a signal comes."""
        shardings = self.layout.of_state(state)
        if stage.reset_optimizers and step == stage.start:
            state = self._jit_reset(shardings)(state)
        advance = self._jit_steps(shardings)
        # Whatever ends the training: readers are not to be at work when Python ends.
        with contextlib.closing(self.feed.batches(step, stage.batch_size)) as batches:
            pending = None
            while True:
                count = self._at_once(step, stage)
                with watch.waiting_for_data(pending):
                    raws = _take(batches, count)
                raws = self.layout.put_batches(raws)
                asked = watch.ask(self.layout)
                with jax.transfer_guard("disallow"):
                    state, scalars = advance(
                        state,
                        raws,
                        self.feed.resident,
                        stage=stage,
                        due=self.engine.due(step),
                    )
                # The device works on these steps while the host reads those before.
                watch.look_at(pending, stage.batch_size)
                step += count
                pending = step, scalars | asked
                done = step == stage.stop or watch.stopping
                if done or self._save_due(step):
                    # Never save what diverged.
                    watch.look_at(pending, stage.batch_size)
                    pending = None
                    self.checkpoints.save(state, step, self.meta)
                over = self._sample_due(step) and self.sample(state, step) is True
                if done or over:
                    return state, step

    def _at_once(self, step, stage):
        """How many of the coming steps are dispatched at once: all, or one."""
        several = range(step, step + self.steps_per_dispatch)
        pauses = any(self._save_due(s) or self._sample_due(s) for s in several[1:])
        due = {self.engine.due(s) for s in several}
        if pauses or len(due) > 1 or several.stop > stage.stop:
            return 1
        return len(several)

    def _save_due(self, step):
        return step % self.cadence.checkpoint_every == 0

    def _sample_due(self, step):
        return self.cadence.sample_every and step % self.cadence.sample_every == 0

    def _steps(self, state, raws, resident, *, stage, due):
        """A step with each of some raw batches, one after another."""

        def step(state, raw):
            return self._prepared_step(state, raw, resident, stage=stage, due=due)

        if len(jax.tree.leaves(raws)[0]) > 1:
            return jax.lax.scan(step, state, raws)
        state, scalars = step(state, jax.tree.map(lambda x: x[0], raws))
        return state, jax.tree.map(lambda x: x[None], scalars)

    def _prepared_step(self, state, raw, resident, *, stage, due):
        key = jax.random.fold_in(jax.random.key(self.engine.seed), state.step)
        key = jax.random.fold_in(key, zlib.crc32(b"data"))
        batch = self.feed.prepare(raw, resident, key)
        return self.engine.step(state, batch, stage=stage, due=due)

    def _init(self, raw, resident):
        batch = self.feed.prepare(raw, resident, jax.random.key(0))
        return self.engine.init(batch, stage=self.stages[0])

    def _init_arguments(self):
        stage = self.stages[0]
        raw = next(iter(self.feed.batches(0, stage.batch_size)))
        return self.layout.put_batch(raw), self.feed.resident

    def _jit_steps(self, shardings):
        return jax.jit(
            self._steps,
            static_argnames=("stage", "due"),
            donate_argnames="state",
            out_shardings=(shardings, self.layout.replicated),
        )

    def _jit_reset(self, shardings):
        return jax.jit(
            self.engine.reset_optimizers, donate_argnums=0, out_shardings=shardings
        )


def _take(batches, count):
    """The next raw batches [B, ...] as one [count, B, ...]."""
    if count == 1:
        return jax.tree.map(lambda array: array[None], next(batches))
    group = [next(batches) for _ in range(count)]
    return jax.tree.map(lambda *arrays: np.stack(arrays), *group)
