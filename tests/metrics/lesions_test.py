"""Lesions on drawings."""

import math

import numpy as np
import pytest

from jaxsyn.errors import UsageError
from jaxsyn.metrics.lesions import LesionCounts, LesionSettings, count_lesions

# Prediction: p, reference: r, both: b. From the left: a lesion of which 2 of 4 pixels
# are found, and below it a false one; one of which 1 of 2 is found; one that is missed;
# and another false one.
DRAWING = """
.bb.......p
.rr.b.....p
.p..r..r...
"""


def masks(drawing):
    rows = np.array([list(row) for row in drawing.split()])
    return np.isin(rows, ["p", "b"]), np.isin(rows, ["r", "b"])


def counted(drawing, spacing=(1.0, 1.0), **settings):
    return count_lesions(
        *masks(drawing), spacing=spacing, settings=LesionSettings(**settings)
    )


def test_any_overlap_finds_a_lesion():
    found = counted(DRAWING)
    assert found == LesionCounts(reference=3, prediction=4, found=2, false=2)
    assert found.f1 == 2 * 2 / (2 * 2 + 1 + 2)


def test_an_iou_is_asked_of_each_pair():
    # Of both lesions that are found at all, the IoU is a half.
    assert counted(DRAWING, min_iou=0.5).found == 2
    assert counted(DRAWING, min_iou=0.51) == LesionCounts(
        reference=3, prediction=4, found=0, false=4
    )


def test_one_prediction_may_find_several_lesions_and_the_reverse():
    several = counted("rb.bb")
    assert several == LesionCounts(reference=2, prediction=2, found=2, false=0)
    joined = counted("rbpbr")
    assert joined == LesionCounts(reference=2, prediction=1, found=2, false=0)
    split = counted("brrrb")
    assert split == LesionCounts(reference=1, prediction=2, found=1, false=0)
    assert joined.f1 == split.f1 == 1.0


def test_small_lesions_are_left_out_by_volume():
    # Of 3 mm2 a pixel, 6 mm2 are two: single pixels go, also the one predicted right.
    found = counted(DRAWING, spacing=(2.0, 1.5), min_volume_mm3=6.0)
    assert found == LesionCounts(reference=2, prediction=2, found=1, false=1)
    assert counted(DRAWING, spacing=(2.0, 1.5), min_volume_mm3=6.1) == LesionCounts(
        reference=1, prediction=0, found=0, false=0
    )


def test_a_prediction_where_only_a_small_lesion_was_is_false():
    found = counted("pbp", min_volume_mm3=2.0)
    assert found == LesionCounts(reference=0, prediction=1, found=0, false=1)
    assert found.f1 == 0.0


def test_corners_join_unless_told_otherwise():
    diagonal = "b..\n.b.\n"
    assert counted(diagonal).reference == 1
    assert counted(diagonal, connectivity=1).reference == 2
    cube = np.zeros((2, 2, 2), bool)
    cube[0, 0, 0] = cube[1, 1, 1] = True
    for connectivity, expected in ((3, 1), (2, 2)):
        found = count_lesions(
            cube,
            cube,
            spacing=(1.0, 1.0, 1.0),
            settings=LesionSettings(connectivity=connectivity),
        )
        assert found.reference == found.found == expected


def test_no_lesions_at_all_are_undefined():
    nothing = counted("...\n...\n")
    assert nothing == LesionCounts(reference=0, prediction=0, found=0, false=0)
    assert math.isnan(nothing.f1)
    assert counted("r..\n...\n").f1 == 0.0


@pytest.mark.parametrize(
    "settings", [{"min_iou": 1.1}, {"min_volume_mm3": -1.0}, {"connectivity": 0}]
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(UsageError, match="makes no sense"):
        LesionSettings(**settings)
