"""Brain images of tumour labels and tissue maps, with pix2pix.

Shin et al. 2018, https://arxiv.org/abs/1807.10225. There is no public code. Paper 002
compares itself with this method; what it leaves open is read as follows: beside the
labels, images are made of probability maps of white matter, grey matter and fluid.
"""

import dataclasses
import functools
import logging

import jax
import jax.numpy as jnp
import numpy as np

from jaxsyn.errors import UsageError
from jaxsyn.systems import _pix2pix

TISSUES = ("csf", "grey", "white")
BRAIN = "brain"
GIVEN = "tissue"  # The name under which a batch may bring tissue maps.
_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shin(_pix2pix.Pix2PixGan):
    """pix2pix on one-hot labels beside a probability map of each tissue.

    The maps are `batch["tissue"]`, [B, H, W, tissues] in [0, 1], where it is given
    (`Generator.generate(..., extra={"tissue": maps})`). Else they are made of the
    label map: its one-hot maps, smoothed, and divided by their sum within the brain.
    Labels that are tissues are not given as one-hot maps besides.

    The options that are not listed are those of `Pix2Pix`.

    Attributes:
      tissues: Names of the tissue maps, in order. None stands for `csf`, `grey` and
        `white` if these are labels, else for `brain`, the label of all that is not
        lesion. If a name is no label, every batch has to bring the maps.
      tissue_sigma: Standard deviation of the Gaussian that smooths them, in pixels; 0
        leaves them hard.
    """

    tissues: tuple[str, ...] = ()
    tissue_sigma: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        if not self.tissues and self.tissue_names == (BRAIN,):
            _LOG.info("No tissue labels: the brain's counts as the only tissue.")

    @functools.cached_property
    def tissue_names(self) -> tuple[str, ...]:
        """Names of the tissue maps that there are; UsageError if there are none."""
        if self.tissues:
            return self.tissues
        for names in (TISSUES, (BRAIN,)):
            if set(names) <= set(self.spec.label_names):
                return names
        raise UsageError(
            f"None of the labels {', '.join(self.spec.label_names)} is a tissue.",
            hint="Name the maps by config.system.tissues, and give them as"
            ' extra={"tissue": ...}.',
        )

    def condition(self, batch):
        """One-hot maps of the labels that are no tissues, then the tissue maps."""
        names = self.spec.label_names
        kept = [i for i, name in enumerate(names) if name not in self.tissue_names]
        return jnp.concatenate(
            [batch["one_hot"][..., np.array(kept)], self.tissue_maps(batch)], axis=-1
        )

    def tissue_maps(self, batch) -> jax.Array:
        """The probability of each tissue, [B, H, W, tissues], in [0, 1].

        Raises:
          UsageError: A tissue is no label, and its map is not given; or as many maps
            as there are tissues are expected, and others are given.
        """
        if GIVEN in batch:
            return self._check_given(batch[GIVEN])
        if missing := set(self.tissue_names) - set(self.spec.label_names):
            raise UsageError(
                f"Tissue maps cannot be made: no label {', '.join(sorted(missing))}.",
                hint='Give the maps as batch["tissue"], or to Generator.generate as'
                ' extra={"tissue": ...}.',
            )
        outside, inside = jnp.split(batch["one_hot"], [1], axis=-1)
        weights = smooth(inside, self.tissue_sigma)
        # At least 1 inside, by the pixel's own label.
        total = jnp.maximum(weights.sum(-1)[..., None], 1.0)
        within = self.spec.label_names[1:]
        chosen = np.array([within.index(name) for name in self.tissue_names])
        return weights[..., chosen] / total * (1.0 - outside)

    def _check_given(self, maps):
        if maps.shape[-1] != len(self.tissue_names):
            raise UsageError(
                f"Tissue maps have the shape {maps.shape}.",
                hint=f"The last axis must be {', '.join(self.tissue_names)}.",
            )
        return maps


def smooth(maps: jax.Array, sigma: float) -> jax.Array:
    """Sums maps [B, H, W, L] under a Gaussian of height 1 and deviation `sigma`, in px.

    The image's rim is left out of the sums. Sigma 0 gives the maps back.
    """
    if not sigma:
        return maps

    def kernel(side):
        distance = np.subtract.outer(np.arange(side), np.arange(side))
        return jnp.asarray(np.exp(-((distance / sigma) ** 2) / 2), maps.dtype)

    _, height, width, _ = maps.shape
    return jnp.einsum("yh,bhwl,xw->byxl", kernel(height), maps, kernel(width))
