"""Grids of samples: the same label maps, drawn again as training goes on."""

from pathlib import Path

import jax
import numpy as np

from jaxsyn import pictures
from jaxsyn.data import device
from jaxsyn.data.prepared import PreparedSet
from jaxsyn.data.preprocess import dequantise
from jaxsyn.engine.step import Engine, TrainState
from jaxsyn.engine.system import Stage

ROWS = 6


class Samples:
    """Draws grids of unseen label maps: map, boundary, synthetic and real images.

    Attributes:
      folder: Where the pictures go.
    """

    def __init__(
        self, engine: Engine, stage: Stage, prepared: PreparedSet, folder: Path, writer
    ):
        """Chooses the slices: of validation patients, if there are any."""
        self.folder, self._writer = folder, writer
        self._spec, self._stage = prepared.spec, stage
        parts = [p for p in ("validation", "test", "train") if prepared.counts.get(p)]
        cache = prepared.cache(parts[0])
        chosen = telling_slices(cache.label, [case for case, _ in cache.rows], ROWS)
        self._label = np.asarray(cache.label[chosen])
        self._real = dequantise(np.asarray(cache.image[chosen]))

        def generate(state, label):
            batch = device.label_features(label, self._spec)
            return batch["boundary"], engine.generate(state, batch, stage=stage)

        self._generate = jax.jit(generate)

    def draw(self, state: TrainState, step: int) -> Path:
        """Writes the grid of `step` and returns its path."""
        boundary, synthetic = jax.device_get(self._generate(state, self._label))
        rows = [
            [
                pictures.colour_labels(label, self._spec.labels),
                pictures.grey(2.0 * outline[..., 0] - 1.0),
                *(pictures.grey(image[..., c]) for c in range(image.shape[-1])),
                *(pictures.grey(real[..., c]) for c in range(real.shape[-1])),
            ]
            for label, outline, image, real in zip(
                self._label, boundary, synthetic, self._real, strict=True
            )
        ]
        names = self._spec.modalities
        captions = ["labels", "boundary"]
        captions += [f"synthetic {name}" for name in names]
        captions += [f"real {name}" for name in names]
        sheet = pictures.grid(rows, captions)
        self._writer.write_images(step, {"samples": np.asarray(sheet)[None]})
        return pictures.save(sheet, self.folder / f"step_{step:07d}.png")


def telling_slices(labels: np.ndarray, cases: list[str], count: int) -> np.ndarray:
    """Picks slices that show much: many classes, large lesions, different cases.

    Args:
      labels: Label maps [N, H, W].
      cases: The case of each.
      count: How many to pick; all, if there are fewer.

    Returns:
      Their indices in rising order.
    """
    scores = []
    for i, label in enumerate(labels):
        areas = np.bincount(label.ravel(), minlength=2)[1:]
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
