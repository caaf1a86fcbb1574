"""The filters of a synthesis job, and an account of what they reject."""

from collections import Counter
from collections.abc import Mapping, Sequence
import dataclasses

from jaxtyping import Int
import numpy as np

from jaxsyn.errors import UsageError
from jaxsyn.spec import DataSpec
from jaxsyn.synthesis import filters
from jaxsyn.synthesis.anatomy import ConnectedBrain, LesionInside
from jaxsyn.synthesis.generator import Generator

_SCORED = 256  # Label maps drawn to learn what scores there are.
_SHOWN = 40  # Rejected examples that are kept.


@dataclasses.dataclass(frozen=True, kw_only=True)
class FilterSettings:
    """What generated label maps have to pass; by default, everything passes.

    Attributes:
      z_score: Largest norm of `filters.ZScoreFilter`, whose threshold grows with the
        image's side: 500 in paper 001 at 256 px. 0 leaves it out.
      reject_scores: Share, in [0, 1), of what the discriminator finds the least real.
      connected: Share of the brain that its largest piece must hold; 0 leaves it out.
      inside: Share of the pixels around each lesion that must be brain; 0 leaves it
        out.
      lesions: Names of the labels that are lesions, for `inside`.
      brain: Names of the labels around them, for `inside`.
    """

    z_score: float = 0.0
    reject_scores: float = 0.0
    connected: float = 0.0
    inside: float = 0.0
    lesions: Sequence[str] = ()
    brain: Sequence[str] = ()

    @property
    def active(self) -> bool:
        """Whether there is any filter."""
        return any([self.z_score, self.reject_scores, self.connected, self.inside])

    def build(
        self, spec: DataSpec, real: Int[np.ndarray, "n h w"], generator: Generator
    ) -> "Sieve":
        """The filters, fitted.

        Args:
          spec: What labels mean.
          real: Label maps to compare with.
          generator: Whose label maps are judged.

        Raises:
          UsageError: A label is unknown, or names are missing.
        """
        chosen: list[filters.Filter] = []
        if self.z_score:
            chosen.append(filters.ZScoreFilter.fit(real, self.z_score))
        if self.reject_scores:
            scores = generator.sample(_SCORED)["score"]
            chosen.append(filters.ScoreFilter.fit(scores, self.reject_scores))
        if self.connected:
            chosen.append(ConnectedBrain.of_spec(spec, self.connected))
        if self.inside:
            if not self.lesions or not self.brain:
                raise UsageError(
                    "config.filters.inside needs to know which labels are what.",
                    hint="Name them: config.filters.lesions, config.filters.brain.",
                )
            chosen.append(
                LesionInside.of_spec(spec, self.lesions, self.brain, self.inside)
            )
        return Sieve(chosen)


class Sieve:
    """Lets label maps pass or not, and remembers.

    Attributes:
      judged: How many label maps were looked at.
      rejected: How many of them were rejected, by reason.
      examples: Some of these, [H, W] each, with their reasons.
    """

    def __init__(self, chosen: Sequence[filters.Filter]):
        """Applies filters one after another; the first that rejects is the reason."""
        self._filters = tuple(chosen)
        self.judged, self.rejected = 0, Counter()
        self.examples: list[tuple[np.ndarray, str]] = []

    def passes(self, made: Mapping[str, np.ndarray]) -> np.ndarray:
        """Indices of what passes, of "label" [N, H, W] with "score" [N]."""
        reasons = filters.sift(self._filters, made)
        self.judged += len(reasons)
        for label, reason in zip(made["label"], reasons, strict=True):
            if reason:
                self.rejected[reason] += 1
                if len(self.examples) < _SHOWN:
                    self.examples.append((label, reason))
        return np.flatnonzero([not reason for reason in reasons])

    def report(self) -> str:
        """What was rejected and why, in a line."""
        total = self.rejected.total()
        reasons = ", ".join(f"{n} {why}" for why, n in self.rejected.most_common())
        return (
            f"Filters: {total} of {self.judged} label maps were rejected"
            f"{f' ({reasons})' if reasons else ''}."
        )
