"""The feature space in which an audit also compares images."""

from collections.abc import Callable
import dataclasses
from pathlib import Path

from jaxtyping import Float
import numpy as np

from jaxsyn.errors import UsageError
from jaxsyn.evaluate.audit_sets import Slices, Synthetic, of_images
from jaxsyn.evaluate.features import RememberingInception
from jaxsyn.evaluate.segmenter import Segmenter
from jaxsyn.metrics import nearest, quality
from jaxsyn.metrics.orientations import Orientations

_CHUNK = 256  # Images at a time.


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Features:
    """From images to features.

    Attributes:
      method: What they are.
      extract: Of images [N, H, W, C].
    """

    method: str
    extract: Callable[[np.ndarray], Float[np.ndarray, "n d"]]

    @classmethod
    def of(cls, name: str, segmenter: str, memory: Path, images: Synthetic):
        """The space that a configuration asks for; see `audit.AuditConfig`.

        Args:
          name: `auto`, `inception`, `unet` or `orientations`.
          segmenter: Of the U-Net.
          memory: Where Inception's features are kept.
          images: What is audited; label maps have only orientations.

        Raises:
          UsageError: There are no weights of Inception, or there are label maps alone.
        """
        labels = images.view is not of_images
        if labels and name in ("unet", "inception"):
            raise UsageError(
                f"config.features={name!r} is of images; these are label maps.",
                hint="Leave config.features at 'auto'.",
            )
        if not labels and (name == "unet" or (name == "auto" and segmenter)):
            method = "the mean over pixels of the bridge of the judge's U-Net"
            return cls(method=method, extract=Segmenter.load(segmenter).features)
        inception = None
        if not labels and name in ("auto", "inception"):
            inception = quality.default_extractor()
        if inception:
            remembering = RememberingInception(weights=inception.weights, folder=memory)
            method = f"{inception.method}, of the mean over modalities"
            return cls(
                method=method,
                extract=lambda x: remembering(x.mean(axis=-1, keepdims=True)),
            )
        if name == "inception":
            raise UsageError(
                "config.features='inception', and its weights have not been obtained.",
                hint="python -m jaxsyn.metrics.inception --get",
            )
        return cls(method=Orientations.method, extract=Orientations())

    def distances(
        self, synthetic: Synthetic, members: Slices, unseen: Slices
    ) -> dict[str, np.ndarray]:
        """To the nearest training slice, mirrored or not.

        Returns:
          "features" of the synthetic and "real_features" of the unseen images.
        """
        references = self._of(members)
        sets = {
            "features": (synthetic, synthetic.own),
            "real_features": (unseen, np.full(len(unseen), -1)),
        }
        return {
            name: nearest.nearest_features(
                np.stack([self._of(images), self._of(images, mirrored=True)], axis=1),
                references,
                members.patients,
                own,
            )
            for name, (images, own) in sets.items()
        }

    def _of(self, images, *, mirrored=False):
        found = []
        for start in range(0, len(images), _CHUNK):
            some = images[np.arange(start, min(start + _CHUNK, len(images)))]
            some = some[:, :, ::-1] if mirrored else some
            found.append(np.asarray(self.extract(some), np.float32))
        return np.concatenate(found)
