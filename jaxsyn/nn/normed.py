"""A convolution with the norm after it, as pix2pix and its descendants choose it."""

from collections.abc import Callable

from flax import linen as nn
from jaxtyping import Array, Float

from jaxsyn import settings
from jaxsyn.nn.norm import BatchNorm, instance_norm

KINDS = ("batch", "instance", "none")


class Normed(nn.Module):
    """Applies a layer and normalises what it gives.

    Attributes:
      layer: Makes the layer of `use_bias` and `name`. It has a bias unless the norm
        has a shift; in front of an instance norm the bias is without effect, and only
        there because the published networks have it.
      norm: `batch`, with a learned scale and shift; `instance`, with none; or `none`.
    """

    layer: Callable[..., nn.Module]
    norm: str = "batch"

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], *, train: bool
    ) -> Float[Array, "b h2 w2 d"]:
        """Returns the normalised output.

        Args:
          x: The layer's input.
          train: Whether batch norms use, and keep, the batch's statistics.

        Raises:
          UsageError: There is no such norm.
        """
        if self.norm not in KINDS:
            raise settings.unknown(f"norm={self.norm!r}", self.norm, list(KINDS))
        x = self.layer(use_bias=self.norm != "batch", name="conv")(x)
        if self.norm == "batch":
            return BatchNorm(affine=True, name="norm")(x, train=train)
        return instance_norm(x) if self.norm == "instance" else x
