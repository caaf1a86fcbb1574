"""What a metric is where its formula says nothing: masks without a voxel.

Tools disagree, and with them papers: a table of segmentation results is only
comparable with another under the same convention. The conventions:

  brats: An empty prediction of an empty reference is perfect, any other empty mask
    is as wrong as can be: a distance is then the diagonal of the image, 373.12866 mm
    for 240 x 240 x 155 mm. As the BraTS challenges from 2017 on ranked.
  medpy04, medpy05: What MedPy 0.4.0 and 0.5 return; they differ in the Dice of two
    empty masks. Where MedPy raises, a DataError is raised. (With NumPy 2.2; with
    NumPy 2.4 the ratios that MedPy 0.5.2 makes of nothing are NaN.)
  monai: What MONAI 1.6 returns by default. Its Dice is undefined without a reference,
    whatever was predicted, so that false positives there go unpunished.
  nan: Undefined stays NaN, and does not enter means.
  raise: Undefined is a DataError.
"""

from collections.abc import Mapping
import dataclasses
import math

from jaxsyn.errors import DataError, UsageError

# An outcome is a number, or one of these.
FORMULA = "formula"  # The formula has a value, which stands.
DIAGONAL = "diagonal"  # The length of the image's diagonal, in mm.
RAISE = "raise"  # A DataError.
Outcome = float | str
NAN, INF = math.nan, math.inf


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a metric is if a mask, or the set of its lesions, is empty.

    Attributes:
      both: If both are.
      reference: If the reference alone is.
      prediction: If the prediction alone is.
    """

    both: Outcome
    reference: Outcome = FORMULA
    prediction: Outcome = FORMULA


def _rules(
    overlap: Outcome,
    distance: Rule,
    ratio: tuple[Outcome, Outcome],
    volume: Outcome,
    **exceptions: Rule,
) -> Mapping[str, Rule]:
    """A convention's rules by metric.

    Args:
      overlap: Dice and its like, if both are empty; else their formulas give 0.
      distance: Distances between surfaces.
      ratio: Sensitivity, precision and specificity where they are 0/0: if both masks
        are empty, and if one is. For specificity: if what is *not* marked is empty.
      volume: The relative volume error where the reference is empty.
      **exceptions: Metrics that have a rule of their own.
    """
    of_reference = Rule(ratio[0], reference=ratio[1])
    rules = {
        "dice": Rule(overlap),
        "sensitivity": of_reference,
        "recall": of_reference,
        "specificity": of_reference,
        "precision": Rule(ratio[0], prediction=ratio[1]),
        "relative_volume": Rule(volume, reference=volume),
        "hd": distance,
        "hd95": distance,
        "assd": distance,
        "nsd": Rule(overlap),
        "lesion_f1": Rule(overlap),
    }
    return rules | exceptions


_NEVER = Rule(RAISE, RAISE, RAISE)
CONVENTIONS: Mapping[str, Mapping[str, Rule]] = {
    # name          overlap  distance                        ratio           volume
    "brats": _rules(1.0, Rule(0.0, DIAGONAL, DIAGONAL), (1.0, 0.0), NAN),
    "medpy04": _rules(0.0, _NEVER, (0.0, 0.0), RAISE),
    "medpy05": _rules(1.0, _NEVER, (0.0, 0.0), RAISE),
    "monai": _rules(
        NAN,
        Rule(NAN, INF, INF),
        (NAN, NAN),
        NAN,
        dice=Rule(NAN, reference=NAN),
        hd95=Rule(NAN, NAN, NAN),
    ),
    "nan": _rules(NAN, Rule(NAN, NAN, NAN), (NAN, NAN), NAN),
    "raise": _rules(RAISE, _NEVER, (RAISE, RAISE), RAISE),
}


def rules(convention: str) -> Mapping[str, Rule]:
    """The rules of a convention by metric; UsageError lists those there are."""
    if convention not in CONVENTIONS:
        raise UsageError(
            f"No convention {convention!r} for empty masks.",
            hint=f"There are: {', '.join(CONVENTIONS)}.",
        )
    return CONVENTIONS[convention]


@dataclasses.dataclass(frozen=True)
class Measured:
    """What a formula gives, and what it was given.

    Attributes:
      value: The formula's, NaN where it has none.
      reference_empty: Whether the metric sees the reference as empty.
      prediction_empty: Whether it sees the prediction so.
    """

    value: float
    reference_empty: bool
    prediction_empty: bool


def decide(
    convention: str, metric: str, measured: Measured, *, diagonal_mm: float, where: str
) -> tuple[float, bool]:
    """Applies a convention to a metric of one mask.

    Args:
      convention: A name of `CONVENTIONS`.
      metric: A name of its rules.
      measured: What was found.
      diagonal_mm: The diagonal of the image.
      where: Named in errors: the region and the case.

    Returns:
      The value that holds, and whether the convention decided it.

    Raises:
      DataError: That is what the convention does here.
    """
    outcome = _outcome(rules(convention)[metric], measured)
    if outcome == FORMULA:
        return measured.value, False
    if outcome == RAISE:
        raise DataError(
            f"{metric} {where} is undefined: a mask is empty, and the convention"
            f" {convention!r} refuses that.",
            hint="Choose a convention that says what it is: nan, or brats.",
        )
    return (diagonal_mm if outcome == DIAGONAL else float(outcome)), True


def _outcome(rule, measured):
    if measured.reference_empty and measured.prediction_empty:
        return rule.both
    if measured.reference_empty:
        return rule.reference
    return rule.prediction if measured.prediction_empty else FORMULA
