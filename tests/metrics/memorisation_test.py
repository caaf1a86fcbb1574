import numpy as np
import pytest

from jaxsyn.errors import UsageError
from jaxsyn.metrics import memorisation
from jaxsyn.metrics.memorisation import CANNOT_TELL, FAILS, PASSES, SUSPICIOUS
from jaxsyn.metrics.statistics import Interval

GUESS = Interval(mean=0.5, low=0.4, high=0.6, count=40)


def test_a_threshold_is_of_patients_not_of_slices():
    patients = np.repeat(np.arange(40), 2)
    values = np.stack([np.arange(40) / 40, np.ones(40)], axis=1).ravel()
    # Two of the forty (5 %) may be nearer; 0.05 · 39 is 1.95: the lower one is 1.
    assert memorisation.threshold(values, patients) == 1 / 40
    assert memorisation.threshold(values[6:], patients[6:]) == 4 / 40
    assert memorisation.threshold(values[-6:], patients[-6:]) == 37 / 40


def test_false_positives_are_those_of_a_patient_left_out():
    values = np.array([0.1, 0.9, 0.5, 0.6, 0.7, 0.8])
    patients = np.array([0, 0, 1, 1, 2, 2])
    # Only patient 0 has a slice, of two, below the least of the others.
    found = memorisation.false_positive_rate(values, patients)
    np.testing.assert_allclose(found, 0.5 / 3)
    assert np.isnan(memorisation.false_positive_rate(values[:2], patients[:2]))


def test_someone_under_two_names_is_no_stranger():
    values = np.array([0.8, 0.9, 0.3, 0.9, 0.7, 0.8])
    patients = np.array([4, 4, 5, 5, 6, 6])
    found = memorisation.strangers(values, patients)
    assert found.tolist() == [True, True, False, False, True, True]


def test_the_auc_by_hand():
    members, others = np.array([1.0, 4.0, 2.0]), np.array([2.0, 3.0])
    auc = memorisation.membership_auc(
        members, np.array([0, 0, 1]), others, np.array([0, 0])
    )
    # Patient 0: 1 wins both, 4 none; patient 1: 2 ties with 2 and wins against 3.
    np.testing.assert_allclose(auc.mean, (0.5 + 0.75) / 2)
    assert np.isnan(auc.low) and auc.count == 3


def test_the_interval_is_of_patients():
    patients = np.repeat(np.arange(8), 50)
    # Slices of a patient are all alike: 50 of them tell no more than one.
    ours, theirs = (np.repeat(np.arange(8.0) * 2 + odd, 50) for odd in (0, 1))
    many = memorisation.membership_auc(ours, patients, theirs, patients)
    one = memorisation.membership_auc(
        ours[::50], patients[::50], theirs[::50], patients[::50]
    )
    assert many == one and many.high - many.low > 0.3
    assert many.mean == 36 / 64 and many.low < many.mean < many.high
    far = memorisation.membership_auc(ours - 99, patients, theirs, patients)
    assert (far.mean, far.low, far.high) == (1.0, 1.0, 1.0)


def test_an_auc_of_nobody():
    with pytest.raises(UsageError, match="0 training and 1 other"):
        memorisation.membership_auc(*[np.zeros(0)] * 2, *[np.zeros(1)] * 2)


def test_authentic_is_further_than_the_nearest_has_its_own():
    found = memorisation.authentic(np.array([0.1, 0.4]), np.array([0.3, 0.3]))
    assert found.tolist() == [False, True]


def decide(flagged=0, copies=0, count=100, auc=GUESS, held_out=20, **others):
    places = np.arange(count)
    given = {"groups": places, "false_positives": 0.01, "members": 50}
    return memorisation.judge(
        flagged=places < flagged,
        copies=places < copies,
        auc=auc,
        held_out=held_out,
        **given | others,
    )


@pytest.mark.parametrize(
    ("given", "word", "reason"),
    [
        ({}, PASSES, "flagged images is 0.000, 95 % interval 0.000 to 0.000"),
        ({"flagged": 2}, PASSES, "flagged images is 0.020"),
        ({"flagged": 6}, SUSPICIOUS, "of unseen patients it would be 0.010"),
        ({"flagged": 30}, FAILS, "surely above 0.05"),
        ({"flagged": 1, "copies": 1}, FAILS, "1 of 100 images are copies"),
        (
            {"auc": Interval(mean=0.6, low=0.55, high=0.65, count=40)},
            SUSPICIOUS,
            "surely above 0.5",
        ),
        (
            {"auc": Interval(mean=0.8, low=0.7, high=0.9, count=40)},
            FAILS,
            "AUC of 0.800, 95 % interval 0.700 to 0.900, surely above 0.6",
        ),
        ({"held_out": 5}, CANNOT_TELL, "only 5 unseen patients"),
        ({"held_out": 5, "copies": 9}, CANNOT_TELL, "only 5 unseen patients"),
        ({"members": 3}, CANNOT_TELL, "only 3 training patients"),
        ({"groups": np.zeros(100, int)}, CANNOT_TELL, "1 groups of synthetic"),
    ],
)
def test_what_decides(given, word, reason):
    verdict = decide(**given)
    assert verdict.word == word
    assert reason in " ".join(verdict.reasons)


def test_slices_of_one_case_count_as_one():
    # All ten of one group in ten are a tenth, and no more certain.
    groups = np.repeat(np.arange(10), 10)
    verdict = decide(flagged=10, groups=groups)
    assert verdict.flagged.count == 10 and verdict.flagged.low < 0.05
    assert verdict.word != FAILS
