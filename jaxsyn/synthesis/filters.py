"""Which of the label maps that a generator made are not worth keeping.

A filter is given what was made: "label", indices [N, ...] of slices or volumes and,
for `ScoreFilter`, "score" [N]. What it rejects depends on each item alone, not on the
others it is given with. Filters that know anatomy are in `anatomy`.
"""

from collections.abc import Iterator, Mapping, Sequence
import dataclasses
from typing import Any, Protocol

from absl import logging
from jaxtyping import Bool, Float, Float32, Int, Shaped
import numpy as np

from jaxsyn.errors import DataError, UsageError

Made = Mapping[str, np.ndarray]
_CHUNK = 64  # Label maps looked at together: decides memory alone.


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Verdict:
    """What one filter says.

    Attributes:
      reason: Why it rejects what it rejects.
      keep: True for what it lets pass.
    """

    reason: str
    keep: Bool[np.ndarray, " n"]


class Filter(Protocol):
    """Anything that judges what was made."""

    def __call__(self, made: Made) -> Verdict:
        """Judges N items."""


def sift(filters: Sequence[Filter], made: Made) -> list[str]:
    """For each item the reason of the first filter that rejects it, or ""."""
    reasons = [""] * len(made["label"])
    for judge in filters:
        verdict = judge(made)
        for i in np.flatnonzero(~verdict.keep):
            reasons[i] = reasons[i] or verdict.reason
    return reasons


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class ZScoreFilter:
    """Rejects label maps that are, as a whole, too far from the real ones.

    Foroozandeh and Eklund 2020, https://arxiv.org/abs/2009.05946: each pixel's index
    is standardised by the mean and standard deviation of that pixel in the real maps
    (where all of those are equal it does not count), and the Euclidean norm over
    pixels is compared with a threshold.

    The root mean square norm of the real maps is the square root of the number of
    pixels that count, at most 256 for 256x256: the threshold must grow with the side
    of the image. The paper chose 500 by looking at histograms.

    Attributes:
      mean: Of each pixel.
      std: Of each pixel; 0 where it does not count.
      threshold: The largest norm that is kept.
    """

    mean: Float[np.ndarray, "..."]
    std: Float[np.ndarray, "..."]
    threshold: float = 500.0

    @classmethod
    def fit(
        cls, real: Shaped[np.ndarray, "n ..."], threshold: float = 500.0
    ) -> "ZScoreFilter":
        """Takes mean and standard deviation of real label maps.

        Raises:
          DataError: There are none.
        """
        if not len(real):
            raise DataError(
                "There are no real label maps to compare with.",
                hint="Fit the filter to the training part.",
            )
        total, squares = (np.zeros(real.shape[1:], np.int64) for _ in range(2))
        for some in _chunks(real):
            total += some.sum(axis=0)
            squares += np.square(some).sum(axis=0)
        # Of whole numbers, so that it is exactly 0 where all maps are equal.
        variance = (squares * len(real) - total**2) / len(real) ** 2
        return cls(mean=total / len(real), std=np.sqrt(variance), threshold=threshold)

    def norms(self, labels: Shaped[np.ndarray, "n ..."]) -> Float32[np.ndarray, " n"]:
        """How far each label map is from the real ones."""
        counts = self.std > 0
        squares = [
            np.square((some - self.mean)[:, counts] / self.std[counts]).sum(axis=1)
            for some in _chunks(labels)
        ]
        return np.sqrt(np.concatenate(squares)).astype(np.float32)

    def __call__(self, made: Made) -> Verdict:
        """Judges N items, and logs a histogram of their norms."""
        norms = self.norms(made["label"])
        logging.info("Norms of z-scores:\n%s", histogram(norms, self.threshold))
        return Verdict(reason="z-score", keep=norms <= self.threshold)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoreFilter:
    """Rejects what the discriminator finds the least real.

    Attributes:
      threshold: The lowest score that is kept.
    """

    threshold: float

    @classmethod
    def fit(cls, scores: Float[np.ndarray, " n"], reject: float) -> "ScoreFilter":
        """Sets the threshold so that about a share `reject` of these is rejected.

        Raises:
          UsageError: The share is not in [0, 1).
        """
        if not 0 <= reject < 1:
            raise UsageError(
                f"The share to reject is {reject}.", hint="It must be in [0, 1)."
            )
        return cls(threshold=float(np.quantile(scores, reject, method="higher")))

    def __call__(self, made: Made) -> Verdict:
        """Judges N items."""
        keep = np.asarray(made["score"]) >= self.threshold
        return Verdict(reason="discriminator", keep=keep)


def histogram(values: Float[np.ndarray, " n"], threshold: float, bins: int = 12) -> str:
    """A histogram in text, a line a bin, and how many values are rejected."""
    counts, edges = np.histogram(values, bins)
    lines = [
        f"{low:8.1f} to {high:8.1f} {count:7d} {'#' * round(40 * count / max(counts))}"
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    rejected = np.count_nonzero(values > threshold)
    return "\n".join([*lines, f"{rejected} of {len(values)} are above {threshold:g}."])


def _chunks(labels: Any) -> Iterator[Int[np.ndarray, "n ..."]]:
    for start in range(0, len(labels), _CHUNK):
        yield np.asarray(labels[start : start + _CHUNK]).astype(np.int64)
