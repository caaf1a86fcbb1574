"""Filters of label maps by what anatomy allows; see `filters`."""

from collections.abc import Sequence
import dataclasses

import numpy as np
from scipy import ndimage

from jaxsyn.spec import DataSpec
from jaxsyn.synthesis.filters import Made, Verdict


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConnectedBrain:
    """Rejects label maps whose brain, lesions included, is absent or in pieces.

    Pixels that share a corner are connected. Through the temporal poles or the
    cerebellum real slices are in pieces too: see what is rejected of them first.

    Attributes:
      brain: Indices of the labels that make up the brain, those of lesions included.
      share: Of the brain's pixels that its largest piece must hold.
    """

    brain: tuple[int, ...]
    share: float = 0.98

    @classmethod
    def of_spec(cls, spec: DataSpec, share: float = 0.98) -> "ConnectedBrain":
        """Takes all labels but the background."""
        return cls(brain=tuple(range(1, len(spec.labels))), share=share)

    def __call__(self, made: Made) -> Verdict:
        """Judges N items."""
        keep = np.array([self._is_whole(label) for label in made["label"]], bool)
        return Verdict(reason="brain in pieces", keep=keep)

    def _is_whole(self, label):
        sizes = np.bincount(_pieces(np.isin(label, self.brain)).ravel())[1:]
        return sizes.size > 0 and sizes.max() >= self.share * sizes.sum()


@dataclasses.dataclass(frozen=True, kw_only=True)
class LesionInside:
    """Rejects label maps in which a lesion lies outside the brain.

    Of the pixels around each connected lesion a certain share must be brain. Around a
    lesion at the surface some are background, around one beside the brain nearly all.

    Attributes:
      lesions: Indices of their labels, which are looked at as one.
      brain: Indices of the labels around them.
      share: Of the pixels around a lesion that must be brain.
    """

    lesions: tuple[int, ...]
    brain: tuple[int, ...]
    share: float = 0.5

    @classmethod
    def of_spec(
        cls,
        spec: DataSpec,
        lesions: Sequence[str],
        brain: Sequence[str],
        share: float = 0.5,
    ) -> "LesionInside":
        """Finds labels by their names; UsageError lists those there are."""
        return cls(
            lesions=tuple(map(spec.label_index, lesions)),
            brain=tuple(map(spec.label_index, brain)),
            share=share,
        )

    def __call__(self, made: Made) -> Verdict:
        """Judges N items."""
        keep = np.array([self._is_inside(label) for label in made["label"]], bool)
        return Verdict(reason="lesion outside", keep=keep)

    def _is_inside(self, label):
        lesions = _pieces(np.isin(label, self.lesions))
        nearby = ndimage.grey_dilation(lesions, size=(3,) * label.ndim)
        # For each pixel around a lesion its number.
        around = np.where(lesions == 0, nearby, 0).ravel()
        brain = np.isin(label, self.brain).ravel()
        pixels = np.bincount(around)[1:]
        return bool(np.all(np.bincount(around, brain)[1:] >= self.share * pixels))


def _pieces(mask):
    """Numbers of connected pieces, from 1; 0 where the mask is False."""
    return ndimage.label(mask, np.ones((3,) * mask.ndim))[0]
