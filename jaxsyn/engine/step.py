"""The one training step, shared by every system."""

from collections.abc import Callable, Mapping
import dataclasses
from typing import Any
import zlib

import flax
import jax
import jax.numpy as jnp
import optax

from jaxsyn.engine import nets as nets_lib
from jaxsyn.engine import system as system_lib

Scalars = Mapping[str, jax.Array]


@flax.struct.dataclass
class TrainState:
    """Everything a run needs to continue as if it had never stopped.

    There is no key here: randomness is a function of the seed and the step.

    Attributes:
      step: Steps taken.
      params: Parameters by network.
      stats: Non-trained collections by network.
      opt: Optimiser states by network.
      ema: Averaged parameters, for the networks that have them.
      memory: The system's running quantities.
    """

    step: jax.Array
    params: Mapping[str, Any]
    stats: Mapping[str, Any]
    opt: Mapping[str, Any]
    ema: Mapping[str, Any]
    memory: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Engine:
    """Initialises and steps a system it knows nothing about.

    Attributes:
      system: What to train.
      optimizers: An optimiser for each network.
      ema_decays: Decay as a function of the step, for each averaged network.
      seed: Where all randomness starts.
      accumulate: Micro-batches per update. Each phase's gradient is the mean over
        them, which is the whole batch's as long as its loss is a mean over images.
      dtype: What networks compute in; parameters, penalties and sums are float32.
    """

    system: system_lib.System
    optimizers: Mapping[str, optax.GradientTransformation]
    ema_decays: Mapping[str, Callable[[jax.Array], jax.Array]]
    seed: int = 0
    accumulate: int = 1
    dtype: jnp.dtype = jnp.float32

    def due(self, step: int) -> tuple[str, ...]:
        """Returns the phases that run at `step`; static under `jit`."""
        return tuple(p.name for p in self.system.phases if p.due(step))

    def init(self, batch: system_lib.Batch, *, stage: system_lib.Stage):
        """Creates a state by running every phase once, without updates."""
        nets = nets_lib.Nets(
            self.system.networks,
            {},
            {},
            rng=jax.random.key(self.seed),
            stage=stage,
            step=jnp.zeros((), jnp.int32),
            initializing=True,
            dtype=self.dtype,
        )
        memory = self.system.memory(batch)
        for phase in self.system.phases:
            phase.loss(nets, batch, memory)
        if unused := set(self.system.networks) - set(nets.params):
            raise ValueError(f"No phase calls the networks {sorted(unused)}.")
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            params=nets.params,
            stats=nets.stats,
            opt=self._init_optimizers(nets.params),
            ema={n: jax.tree.map(jnp.copy, nets.params[n]) for n in self.ema_decays},
            memory=dict(memory),
        )

    def step(
        self,
        state: TrainState,
        batch: system_lib.Batch,
        *,
        stage: system_lib.Stage,
        due: tuple[str, ...],
    ) -> tuple[TrainState, Scalars]:
        """Runs the due phases in order, then the averages."""
        rng = jax.random.fold_in(jax.random.key(self.seed), state.step)
        scalars = {}
        for phase in self.system.phases:
            if phase.name in due:
                state, measured = self._update(phase, state, batch, rng, stage)
                scalars |= {f"{phase.name}/{k}": v for k, v in measured.items()}
        ema = {
            name: optax.incremental_update(
                state.params[name], state.ema[name], 1.0 - decay(state.step)
            )
            for name, decay in self.ema_decays.items()
        }
        return state.replace(step=state.step + 1, ema=ema), scalars

    def generate(
        self,
        state: TrainState,
        batch: system_lib.Batch,
        *,
        stage: system_lib.Stage,
        seed: int | jax.Array = 0,
        index: int | jax.Array = 0,
    ) -> jax.Array:
        """Makes images from the averaged parameters where there are any.

        Randomness is a function of `seed` and `index`.
        """
        nets = self._nets_at_rest(state, stage, seed, index)
        return self.system.generate(nets, batch)

    def score(
        self,
        state: TrainState,
        batch: system_lib.Batch,
        made: jax.Array,
        *,
        stage: system_lib.Stage,
        seed: int | jax.Array = 0,
        index: int | jax.Array = 0,
    ) -> jax.Array:
        """How real the system finds what `generate` made, [B]."""
        nets = self._nets_at_rest(state, stage, seed, index)
        return self.system.score(nets, batch, made)

    def _nets_at_rest(self, state, stage, seed, index):
        return nets_lib.Nets(
            self.system.networks,
            {**state.params, **state.ema},
            state.stats,
            rng=jax.random.fold_in(jax.random.key(seed), index),
            stage=stage,
            step=state.step,
            train=False,
            dtype=self.dtype,
            memory=state.memory,
        )

    def reset_optimizers(self, state: TrainState) -> TrainState:
        """Starts every optimiser afresh; jit it like `step`, with shardings."""
        return state.replace(opt=self._init_optimizers(state.params))

    def _init_optimizers(self, params):
        return {n: tx.init(params[n]) for n, tx in self.optimizers.items()}

    def _update(self, phase, state, batch, rng, stage):
        """Descends one phase's loss in the networks it trains."""
        measure = self._gradient if self.accumulate == 1 else self._mean_gradient
        grads, stats, memory, scalars = measure(phase, state, batch, rng, stage)
        params, opt = dict(state.params), dict(state.opt)
        for name in phase.trains:
            updates, opt[name] = self.optimizers[name].update(
                grads[name], opt[name], params[name]
            )
            if stage.rate != 1.0:
                updates = jax.tree.map(lambda u: stage.rate * u, updates)
            params[name] = optax.apply_updates(params[name], updates)
        state = state.replace(params=params, stats=stats, opt=opt, memory=memory)
        return state, {**scalars, "grad_norm": optax.tree.norm(grads)}

    def _gradient(self, phase, state, batch, rng, stage):
        """The gradient of a phase's loss, and what its forward pass left behind."""
        stream = zlib.crc32((phase.noise or phase.name).encode())

        def loss_fn(moving):
            nets = nets_lib.Nets(
                self.system.networks,
                {**state.params, **moving},
                state.stats,
                rng=jax.random.fold_in(rng, stream),
                stage=stage,
                step=state.step,
                trains=phase.trains,
                dtype=self.dtype,
            )
            loss = phase.loss(nets, batch, state.memory)
            total = phase.scale * sum(loss.terms.values())
            memory = {**state.memory, **loss.memory}
            return total, (nets.stats, memory, {**loss.terms, **loss.scalars})

        moving = {name: state.params[name] for name in phase.trains}
        grads, left_behind = jax.grad(loss_fn, has_aux=True)(moving)
        return grads, *left_behind

    def _mean_gradient(self, phase, state, batch, rng, stage):
        """The same over micro-batches, one after another, in one's memory."""
        micro_batches = jax.tree.map(self._split, batch)

        def measure(state, index, micro_batch):
            key = jax.random.fold_in(rng, index)
            return self._gradient(phase, state, micro_batch, key, stage)

        def add(carry, item):
            stats, memory, sums = carry
            grads, stats, memory, scalars = measure(
                state.replace(stats=stats, memory=memory), *item
            )
            return (stats, memory, jax.tree.map(jnp.add, sums, (grads, scalars))), None

        first = jax.tree.map(lambda x: x[0], micro_batches)
        shapes = jax.eval_shape(measure, state, 0, first)
        sums = jax.tree.map(
            lambda s: jnp.zeros(s.shape, s.dtype), (shapes[0], shapes[3])
        )
        (stats, memory, sums), _ = jax.lax.scan(
            add,
            (state.stats, state.memory, sums),
            (jnp.arange(self.accumulate), micro_batches),
        )
        grads, scalars = jax.tree.map(lambda x: x / self.accumulate, sums)
        return grads, stats, memory, scalars

    def _split(self, x):
        """[B, ...] to [K, B/K, ...], leaving every image on its device."""
        if x.shape[0] % self.accumulate:
            raise ValueError(
                f"A batch of {x.shape[0]} cannot be split into {self.accumulate}"
                " micro-batches: let train.accumulate divide train.batch_size."
            )
        return x.reshape(-1, self.accumulate, *x.shape[1:]).swapaxes(0, 1)
