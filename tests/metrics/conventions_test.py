"""The table of conventions for empty masks, against what the tools return."""

import math

import pytest

from jaxsyn.errors import DataError, UsageError
from jaxsyn.metrics import conventions, measure
from jaxsyn.metrics.conventions import Measured, decide

NAN, INF, DIAGONAL, RAISES = math.nan, math.inf, 373.12866, "raises"
EMPTY = {  # Reference, prediction.
    "both": (True, True),
    "reference": (True, False),
    "prediction": (False, True),
}
# By metric, values if both masks are empty, if the reference is, if the prediction is.
# What a formula gives without any convention:
FORMULAS = {
    "dice": (NAN, 0.0, 0.0),
    "hd": (NAN, NAN, NAN),
    "hd95": (NAN, NAN, NAN),
    "assd": (NAN, NAN, NAN),
    "nsd": (NAN, 0.0, 0.0),
    "sensitivity": (NAN, NAN, 0.0),
    "recall": (NAN, NAN, 0.0),
    "precision": (NAN, 0.0, NAN),
    "relative_volume": (NAN, NAN, 100.0),
    "lesion_f1": (NAN, 0.0, 0.0),
}
NEVER = (RAISES, RAISES, RAISES)
_MEDPY = {
    "hd": NEVER,
    "hd95": NEVER,
    "assd": NEVER,
    "sensitivity": (0.0, 0.0, 0.0),
    "recall": (0.0, 0.0, 0.0),
    "precision": (0.0, 0.0, 0.0),
    "relative_volume": (RAISES, RAISES, 100.0),
}
EXPECTED = {
    # The server of BraTS 2017 to 2020: sensitivity 1 where there is rightly nothing.
    "brats": {
        "dice": (1.0, 0.0, 0.0),
        "hd": (0.0, DIAGONAL, DIAGONAL),
        "hd95": (0.0, DIAGONAL, DIAGONAL),
        "assd": (0.0, DIAGONAL, DIAGONAL),
        "nsd": (1.0, 0.0, 0.0),
        "sensitivity": (1.0, 0.0, 0.0),
        "recall": (1.0, 0.0, 0.0),
        "precision": (1.0, 0.0, 0.0),
        "relative_volume": (NAN, NAN, 100.0),
        "lesion_f1": (1.0, 0.0, 0.0),
    },
    # MedPy 0.4.0, from its documentation; it has no NSD and no lesions.
    "medpy04": _MEDPY
    | {"dice": (0.0, 0.0, 0.0), "nsd": (0.0, 0.0, 0.0), "lesion_f1": (0.0, 0.0, 0.0)},
    # MedPy 0.5.2 with NumPy 2.2, run on such masks.
    "medpy05": _MEDPY
    | {"dice": (1.0, 0.0, 0.0), "nsd": (1.0, 0.0, 0.0), "lesion_f1": (1.0, 0.0, 0.0)},
    # MONAI 1.6.1, run on such masks; it has no relative volume and no lesions.
    "monai": FORMULAS
    | {
        "dice": (NAN, NAN, 0.0),
        "hd": (NAN, INF, INF),
        "assd": (NAN, INF, INF),
    },
    "nan": FORMULAS,
    "raise": {
        name: tuple(RAISES if math.isnan(value) else value for value in values)
        for name, values in FORMULAS.items()
    },
}


@pytest.mark.parametrize("convention", EXPECTED)
def test_empty_masks_count_for_what_the_convention_says(convention):
    for metric, expected in EXPECTED[convention].items():
        for state, formula, value in zip(
            EMPTY, FORMULAS[metric], expected, strict=True
        ):
            measured = Measured(formula, *EMPTY[state])
            where = f"{metric}, {state}"

            def apply(metric=metric, measured=measured):
                return decide(
                    convention, metric, measured, diagonal_mm=DIAGONAL, where="of WT"
                )

            if value == RAISES:
                with pytest.raises(DataError, match=f"{metric} of WT is undefined"):
                    apply()
                continue
            found, decided = apply()
            assert found == pytest.approx(value, nan_ok=True), where
            assert decided or value == formula, where
            assert decided >= math.isnan(formula), where


@pytest.mark.parametrize(
    ("convention", "right", "wrong"),
    [("brats", 1, 0), ("medpy05", 0, 0), ("monai", NAN, NAN), ("nan", NAN, NAN)],
)
def test_specificity_where_nothing_is_outside(convention, right, wrong):
    # What is not marked counts as the masks: nothing in both, nothing in the reference.
    for value, prediction_empty in ((right, True), (wrong, False)):
        measured = Measured(NAN, True, prediction_empty)
        found, decided = decide(
            convention, "specificity", measured, diagonal_mm=1.0, where=""
        )
        assert found == pytest.approx(value, nan_ok=True) and decided


def test_masks_with_voxels_are_left_to_the_formula():
    for convention in conventions.CONVENTIONS:
        for metric in measure.ALL:
            measured = Measured(0.25, False, False)
            assert decide(
                convention, metric, measured, diagonal_mm=1.0, where="of WT"
            ) == (0.25, False)


def test_every_convention_has_a_rule_for_every_metric():
    assert set(EXPECTED) == set(conventions.CONVENTIONS)
    for rules in conventions.CONVENTIONS.values():
        assert set(rules) == set(measure.ALL)
    with pytest.raises(UsageError, match="No convention 'zero'.*\n.*brats, medpy04"):
        conventions.rules("zero")
