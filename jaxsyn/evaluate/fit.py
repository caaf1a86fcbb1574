"""Training a U-Net for judging: when to look, which weights to keep, when to stop.

It is trained by the loop that trains generators; what is added here are the looks at
the validation cases, and what follows from them.
"""

from collections.abc import Callable, Mapping
import dataclasses
import json
import logging
from pathlib import Path
import shutil
from typing import Any

import jax

from jaxsyn import settings, storage, systems
from jaxsyn.data.feed import Feed
from jaxsyn.engine import writers
from jaxsyn.engine.checkpoint import Checkpoints
from jaxsyn.engine.loop import Run
from jaxsyn.engine.mesh import Layout
from jaxsyn.engine.step import TrainState
from jaxsyn.errors import UsageError
from jaxsyn.evaluate.segmenter import CHOSEN, Segmenter
from jaxsyn.spec import DataSpec
from jaxsyn.train import TrainSettings, build_engine

_LOG = logging.getLogger(__name__)
KINDS = ("best", "last", "mean_last")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Selection:
    """Which weights are judged.

    Attributes:
      by: `best` on validation, `last`, or `mean_last`: the metrics are averaged over
        the last looks, as paper 004 does over its last 100 epochs.
      looks: How often, evenly over the training, the validation cases are segmented.
      patience: Looks without a better score after which training ends; 0: never.
      last: Looks that `mean_last` averages over.
    """

    by: str = "best"
    looks: int = 20
    patience: int = 0
    last: int = 5

    def __post_init__(self):
        if self.by not in KINDS:
            what = f"config.selection.by={self.by!r}"
            raise settings.unknown(what, self.by, list(KINDS))
        if self.looks < 1 or self.patience < 0 or not 1 <= self.last <= self.looks:
            raise UsageError(
                f"{self} makes no sense.",
                hint="looks and last are at least 1, last at most looks, and patience"
                " is 0 or more.",
            )
        if self.patience and self.by == "mean_last":
            raise UsageError(
                "config.selection.by='mean_last' cannot stop early.",
                hint="Set config.selection.patience to 0.",
            )


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Fit:
    """One training of one U-Net.

    Attributes:
      folder: Where its files go.
      spec: What the data hold.
      system: The system's part of the configuration.
      optimizers: The optimisers' part.
      training: How long, and how it is cut into steps.
      selection: Which weights are kept.
      seed: Of everything random.
      meta: What is saved beside the weights, for those who load them.
    """

    folder: Path
    spec: DataSpec
    system: Mapping[str, Any]
    optimizers: Mapping[str, Any]
    training: TrainSettings
    selection: Selection
    seed: int
    meta: Mapping[str, Any]

    def run(
        self,
        feed: Feed,
        *,
        score: Callable[[Segmenter], float] | None,
        test: Callable[[Segmenter, int], None],
        start_from: Path | None = None,
    ) -> list[int]:
        """Trains, or goes on where it stopped, and keeps the chosen weights.

        Args:
          feed: The training slices or volumes.
          score: How good a segmenter is on validation, higher is better; None if there
            is none, which only `Selection`s that do not ask for it can do without.
          test: Called with the segmenters that are to be judged, and their step.
          start_from: The folder of another fit whose chosen weights are the start.

        Returns:
          The steps that were tested.

        Raises:
          Preempted: A signal came; everything is saved.
        """
        stage = self.training.stage(len(feed), self.spec.image_size)
        steps = stage.stop
        every = max(1, steps // self.selection.looks)
        system = systems.build(self.system, self.spec)
        engine = build_engine(
            self.optimizers, self.training, system, steps, seed=self.seed
        )
        checkpoints = Checkpoints(self.folder / "checkpoints", keep=1)
        resume_step = checkpoints.latest() or 0
        meta = {**self.meta, "system": dict(self.system), "spec": self.spec.to_json()}
        looks = _Looks(
            folder=self.folder,
            selection=self.selection,
            segmenter=Segmenter(system, meta, None),
            score=score,
            test=test,
            steps=steps,
            every=every,
            until=resume_step,
        )
        writer = writers.create(self.folder, resume_step=resume_step)
        job = Run(
            engine=engine,
            stages=(stage,),
            feed=feed,
            layout=Layout.over(),
            checkpoints=checkpoints,
            writer=writer,
            sample=looks.look,
            meta=meta,
            cadence=dataclasses.replace(self.training.cadence, sample_every=every),
        )
        tested = _train(job, looks, None if resume_step else start_from)
        writer.close()
        checkpoints.close()
        return tested

    def clean_up(self) -> None:
        """Deletes what a finished fit does not need: all but the chosen weights."""
        shutil.rmtree(self.folder / "checkpoints", ignore_errors=True)


class _Looks:
    """Looks at the validation cases: scores, the best weights, an early end."""

    def __init__(
        self, *, folder, selection, segmenter, score, test, steps, every, until
    ):
        self._file, self._chosen = folder / "validation.jsonl", folder / CHOSEN
        self._selection, self._segmenter = selection, segmenter
        self._score, self._test = score, test
        self._steps, self._every = steps, every
        # What came after the checkpoint will come again.
        self._scores = {s: v for s, v in _read(self._file).items() if s <= until}

    def look(self, state: TrainState, step: int) -> bool:
        """Scores the state; True if training has gone on long enough."""
        segmenter = self._segmenter.with_state(state)
        self._scores[step] = self._score and self._score(segmenter)
        if self._score:
            _LOG.info("Step %d: validation score %.4f.", step, self._scores[step])
        if self._selection.by == "best" and self._best == step:
            self._keep(state, step)
        if self._selection.by == "mean_last" and self._is_late(step):
            self._test(segmenter, step)
        # Last: a look that a kill has cut short is not there, and is made again.
        self._write()
        return self._is_enough()

    def look_again(self, state: TrainState) -> bool:
        """Makes up for a look that a stop came before; True as `look`."""
        step = int(state.step)
        if step and step % self._every == 0 and step not in self._scores:
            return self.look(state, step)
        return self._is_enough()

    def finish(self, state: TrainState) -> list[int]:
        """Keeps the last weights if they are asked for, and tests the chosen.

        Returns:
          The steps that were tested.
        """
        step = int(state.step)
        if step not in self._scores:
            self.look(state, step)
        if self._selection.by != "best":
            self._keep(state, step)
        if self._selection.by == "mean_last":
            return [step for step in self._scores if self._is_late(step)]
        chosen = Segmenter.load(self._chosen.parent).state
        self._test(self._segmenter.with_state(chosen), int(chosen.step))
        return [int(chosen.step)]

    @property
    def _best(self):
        """The first step of those with the highest score."""
        return max(self._scores, key=lambda step: (self._scores[step], -step))

    def _is_enough(self):
        if not self._selection.patience or not self._scores:
            return False
        since = sum(step > self._best for step in self._scores)
        return since >= self._selection.patience

    def _is_late(self, step):
        return step > self._steps - self._selection.last * self._every

    def _keep(self, state, step):
        shutil.rmtree(self._chosen, ignore_errors=True)
        checkpoints = Checkpoints(self._chosen, keep=1)
        state = state.replace(opt={}, memory={})
        checkpoints.save(state, step, self._segmenter.meta)
        checkpoints.close()

    def _write(self):
        lines = (json.dumps({"step": s, "score": v}) for s, v in self._scores.items())
        with storage.writing(self._file.parent), storage.whole_file(self._file) as file:
            file.write("".join(f"{line}\n" for line in lines).encode())


def _read(path):
    if not path.exists():
        return {}
    lines = map(json.loads, path.read_text().splitlines())
    return {line["step"]: line["score"] for line in lines}


def _train(job, looks, start_from):
    """Trains to the end, unless a look before said that it is enough."""
    state = job.resume_or_init()
    if start_from:
        state = _with_weights_of(state, start_from)
    if not looks.look_again(state) and int(state.step) < job.stages[-1].stop:
        state = job.train(state)
    return looks.finish(state)


def _with_weights_of(state, folder):
    """`state` with the weights and statistics of another fit of the same network."""
    other = Segmenter.load(folder).state
    if jax.tree.map(jax.numpy.shape, other.params) != jax.tree.map(
        jax.numpy.shape, state.params
    ):
        raise UsageError(
            f"The weights in {folder} are those of another network.",
            hint="Fine-tuning keeps config.system as it was.",
        )

    def placed(new, old):
        return jax.device_put(new, old.sharding)

    return state.replace(
        params=jax.tree.map(placed, other.params, state.params),
        stats=jax.tree.map(placed, other.stats, state.stats),
    )
