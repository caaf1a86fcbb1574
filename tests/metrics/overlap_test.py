"""Counts and ratios by hand."""

import math

import numpy as np
import pytest

from jaxsyn.errors import DataError
from jaxsyn.metrics import overlap
from jaxsyn.metrics.overlap import Counts

PREDICTION = np.array([[1, 1, 0, 0], [1, 0, 0, 0]], bool)
REFERENCE = np.array([[0, 1, 1, 0], [1, 1, 1, 0]], bool)


def test_counts_by_hand():
    counts = overlap.count(PREDICTION, REFERENCE)
    assert counts == Counts(tp=2, fp=1, fn=3, tn=2)
    assert counts.dice == 4 / 8
    assert counts.sensitivity == counts.recall == 2 / 5
    assert counts.specificity == 2 / 3
    assert counts.precision == 2 / 3
    assert counts.relative_volume == 40.0  # 3 voxels instead of 5.


def test_a_volume_counts_as_its_slices_together():
    rng = np.random.default_rng(0)
    prediction, reference = rng.random((2, 3, 4, 5)) < 0.4
    slices = [overlap.count(*pair) for pair in zip(prediction, reference, strict=True)]
    assert slices[0] + slices[1] + slices[2] == overlap.count(prediction, reference)


def test_the_complement_exchanges_what_is_marked():
    counts = overlap.count(PREDICTION, REFERENCE)
    assert counts.complement == overlap.count(~PREDICTION, ~REFERENCE)


def test_ratios_of_nothing_are_undefined():
    empty = np.zeros((3, 3), bool)
    nothing = overlap.count(empty, empty)
    for name in ("dice", "sensitivity", "recall", "precision", "relative_volume"):
        assert math.isnan(getattr(nothing, name)), name
    assert nothing.specificity == 1.0
    assert math.isnan(overlap.count(~empty, ~empty).specificity)
    assert math.isnan(overlap.count(~empty, empty).relative_volume)
    assert overlap.count(empty, ~empty).dice == 0.0


@pytest.mark.parametrize(
    ("prediction", "reference", "message"),
    [
        (PREDICTION, REFERENCE[:, :3], r"shape \(2, 4\).*shape \(2, 3\)"),
        (PREDICTION[0], REFERENCE[0], "2 or 3 axes"),
        (PREDICTION.astype(np.uint8), REFERENCE, "type uint8 and bool"),
        (PREDICTION, REFERENCE.astype(np.float32), "reference has values of type flo"),
    ],
)
def test_what_is_no_pair_of_masks_is_refused(prediction, reference, message):
    with pytest.raises(DataError, match=message):
        overlap.count(prediction, reference)
