"""The training job: data, system and engine, joined as the configuration says."""

from collections.abc import Callable, Mapping
import dataclasses
import logging
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxsyn import settings, storage, systems
from jaxsyn import workdir as workdir_lib
from jaxsyn.data import feed as feed_lib
from jaxsyn.data.prepared import PreparedSet
from jaxsyn.engine import optimizers, processes, writers
from jaxsyn.engine.checkpoint import Checkpoints
from jaxsyn.engine.loop import Cadence, Run
from jaxsyn.engine.mesh import SHARDED, Layout, bytes_on_each
from jaxsyn.engine.step import Engine
from jaxsyn.engine.system import Stage, System
from jaxsyn.engine.watch import DivergedError
from jaxsyn.errors import UsageError
from jaxsyn.health import Health
from jaxsyn.samples import Samples
from jaxsyn.snapshots import BestSnapshot

_LOG = logging.getLogger(__name__)
DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
ON_ALARM = ("warn", "stop", "ignore")
_NEXT_SEED = 1_000_003  # Far from any other training's.
_LOOKED_AT = ("validation", "test", "train")  # Samples are of the first there is.


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The parts of a training's configuration; configs/common.py explains them."""

    job: str
    seed: int
    data: Mapping[str, Any]
    system: Mapping[str, Any]
    optimizers: Mapping[str, Any]
    train: Mapping[str, Any]
    depth: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How long a training is and how it is cut into steps.

    Attributes:
      steps: Updates; or
      epochs: passes over the training slices. One of the two is 0.
      batch_size: Images per step, over all devices.
      accumulate: Micro-batches per update.
      steps_per_dispatch: How many steps the accelerator is given at once, where nothing
        comes between them; for steps so short that the host does not keep up.
      dtype: What networks compute in: `float32` or `bfloat16`.
      shard: What is split over the devices instead of being on each: `none`,
        `optimizer` (its state and averages) or `all` (parameters, too).
      ema: Decay of the averaged parameters, by network.
      log_every: Steps between lines of metrics.
      sample_every: Steps between grids of samples; 0 makes only the last.
      checkpoint_every: Steps between checkpoints.
      keep_checkpoints: How many checkpoints are kept.
      best: `swd` also keeps, in the folder `best`, the state whose label maps were
        closest to the real ones whenever samples were drawn; see `snapshots`.
      best_of: How many label maps are compared.
      on_alarm: What is done where a generator ignores its label maps or collapses, or
        a discriminator has nothing left to learn (see `health`): `warn`, `stop` or
        `ignore`.
      rollbacks: How often a training whose loss is no number goes back to its last
        checkpoint, and on with other batches and noise, before that ends it.
    """

    steps: int = 0
    epochs: int = 0
    batch_size: int = 8
    accumulate: int = 1
    steps_per_dispatch: int = 1
    dtype: str = "float32"
    shard: str = "none"
    ema: Mapping[str, float] = dataclasses.field(default_factory=dict)
    log_every: int = 50
    sample_every: int = 1000
    checkpoint_every: int = 1000
    keep_checkpoints: int = 2
    best: str = ""
    best_of: int = 1024
    on_alarm: str = "warn"
    rollbacks: int = 0

    def __post_init__(self):
        if self.dtype not in DTYPES:
            raise settings.unknown(
                f"config.train.dtype={self.dtype!r}", self.dtype, list(DTYPES)
            )
        if self.shard not in SHARDED:
            what = f"config.train.shard={self.shard!r}"
            raise settings.unknown(what, self.shard, list(SHARDED))
        if self.steps_per_dispatch < 1:
            raise UsageError(
                f"config.train.steps_per_dispatch is {self.steps_per_dispatch}.",
                hint="Give 1 or more.",
            )
        if self.on_alarm not in ON_ALARM:
            what = f"config.train.on_alarm={self.on_alarm!r}"
            raise settings.unknown(what, self.on_alarm, list(ON_ALARM))
        if self.best not in ("", "swd"):
            what = f"config.train.best={self.best!r}"
            raise settings.unknown(what, self.best, ["swd"])
        if (self.steps > 0) == (self.epochs > 0):
            raise UsageError(
                f"config.train.steps is {self.steps} and config.train.epochs is"
                f" {self.epochs}.",
                hint="Give one of them and set the other to 0.",
            )

    @property
    def cadence(self) -> Cadence:
        """How often the loop does what."""
        return Cadence(
            log_every=self.log_every,
            sample_every=self.sample_every,
            checkpoint_every=self.checkpoint_every,
        )

    def stage(self, num_slices: int, image_size: int) -> Stage:
        """The whole training on `num_slices` slices of that size, in one stage."""
        return Stage(
            start=0,
            stop=self.total_steps(num_slices),
            image_size=image_size,
            batch_size=self.batch_size,
        )

    def total_steps(self, num_slices: int) -> int:
        """Steps of the whole training on `num_slices` slices."""
        return self.steps or max(1, self.epochs * num_slices // self.batch_size)


def run(config: Any, workdir: Path) -> None:
    """Trains what the configuration describes, or goes on where it stopped.

    Args:
      config: A `ConfigDict` as in configs/common.py.
      workdir: The run's folder.

    Raises:
      JaxsynError: One of its kinds, for all that a user can mend.
    """
    config = config.to_dict()
    settings.check(TrainConfig, config, "config")
    training = settings.build(TrainSettings, config["train"], "config.train")
    layout = Layout.over(shard=training.shard)
    layout.check_batch_size(training.batch_size, training.accumulate)
    depth = config.get("depth", 0)
    # What can be known to be wrong is said before hours of preparing.
    systems.check(config["system"], depth)
    data = feed_lib.DataSettings.from_config(config["data"])
    with processes.first_goes_first("preparing the data"):
        prepared, slices, shown = _open(data, config, workdir)
    task = _Task(
        config=config,
        training=training,
        layout=layout,
        data=data,
        prepared=prepared,
        slices=slices,
        shown=shown,
        workdir=workdir,
    )
    since, last = 0, None  # How often it has gone back since the last checkpoint.
    while True:
        job, look = task.job(since)
        try:
            return _finish(job, look, workdir)
        except DivergedError as error:
            job.writer.close()
            job.checkpoints.close()
            step, count = job.checkpoints.latest(), job.meta["rollbacks"]
            if count == training.rollbacks:
                raise
            _LOG.warning(
                "%s Back to step %d, and on from there with other batches and noise"
                " (%d of %d times).",
                error.args[0],
                step or 0,
                count + 1,
                training.rollbacks,
            )
            since, last = since + 1 if step == last else 1, step


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Task:
    """What is trained, on what and where."""

    config: Mapping[str, Any]
    training: TrainSettings
    layout: Layout
    data: feed_lib.DataSettings
    prepared: PreparedSet
    slices: Any
    shown: Any
    workdir: Path

    def job(self, since: int) -> tuple[Run, Callable]:
        """The training, and how its state is looked at.

        Args:
          since: How often it went back since the last checkpoint.
        """
        config, training, spec = self.config, self.training, self.prepared.spec
        checkpoints = Checkpoints(
            self.workdir / "checkpoints", keep=training.keep_checkpoints
        )
        step = checkpoints.latest() or 0
        rollbacks = since
        if step:
            rollbacks += checkpoints.meta(step).get("rollbacks", 0)
        seed = config["seed"] + _NEXT_SEED * rollbacks
        feed = _feed(self.data, self.slices, spec, seed, self.layout)
        system = systems.build(config["system"], spec)
        system = system.fitted(self.prepared.cache("train"))
        stages = system.stages(training.stage(len(feed), spec.image_size))
        for stage in stages:
            self.layout.check_batch_size(stage.batch_size, training.accumulate)
        steps = stages[-1].stop
        what = "volumes" if config.get("depth", 0) else "slices"
        _LOG.info("Training on %d %s for %d steps.", len(feed), what, steps)
        writer = writers.create(self.workdir, resume_step=step)
        engine = build_engine(config["optimizers"], training, system, steps, seed=seed)
        meta = _meta(config, self.prepared) | {"rollbacks": rollbacks}
        look = self._look(engine, stages, writer, meta)
        job = Run(
            engine=engine,
            stages=stages,
            feed=feed,
            layout=self.layout,
            checkpoints=checkpoints,
            writer=writer,
            sample=look,
            meta=meta,
            cadence=training.cadence,
            steps_per_dispatch=training.steps_per_dispatch,
        )
        return job, look

    def _look(self, engine, stages, writer, meta):
        """Whatever is looked at from time to time, one after another."""
        training, spec, workdir = self.training, self.prepared.spec, self.workdir
        shown = engine, stages, self.shown, spec
        looks = [Samples(*shown, workdir / "samples", writer).draw]
        if training.best:
            kept = Checkpoints(workdir / "best", keep=1)
            compared = engine, stages, self.slices, spec, kept, writer, meta
            looks.append(BestSnapshot(*compared, count=training.best_of).look)
        if training.on_alarm != "ignore" and training.sample_every:
            policy = {"every": training.sample_every, "on_alarm": training.on_alarm}
            looks.append(Health(*shown, workdir, writer, **policy).look)

        def look(state, step):
            for one in looks:
                one(state, step)

        return look


def _open(data, config, workdir):
    """The prepared set, what is trained on, and what samples are of."""
    workdir_lib.check(workdir, config)
    prepared = data.open(workdir.parent / "prepared")
    # Not before: data that cannot be used leave the folder to a mended configuration.
    if processes.is_first():
        workdir_lib.claim(workdir, config, data=prepared.key)
    depth = config.get("depth", 0)
    # A process among several reads its own rows only.
    in_memory = data.cache == "memory" and processes.count() == 1
    slices = data.slices_of(prepared, "train", depth, in_memory=in_memory)
    return prepared, slices, data.slices_of(prepared, _unseen(prepared), depth)


def _feed(data, slices, spec, seed, layout):
    return feed_lib.Feed(
        slices,
        spec,
        seed=seed,
        resides=data.cache == "device",
        augment=data.augment,
        replicated=layout.replicated,
    )


def _finish(job, look, workdir):
    """Trains to the end, looks once more and lets go."""
    state = job.resume_or_init()
    _save_sizes(state, workdir)
    steps = job.stages[-1].stop
    look(job.train(state), steps)
    job.writer.close()
    job.checkpoints.close()
    if processes.is_first():
        print(f"Trained {steps} steps. Pictures are in {workdir / 'samples'}")


def _unseen(prepared):
    """The part that samples are of: one that is not trained on, if there is one."""
    return next(part for part in _LOOKED_AT if prepared.counts.get(part))


def build_engine(
    optimizer_config: Mapping[str, Any],
    training: TrainSettings,
    system: System,
    steps: int,
    *,
    seed: int,
) -> Engine:
    """The engine for a system, as a configuration's parts describe it.

    Args:
      optimizer_config: Settings of `optimizers.Adam`, by network.
      training: How it is trained.
      system: What is trained.
      steps: How long; what schedules depend on.
      seed: Of everything random.

    Raises:
      UsageError: A network is not one of the system's, or has no optimiser.
    """
    adams = {
        name: settings.build(optimizers.Adam, values, f"config.optimizers.{name}")
        for name, values in optimizer_config.items()
    }
    for name in training.ema:
        if name not in system.networks:
            known = sorted(system.networks)
            raise settings.unknown(f"config.train.ema.{name}", name, known)
    return Engine(
        system=system,
        optimizers=optimizers.build(adams, system.networks, steps),
        ema_decays={n: optimizers.ema_decay(d) for n, d in training.ema.items()},
        seed=seed,
        accumulate=training.accumulate,
        dtype=DTYPES[training.dtype],
    )


def _meta(config, prepared):
    """What generation, and those who judge it, must know beside the weights."""
    split = prepared.split
    return {
        "config": config,
        "spec": prepared.spec.to_json(),
        "data": prepared.key,
        "trained_on": {"unit": split.unit, "names": split.parts["train"]},
    }


def _save_sizes(state, workdir):
    """Says how many parameters each network has, and leaves it in a file."""
    sizes = {
        name: sum(x.size for x in jax.tree.leaves(params))
        for name, params in state.params.items()
    }
    for name, size in sizes.items():
        _LOG.info("%s: %s parameters.", name, f"{size:,}")
    here, whole = (size / 1e6 for size in bytes_on_each(state))
    split = f"; {whole:.0f} MB were it not split" if here < whole else ""
    _LOG.info("State: %.0f MB on each device%s.", here, split)
    if processes.is_first():
        with storage.writing(workdir):
            storage.write_json(workdir / "sizes.json", sizes)
