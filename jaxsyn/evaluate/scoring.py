"""A segmenter's segmentations of a prepared set's cases, against their label maps."""

import numpy as np

from jaxsyn.data.blocks import Blocks
from jaxsyn.data.prepared import PreparedSet
from jaxsyn.data.preprocess import dequantise
from jaxsyn.evaluate.segmenter import Segmenter
from jaxsyn.metrics.segmentation import SegmentationMetrics
from jaxsyn.metrics.segmentation_table import Unit
from jaxsyn.spec import DataSpec


def judged(
    segmenter: Segmenter, prepared: PreparedSet, part: str, measure: SegmentationMetrics
) -> list[Unit]:
    """Segments the cases of a part and compares them with their label maps.

    Args:
      segmenter: Whose segmentation.
      prepared: The set.
      part: `validation` or `test`.
      measure: What is measured.

    Returns:
      Units for `measure.table`.
    """
    cache = prepared.cache(part)
    known = segmentable(segmenter.spec)
    rows: dict[str, list[int]] = {}
    for i, (case, _) in enumerate(cache.rows):
        rows.setdefault(case, []).append(i)
    units = []
    for case, places in rows.items():
        images = dequantise(np.asarray(cache.image[places]))
        # Where slices were left out, in between or around, both are background.
        index = np.array([cache.rows[i][1] for i in places])
        extent = (index.max() + 1, *images.shape[1:3])
        prediction, reference = (np.zeros(extent, np.uint8) for _ in range(2))
        prediction[index] = segmenter.segment(images)
        reference[index] = known[np.asarray(cache.label[places])]
        spacing = prepared.cases[case].spacing_mm
        units += measure.case(prediction, reference, spacing=spacing, name=case)
    return units


def mean_dice(
    segmenter: Segmenter, prepared: PreparedSet, dice: SegmentationMetrics
) -> float:
    """The validation score: mean Dice of all regions and cases where it is defined."""
    values = [
        value
        for unit in judged(segmenter, prepared, "validation", dice)
        for region in unit.values.values()
        for value in region.values()
        if not np.isnan(value)
    ]
    return float(np.mean(values)) if values else 0.0


def mean_loss(segmenter: Segmenter, prepared: PreparedSet, batch_size: int) -> float:
    """The training's loss of the test part, the mean over batches by their size."""
    slices = prepared.cache("test")
    if segmenter.depth:
        slices = Blocks(slices, segmenter.depth)
    starts = range(batch_size, len(slices), batch_size)
    batches = np.split(np.arange(len(slices)), starts)
    losses = [
        segmenter.loss(
            dequantise(np.asarray(slices.image[rows])), np.asarray(slices.label[rows])
        )
        for rows in batches
    ]
    return float(np.average(losses, weights=[*map(len, batches)]))


def segmentable(spec: DataSpec) -> np.ndarray:
    """For each label of a map the one to be found: what stands for its class."""
    return np.array([spec.classes[place] for place in spec.class_of_label], np.uint8)
