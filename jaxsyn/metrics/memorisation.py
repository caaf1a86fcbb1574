"""Whether a generator repeats the patients it was trained on: numbers and a verdict.

What synthetic images are compared with is how near real images of patients that the
generator has never seen come to its training images: those cannot be remembered.
Slices of a patient resemble each other, so patients are the units throughout.
"""

from collections.abc import Sequence
import dataclasses

from jaxtyping import Bool, Float, Int
import numpy as np

from jaxsyn.errors import UsageError
from jaxsyn.metrics.statistics import FEWEST_UNITS, Interval, interval

ALPHA = 0.05
COPY = 0.5  # A match at less than this share of the threshold is called a copy.
TOLD_APART = 0.6  # An AUC surely above it is no small matter.
PASSES, SUSPICIOUS = "passes", "suspicious"
FAILS, CANNOT_TELL = "fails", "cannot tell"
_RESAMPLES = 2000

Values = Float[np.ndarray, " n"]
Units = Int[np.ndarray, " n"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """What an audit comes to.

    Attributes:
      word: `passes`, `suspicious`, `fails` or `cannot tell`.
      reasons: The numbers that decided, in words.
      flagged: Share of images nearer than the threshold: mean over groups of images,
        and its interval.
      copies: Images at less than `COPY` of it.
    """

    word: str
    reasons: tuple[str, ...]
    flagged: Interval
    copies: int


def threshold(values: Values, patients: Units, level: float = ALPHA) -> float:
    """Below what few patients lie even with the nearest of their slices.

    The quantile, the lower one, of each patient's least value. A new patient of that
    kind has any slice below it with a probability of about `level`, or 1 / (n + 1) if
    that is more; a slice of theirs is below it no more often.

    Args:
      values: Of slices, as of `nearest.Matches.ratio`.
      patients: Whose each is.
      level: Share of patients.
    """
    least = [values[patients == patient].min() for patient in np.unique(patients)]
    return float(np.quantile(least, level, method="lower"))


def strangers(values: Values, patients: Units) -> Bool[np.ndarray, " n"]:
    """Which slices are of patients who are none of the training patients.

    A patient whose nearest slice is less than `COPY` as far as that of the median
    patient is taken for one of them under another name, as of a second visit.

    Args:
      values: As of `threshold`.
      patients: Whose each is.
    """
    every, places = np.unique(patients, return_inverse=True)
    least = np.array([values[patients == patient].min() for patient in every])
    return (least >= COPY * np.median(least))[places]


def false_positive_rate(values: Values, patients: Units) -> float:
    """Share of real slices below the threshold that all other patients set.

    The mean over patients; NaN of fewer than two.
    """
    shares = [
        (values[patients == one] < threshold(*_without(values, patients, one))).mean()
        for one in np.unique(patients)
        if (patients != one).any()
    ]
    return float(np.mean(shares)) if shares else float("nan")


def membership_auc(
    members: Values,
    member_patients: Units,
    others: Values,
    other_patients: Units,
    *,
    seed: int = 0,
) -> Interval:
    """How well training patients are told by how near synthetic images come to them.

    The probability that a slice of a training patient is nearer to its nearest
    synthetic image than one of another patient, patients counting equally, ties half:
    0.5 is a guess, 1 certainty. Its 95 % interval is the percentile bootstrap's over
    patients of both kinds; fewer than `FEWEST_UNITS` of either have none.

    Chen et al. 2020, https://arxiv.org/abs/1909.03935, attack by this distance.

    Args:
      members: Distances of training slices.
      member_patients: Whose each is.
      others: Of slices that were not trained on.
      other_patients: Whose.
      seed: Of the bootstrap.

    Raises:
      UsageError: There is none of one kind.
    """
    if not len(members) or not len(others):
        raise UsageError(
            f"{len(members)} training and {len(others)} other slices cannot be told"
            " apart.",
            hint="Give some of both.",
        )
    ours = [members[member_patients == p] for p in np.unique(member_patients)]
    theirs = [others[other_patients == p] for p in np.unique(other_patients)]
    wins = np.array([[_share_below(a, b) for b in theirs] for a in ours])
    mean, count = float(wins.mean()), sum(wins.shape)
    if min(wins.shape) < FEWEST_UNITS:
        nothing = float("nan")
        return Interval(mean=mean, low=nothing, high=nothing, count=count)
    rng, (n, m) = np.random.default_rng(seed), wins.shape
    draws = [
        wins[rng.integers(n, size=n)][:, rng.integers(m, size=m)].mean()
        for _ in range(_RESAMPLES)
    ]
    low, high = np.quantile(draws, (0.025, 0.975)).tolist()
    return Interval(mean=mean, low=low, high=high, count=count)


def authentic(distances: Values, neighbours: Values) -> Bool[np.ndarray, " n"]:
    """Which images are no variants of training images.

    Alaa et al. 2022, https://arxiv.org/abs/2102.08921: an image is authentic if it is
    further from its nearest training image than that one is from its own nearest. As
    slices of a patient resemble each other, that is sought among other patients.

    Args:
      distances: Of each image to its nearest training image.
      neighbours: Of that to the nearest training image of another patient.
    """
    return distances > neighbours


def judge(
    *,
    flagged: Bool[np.ndarray, " n"],
    copies: Bool[np.ndarray, " n"],
    groups: Units,
    false_positives: float,
    auc: Interval,
    held_out: int,
    members: int,
) -> Verdict:
    """Decides; every number that does is in the reasons.

    It fails if there is a copy, if surely more than `ALPHA` of the images are flagged,
    or if the AUC is surely above `TOLD_APART`; it is suspicious if surely more are
    flagged than of real images, or the AUC is surely above 0.5. Surely means: by the
    lower end of a 95 % interval.

    Args:
      flagged: Images nearer than the threshold.
      copies: Images much nearer, at less than `COPY` of it.
      groups: Of images that resemble each other; each by itself if none do.
      false_positives: As `false_positive_rate` gives it.
      auc: As `membership_auc` gives it.
      held_out: Real patients behind the threshold.
      members: Training patients.
    """
    shares = [flagged[groups == group].mean() for group in np.unique(groups)]
    share = interval(shares)
    found = {"flagged": share, "copies": int(copies.sum())}
    if found["copies"]:
        reason = (
            f"{found['copies']} of {len(copies)} images are copies: less than half as"
            " far from a training patient as the nearest of unseen patients."
        )
        if held_out >= FEWEST_UNITS:
            return Verdict(word=FAILS, reasons=(reason,), **found)
    lacking = {"unseen patients": held_out, "training patients": members}
    lacking |= {"groups of synthetic images": share.count}
    if few := [f"{n} {what}" for what, n in lacking.items() if n < FEWEST_UNITS]:
        reason = f"There are only {', '.join(few)}; {FEWEST_UNITS} are the fewest."
        return Verdict(word=CANNOT_TELL, reasons=(reason,), **found)
    images = f"The share of flagged images is {in_words(share)}"
    attack = f"Training patients are told from others with an AUC of {in_words(auc)}"
    fails = {
        f"{images}; surely above {ALPHA}": share.low > ALPHA,
        f"{attack}, surely above {TOLD_APART}": auc.low > TOLD_APART,
    }
    hints = {
        f"{images}; of unseen patients it would be {false_positives:.3f}": share.low
        > false_positives,
        f"{attack}, surely above 0.5": auc.low > 0.5,
    }
    for word, rules in ((FAILS, fails), (SUSPICIOUS, hints)):
        if reasons := tuple(reason for reason, holds in rules.items() if holds):
            return Verdict(word=word, reasons=reasons, **found)
    return Verdict(word=PASSES, reasons=(images, attack), **found)


def in_words(found: Interval) -> str:
    """A mean and its interval, or that there is none."""
    if np.isnan(found.low):
        return f"{found.mean:.3f}, too few for an interval"
    return f"{found.mean:.3f}, 95 % interval {found.low:.3f} to {found.high:.3f}"


def _without(values: Values, patients: Units, one: int) -> Sequence[np.ndarray]:
    others = patients != one
    return values[others], patients[others]


def _share_below(a, b):
    """Of all pairs, how often a's is lower; ties count half."""
    b = np.sort(b)
    above = len(b) - np.searchsorted(b, a, side="right")
    ties = len(b) - np.searchsorted(b, a, side="left") - above
    return (above + ties / 2).mean() / len(b)
