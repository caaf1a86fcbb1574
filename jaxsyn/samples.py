"""Grids of samples: the same label maps, drawn again as training goes on."""

from collections.abc import Sequence
from pathlib import Path

import jax
from jax.experimental import multihost_utils
import numpy as np

from jaxsyn import pictures
from jaxsyn.data import device
from jaxsyn.data.preprocess import dequantise
from jaxsyn.engine import processes
from jaxsyn.engine.step import Engine, TrainState
from jaxsyn.engine.system import Stage
from jaxsyn.spec import DataSpec

ROWS = 6


class Samples:
    """Draws grids of what a system makes, beside what is real.

    Of a system that is given label maps: unseen ones, their boundaries, the images made
    of them, and the real ones. Of one that makes label maps: those, with their images
    if it makes them too, and real ones; volumes are cut along all axes.

    Attributes:
      folder: Where the pictures go.
    """

    def __init__(
        self,
        engine: Engine,
        stages: Sequence[Stage],
        slices,
        spec: DataSpec,
        folder: Path,
        writer,
    ):
        """Chooses what is drawn.

        Args:
          engine: Generates.
          stages: Of the training.
          slices: A `Cache`, `Blocks` or `Subset` to choose from.
          spec: What they mean.
          folder: Where the pictures go.
          writer: Takes `write_images(step, images)`.
        """
        self.folder, self._writer = folder, writer
        self._spec, self._stages = spec, stages
        labels = slices.label
        cases = [case for case, _ in slices.rows]
        chosen = telling_slices(labels, cases, ROWS)
        self._label = np.asarray(labels[chosen])
        self._real = dequantise(np.asarray(slices.image[chosen]))

        def generate(state, label, stage):
            batch = device.label_features(label, spec)
            made = engine.generate(state, batch, stage=stage)
            return {"boundary": batch["boundary"], **engine.system.decode(made)}

        self._generate = jax.jit(generate, static_argnames="stage")

    def draw(self, state: TrainState, step: int) -> Path:
        """Writes the grid of `step` and returns its path.

        Of several processes all make the images, and the first writes them.
        """
        stage = next(s for s in self._stages if step <= s.stop)
        made = self._generate(state, self._label, stage=stage)
        made = multihost_utils.process_allgather(made, tiled=True)
        path = self.folder / f"step_{step:07d}.png"
        if processes.is_first():
            made |= {"real image": self._real, "real label": self._label}
            volumes = made["boundary"].ndim == 5
            columns = self._cuts(made) if volumes else self._columns(made)
            self._save(columns, step, path)
        return path

    def _cuts(self, made):
        """Of label volumes, synthetic and real, cuts along all axes."""
        columns = {}
        for what, labels in (("synthetic", made["label"]), ("real", self._label)):
            size = labels.shape[-1]
            cuts = [
                pictures.cuts(
                    label, pictures.busiest(self._lesion(label)), size, fill=0
                )
                for label in np.asarray(labels)
            ]
            for place, axis in enumerate(("axial", "coronal", "sagittal")):
                shown = self._labels([cut[place] for cut in cuts])
                columns[f"{what}, {axis}"] = shown
        return columns

    def _lesion(self, label):
        """Where lesions are; where there are none, all that has a label."""
        lesion = np.isin(label, [index for index in self._spec.classes if index])
        return lesion if lesion.any() else label > 0

    def _save(self, columns, step, path):
        rows = zip(*columns.values(), strict=True)
        sheet = pictures.grid([*map(list, rows)], [*columns])
        self._writer.write_images(step, {"samples": np.asarray(sheet)[None]})
        pictures.save(sheet, path)

    def _columns(self, made):
        """Pictures by caption."""
        real = self._images("real", made["real image"])
        labels = {"labels": self._labels(made["real label"])}
        if "label" in made:
            synthetic = {"synthetic labels": self._labels(made["label"])}
            truth = {"real labels": labels["labels"]}
            if "image" not in made:
                return {**synthetic, **truth}
            synthetic |= self._images("synthetic", made["image"])
            return {**synthetic, **truth, **real}
        outline = [pictures.grey(2.0 * b[..., 0] - 1.0) for b in made["boundary"]]
        synthetic = self._images("synthetic", made["image"])
        return {**labels, "boundary": outline, **synthetic, **real}

    def _labels(self, maps):
        return [pictures.colour_labels(label, self._spec.labels) for label in maps]

    def _images(self, what, images):
        return {
            f"{what} {name}": [pictures.grey(image[..., c]) for image in images]
            for c, name in enumerate(self._spec.modalities)
        }


def telling_slices(labels: np.ndarray, cases: list[str], count: int) -> np.ndarray:
    """Picks slices that show much: many classes, large lesions, different cases.

    Args:
      labels: Label maps or volumes of them, [N, ...].
      cases: The case of each.
      count: How many to pick; all, if there are fewer.

    Returns:
      Their indices in rising order.
    """
    scores = []
    for i in range(len(cases)):
        areas = np.bincount(labels[[i]].ravel(), minlength=2)[1:]
        present = areas[areas > 0]
        # Slices with all classes first; among them those with the largest lesion.
        rest = present.sum() - present.max() if present.size else 0
        scores.append((len(present), int(rest), -i))
    ranked = sorted(range(len(labels)), key=lambda i: scores[i], reverse=True)
    turns: dict[str, int] = {}
    order = []
    for i in ranked:  # Every case's best slice before any case's second.
        turns[cases[i]] = turns.get(cases[i], -1) + 1
        order.append((turns[cases[i]], len(order), i))
    return np.sort(np.array([i for *_, i in sorted(order)[:count]]))
