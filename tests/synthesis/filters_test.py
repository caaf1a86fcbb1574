"""Filters of label maps, by numbers computed by hand."""

import dataclasses
import math

import numpy as np
import pytest

from fixtures import brats_spec, label_maps
from jaxsyn.errors import DataError, UsageError
from jaxsyn.synthesis.anatomy import ConnectedBrain, LesionInside
from jaxsyn.synthesis.filters import ScoreFilter, ZScoreFilter, histogram, sift

# Pixels with means 2, 1, 0 and standard deviations 2, 1, 0.
REAL = np.array([[[0, 0, 0]], [[4, 2, 0]]], np.uint8)
SPEC = brats_spec()
BRAIN = SPEC.label_index("brain")


def test_z_scores_are_of_each_pixel():
    found = ZScoreFilter.fit(REAL)
    np.testing.assert_array_equal(found.mean, [[2, 1, 0]])
    np.testing.assert_array_equal(found.std, [[2, 1, 0]])
    # z = (-1, 3, nothing) and (0, 0, nothing).
    norms = found.norms(np.array([[[0, 4, 7]], [[2, 1, 0]]], np.uint8))
    np.testing.assert_allclose(norms, [math.sqrt(10), 0])


def test_real_maps_have_the_norm_the_docstring_says():
    real = label_maps(100)
    found = ZScoreFilter.fit(real)
    counted = np.count_nonzero(found.std)
    assert 0 < counted < found.std.size or (real[0] != real).any(axis=0).all()
    mean_square = np.square(found.norms(real)).mean()
    assert mean_square == pytest.approx(counted, rel=1e-5)


def test_what_is_above_the_threshold_is_rejected():
    labels = np.array([[[0, 4, 0]], [[2, 1, 0]], [[4, 3, 0]]], np.uint8)
    found = ZScoreFilter.fit(REAL, threshold=2.5)
    verdict = found({"label": labels})
    assert verdict.reason == "z-score"
    np.testing.assert_array_equal(verdict.keep, [False, True, True])
    # sqrt(1 + 4) = 2.236 lies in between.
    verdict = dataclasses.replace(found, threshold=2.2)({"label": labels})
    np.testing.assert_array_equal(verdict.keep, [False, True, False])


def test_z_scores_need_real_maps():
    with pytest.raises(DataError, match="no real label maps"):
        ZScoreFilter.fit(REAL[:0])


def test_a_histogram_counts_values_and_what_is_rejected():
    lines = histogram(np.array([0.0, 1.0, 1.0, 4.0]), 3.5, bins=2).splitlines()
    assert [line.split()[3] for line in lines[:2]] == ["3", "1"]
    assert lines[0].count("#") == 40 and lines[1].count("#") == 13
    assert lines[2] == "1 of 4 are above 3.5."


def test_scores_below_the_share_to_reject_go():
    scores = np.arange(10.0)
    chosen = ScoreFilter.fit(scores, reject=0.3)
    verdict = chosen({"label": None, "score": scores})
    np.testing.assert_array_equal(np.flatnonzero(~verdict.keep), [0, 1, 2])
    assert verdict.reason == "discriminator"
    assert ScoreFilter.fit(scores, reject=0.0).threshold == 0.0
    with pytest.raises(UsageError, match="share to reject is 1"):
        ScoreFilter.fit(scores, reject=1.0)


def pieces(*sizes):
    """A row of brain in pieces of these sizes."""
    row = [BRAIN * (i < size) for size in sizes for i in range(size + 1)]
    return np.array([[row]], np.uint8)


def test_the_brain_is_one_piece():
    whole = ConnectedBrain.of_spec(SPEC)
    assert whole.brain == (1, 2, 3, 4)
    for sizes, keep in (((98, 2), True), ((97, 3), False), ((5,), True), ((0,), False)):
        verdict = whole({"label": pieces(*sizes)})
        assert verdict.keep.tolist() == [keep], sizes
    assert verdict.reason == "brain in pieces"
    corner = BRAIN * np.eye(5, dtype=np.uint8)[None]
    assert whole({"label": corner}).keep.tolist() == [True]


def test_a_lesion_lies_in_the_brain():
    inside = LesionInside.of_spec(SPEC, ("necrotic", "oedema"), ("brain",))
    label = np.zeros((5, 9, 9), np.uint8)
    label[:, :, :5] = BRAIN
    label[0, 4, 2] = 1  # Deep in the brain: 8 of 8 pixels around it are brain.
    label[1, 4, 4] = 1  # At its surface: 5 of 8.
    label[2, 4, 5] = 1  # On its surface: 3 of 8.
    label[3, 4, 2] = label[3, 4, 7] = 2  # One inside, and another outside.
    verdict = inside({"label": label})  # In the last there is none.
    np.testing.assert_array_equal(verdict.keep, [True, True, False, False, True])
    assert verdict.reason == "lesion outside"
    kept = dataclasses.replace(inside, share=3 / 8)({"label": label}).keep
    np.testing.assert_array_equal(kept, [True, True, True, False, True])


def test_a_volume_is_looked_at_as_one():
    label = np.full((1, 5, 5, 5), BRAIN, np.uint8)
    label[0, 2, 2, 2] = 1
    assert LesionInside(lesions=(1,), brain=(BRAIN,))({"label": label}).keep.all()
    label[0, 3] = 0
    assert not ConnectedBrain.of_spec(SPEC)({"label": label}).keep.all()


def test_an_unknown_label_is_named():
    with pytest.raises(UsageError, match="No label 'cyst'"):
        LesionInside.of_spec(SPEC, ("cyst",), ("brain",))


def test_the_first_filter_that_rejects_gives_the_reason():
    made = {
        "label": np.concatenate([pieces(5, 5), pieces(5, 5), pieces(11)[..., :12]]),
        "score": np.array([0.0, 2.0, 2.0]),
    }
    filters = (ScoreFilter(threshold=1.0), ConnectedBrain.of_spec(SPEC))
    assert sift(filters, made) == ["discriminator", "brain in pieces", ""]
    assert sift((), made) == ["", "", ""]
