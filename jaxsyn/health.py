"""Whether a training is well: what goes wrong with GANs, found and said as it does.

Looked at are a few images of label maps that are not trained on, whenever samples are
drawn, and the losses that were logged. What is found is compared with real images, so
that it depends on neither modality nor size. Losses that are no numbers end a training
wherever they occur: see `engine.watch`.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import json
import logging
from pathlib import Path
import re

import jax
from jax.experimental import multihost_utils
import numpy as np

from jaxsyn import errors
from jaxsyn.data import device
from jaxsyn.data.preprocess import dequantise
from jaxsyn.engine import processes
from jaxsyn.engine.step import Engine, TrainState
from jaxsyn.engine.system import Stage
from jaxsyn.samples import telling_slices
from jaxsyn.spec import DataSpec

_LOG = logging.getLogger(__name__)
COUNT = 8  # Images that are looked at.
LITTLE = 0.1  # Share of what is real, or of what was, below which something is gone.
NOTICEABLE = 0.05  # Noise that changed images less never did anything.
CERTAIN = 0.02  # A discriminator that loses less learns nothing more,
LINES = 20  # if that is so in as many lines of metrics.jsonl.
_JUDGED = re.compile(r"(discriminator|critics)/(.*_)?(real|fake)$")


class UnhealthyError(errors.JaxsynError):
    """A training that is not worth going on with."""


@dataclasses.dataclass(frozen=True)
class Alarm:
    """What is wrong, in plain words, and what may help."""

    what: str
    hint: str


class Health:
    """Looks at a training from time to time.

    Measured, and written among the metrics, are of a system that is given label maps:

    - `health/conditioning`: how much images of one noise differ between label maps, as
      a share of how much the real ones do;
    - `health/noise`: how much images of one label map differ between draws of noise, as
      a share of the same;
    - `health/contrast`: the standard deviation within images, as a share of that of the
      real ones;

    and of one that makes label maps:

    - `health/diversity`: in how many pixels two differ, as a share of that number for
      two real ones.
    """

    def __init__(
        self,
        engine: Engine,
        stages: Sequence[Stage],
        slices,
        spec: DataSpec,
        workdir: Path,
        writer,
        *,
        every: int,
        on_alarm: str,
    ):
        """Chooses what is looked at.

        Args:
          engine: Generates.
          stages: Of the training.
          slices: A `Cache`, `Blocks` or `Subset` to choose from.
          spec: What they mean.
          workdir: Of the training, for its metrics.jsonl.
          writer: Takes `write_scalars(step, scalars)` and `flush()`.
          every: Steps between looks; a training's end is none.
          on_alarm: `warn`, or `stop` the training.
        """
        self._makes_labels = engine.system.makes_labels
        self._stages, self._writer = stages, writer
        self._metrics, self._on_alarm = workdir / "metrics.jsonl", on_alarm
        chosen = telling_slices(slices.label, [case for case, _ in slices.rows], COUNT)
        self._label = np.asarray(slices.label[chosen])
        self._image = dequantise(np.asarray(slices.image[chosen]))
        self._every, self._last = every, None

        def generate(state, label, index, stage):
            batch = device.label_features(label, spec)
            made = engine.generate(state, batch, stage=stage, index=index)
            return engine.system.decode(made)

        self._generate = jax.jit(generate, static_argnames="stage")

    def look(self, state: TrainState, step: int) -> None:
        """Measures, where a look is due, and says what is wrong.

        Raises:
          UnhealthyError: Something is, and a training is to end then.
        """
        if step == self._last or step % self._every or len(self._label) < 2:
            return
        self._last = step
        measured = self._measure(state, step)
        alarms = None
        if processes.is_first():
            rows = [row for row in _rows(self._metrics) if row["step"] <= step]
            new = [
                row for row in rows if row["step"] < step or not {*row} & {*measured}
            ]
            alarms = [dataclasses.astuple(a) for a in find_alarms(new, measured)]
            if len(new) == len(rows):  # Not of a training that had ended before.
                self._writer.write_scalars(step, measured)
                self._writer.flush()
        for alarm in (Alarm(*a) for a in processes.of_first(alarms)):
            if self._on_alarm == "stop":
                what = f"Step {step}: {alarm.what} The training ends."
                raise UnhealthyError(what, hint=alarm.hint)
            _LOG.warning("Step %d: %s %s", step, alarm.what, alarm.hint)

    def _measure(self, state, step):
        stage = next(s for s in self._stages if step <= s.stop)

        def make(label, index):
            made = self._generate(state, label, index, stage=stage)
            made = multihost_utils.process_allgather(made, tiled=True)
            return {name: np.asarray(array) for name, array in made.items()}

        made = make(self._label, 0)
        if self._makes_labels:
            return {"health/diversity": label_diversity(made["label"], self._label)}
        images = made["image"]
        others = make(np.roll(self._label, 1, axis=0), 0)["image"]
        again = make(self._label, 1)["image"]
        return image_health(images, others, again, self._image)


def image_health(
    images: np.ndarray, others: np.ndarray, again: np.ndarray, real: np.ndarray
) -> dict[str, float]:
    """The measures of a system that is given label maps, by name; see `Health`.

    Args:
      images: Of N label maps, [N, ..., C].
      others: Each of the label map before, with the same noise.
      again: Of their own label maps, with other noise.
      real: Those of the label maps.
    """
    apart = _apart(real, np.roll(real, 1, axis=0))
    return {
        "health/conditioning": _share(_apart(images, others), apart),
        "health/noise": _share(_apart(images, again), apart),
        "health/contrast": _share(_contrast(images), _contrast(real)),
    }


def label_diversity(labels: np.ndarray, real: np.ndarray) -> float:
    """In how many pixels label maps [N, ...] differ, as a share of that of real ones.

    Each is compared with the one before.
    """
    ours, theirs = ((x != np.roll(x, 1, axis=0)).mean() for x in (labels, real))
    return _share(ours, theirs)


def find_alarms(
    rows: Sequence[Mapping[str, float]], measured: Mapping[str, float]
) -> list[Alarm]:
    """What is wrong at the step at which `measured` was.

    What images tell has to be so at two looks, one after the other: a generator that
    was never trained makes one image of all label maps.

    Args:
      rows: Earlier lines of metrics.jsonl.
      measured: What `Health` measured now.
    """
    before = [row for row in rows if any(name in row for name in measured)]
    twice = {
        name: max(value, before[-1].get(name, value)) if before else np.inf
        for name, value in measured.items()
    }
    noise = max((row.get("health/noise", 0.0) for row in before), default=0.0)
    found = [*_of_images(twice, noise), *_of_label_maps(twice)]
    if is_certain(rows):
        found.append(
            Alarm(
                "The discriminator tells synthetic from real with certainty: its loss"
                f" was below {CERTAIN} in each of the last {LINES} lines of"
                " metrics.jsonl. The generator learns little from it now.",
                "Lower config.optimizers.discriminator.learning_rate, or augment.",
            )
        )
    return found


def _of_images(twice, noise):
    """The first thing that is wrong with images; `noise` is the most there was."""
    if (share := twice.get("health/contrast", 1.0)) < LITTLE:
        yield Alarm(
            f"Images are nearly blank: their contrast is {share:.1%} of that of real"
            " ones.",
            "Lower the learning rates, or try another config.seed.",
        )
    elif (share := twice.get("health/conditioning", 1.0)) < LITTLE:
        yield Alarm(
            f"Images hardly depend on the label map: they differ by {share:.1%} of what"
            " real ones do. The generator ignores it, or has collapsed to one image.",
            "Do label maps belong to their images? If so, lower the discriminator's"
            " learning rate, or train on more patients.",
        )
    elif noise > NOTICEABLE and twice["health/noise"] < LITTLE * noise:
        yield Alarm(
            "Images of one label map have become one and the same: noise changes them"
            f" by {twice['health/noise']:.1%} of what real ones differ; it was"
            f" {noise:.1%}.",
            "An earlier checkpoint draws more different images; train for less, or on"
            " more patients.",
        )


def _of_label_maps(twice):
    """What is wrong with label maps that were made."""
    if (share := twice.get("health/diversity", 1.0)) < LITTLE:
        yield Alarm(
            f"Label maps are nearly all alike: they differ in {share:.1%} of the pixels"
            " in which real ones do. The generator has collapsed.",
            "Lower the learning rates, augment, or train on more patients.",
        )


def is_certain(rows: Sequence[Mapping[str, float]]) -> bool:
    """Whether a discriminator has long lost nothing; critics of Wasserstein never do.

    Args:
      rows: Lines of metrics.jsonl.
    """
    losses = [
        sum(row[name] for name in row if _JUDGED.match(name))
        for row in rows
        if any(map(_JUDGED.match, row)) and not any("penalty" in name for name in row)
    ]
    return len(losses) >= LINES and max(losses[-LINES:]) < CERTAIN


def _apart(images, others):
    return float(np.abs(images - others).mean())


def _contrast(images):
    return float(images.reshape(len(images), -1).std(axis=1).mean())


def _share(ours, theirs):
    """Of what is real; 1 where that is nothing, and so nothing can be said."""
    return float(ours / theirs) if theirs else 1.0


def _rows(path):
    """Lines of metrics.jsonl whose values are all numbers."""
    if not path.exists():
        return []
    rows = map(json.loads, path.read_text().splitlines())
    return [r for r in rows if all(isinstance(v, int | float) for v in r.values())]
