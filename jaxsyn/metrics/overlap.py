"""Voxels counted right and wrong, and the ratios made of them."""

import dataclasses
import math

import numpy as np

from jaxsyn.metrics import masks


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counts:
    """How a prediction and a reference divide voxels: the confusion matrix of one mask.

    Counts of several cases add up (`+`), which pools their voxels. Every ratio is
    NaN where it is 0/0; `jaxsyn.metrics.conventions` says what to make of that.

    Attributes:
      tp: Voxels in both.
      fp: Voxels in the prediction alone.
      fn: Voxels in the reference alone.
      tn: Voxels in neither.
    """

    tp: int
    fp: int
    fn: int
    tn: int

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            tp=self.tp + other.tp,
            fp=self.fp + other.fp,
            fn=self.fn + other.fn,
            tn=self.tn + other.tn,
        )

    @property
    def complement(self) -> "Counts":
        """The counts of the two masks' complements."""
        return Counts(tp=self.tn, fp=self.fn, fn=self.fp, tn=self.tp)

    @property
    def dice(self) -> float:
        """2 TP / (2 TP + FP + FN), in [0, 1] (Dice 1945, doi:10.2307/1932409)."""
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def sensitivity(self) -> float:
        """TP / (TP + FN), in [0, 1]; undefined if the reference is empty."""
        return ratio(self.tp, self.tp + self.fn)

    recall = sensitivity

    @property
    def specificity(self) -> float:
        """TN / (TN + FP), in [0, 1]; undefined if the reference is everything."""
        return self.complement.sensitivity

    @property
    def precision(self) -> float:
        """TP / (TP + FP), in [0, 1]; undefined if the prediction is empty."""
        return ratio(self.tp, self.tp + self.fp)

    @property
    def relative_volume(self) -> float:
        """The volume error as a share of the reference's volume, in %, from 0 up.

        100 |Vp - Vr| / Vr, undefined if the reference is empty. It says nothing about
        where the volumes are.
        """
        return ratio(100 * abs(self.fp - self.fn), self.tp + self.fn)


def count(prediction: np.ndarray, reference: np.ndarray) -> Counts:
    """Counts the voxels of two boolean masks [H, W] or [X, Y, Z].

    Raises:
      DataError: They are not boolean masks of one shape.
    """
    masks.check_masks(prediction, reference)
    tp = np.count_nonzero(prediction & reference)
    fp = np.count_nonzero(prediction) - tp
    fn = np.count_nonzero(reference) - tp
    tn = reference.size - tp - fp - fn
    return Counts(tp=int(tp), fp=int(fp), fn=int(fn), tn=int(tn))


def ratio(part: float, whole: float) -> float:
    """`part / whole`, NaN for 0/0."""
    return part / whole if whole else math.nan
