"""The U-Net, in 2D and 3D, as the papers' evaluators vary it.

Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597
"""

from collections.abc import Sequence

from flax import linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxsyn.errors import UsageError
from jaxsyn.nn import resample
from jaxsyn.nn.conv import Conv, ConvTranspose
from jaxsyn.nn.norm import BatchNorm


class UNet(nn.Module):
    """Convolutions at halving sizes, then at doubling ones beside what went before.

    Attributes:
      classes: Of the label map.
      widths: Channels of each level; the last is the bridge.
      bridge_convs: Convolutions in the bridge; every other level has two on each side.
      up_kernel: Side of the transposed convolutions' windows.
      norms: Which convolutions batch norms follow: `all`, or `up`, the transposed.
      transitions: Whether levels are joined by batch norm, ReLU and a convolution of
        stride 2, as in paper 003, instead of by pooling.
      use_bias: Whether convolutions that a norm follows have biases.
      dropout: Share of channels' pixels zeroed after each level's convolutions.
      kernel_init: How kernels start.
    """

    classes: int
    widths: Sequence[int] = (64, 128, 256, 512, 1024)
    bridge_convs: int = 2
    up_kernel: int = 2
    norms: str = "all"
    transitions: bool = False
    use_bias: bool = True
    dropout: float = 0.0
    kernel_init: str = "he"

    @nn.compact
    def __call__(
        self, x: Float[Array, "b *size c"], *, train: bool
    ) -> Float[Array, "b *size classes"]:
        """Returns logits.

        Args:
          x: Images [B, H, W, C] or volumes [B, D, H, W, C].
          train: Whether batch norms use the batch's statistics, and dropout is on.

        Raises:
          UsageError: A side cannot be halved as often as there are levels.
        """
        *levels, bridge = self.widths
        self._check_sides(x.shape[1:-1], len(levels))
        skips = []
        for i, width in enumerate(levels):
            x = self._convs(x, width, 2, f"down_{i}", train)
            skips.append(x)
            x = self._halve(x, f"halve_{i}", train)
        x = self._convs(x, bridge, self.bridge_convs, "bridge", train)
        self.sow("intermediates", "bridge", x)  # What `fd_unet` compares.
        for i, width in reversed(list(enumerate(levels))):
            x = jnp.concatenate([skips[i], self._double(x, width, i, train)], axis=-1)
            x = self._convs(x, width, 2, f"up_{i}", train)
        return Conv(self.classes, 1, kernel_init=self.kernel_init, name="classes")(x)

    def _convs(self, x, width, count, name, train):
        follow = self.norms == "all"
        for i in range(count):
            conv = Conv(
                width,
                use_bias=self.use_bias or not follow,
                kernel_init=self.kernel_init,
                name=f"{name}_conv_{i}",
            )
            x = conv(x)
            if follow:
                x = BatchNorm(affine=True, name=f"{name}_norm_{i}")(x, train=train)
            x = nn.relu(x)
        drop = nn.Dropout(self.dropout, rng_collection="noise")
        return drop(x, deterministic=not train) if self.dropout else x

    def _halve(self, x, name, train):
        if not self.transitions:
            return resample.max_pool_half(x)
        x = nn.relu(BatchNorm(affine=True, name=f"{name}_norm")(x, train=train))
        conv = Conv(x.shape[-1], stride=2, kernel_init=self.kernel_init, name=name)
        return conv(x)

    def _double(self, x, width, level, train):
        grow = ConvTranspose(
            width, self.up_kernel, kernel_init=self.kernel_init, name=f"double_{level}"
        )
        norm = BatchNorm(affine=True, name=f"double_{level}_norm")
        if self.transitions:
            return grow(nn.relu(norm(x, train=train)))
        return nn.relu(norm(grow(x), train=train))

    def _check_sides(self, sides, halvings):
        if any(side % 2**halvings for side in sides):
            raise UsageError(
                f"Images of {'x'.join(map(str, sides))} cannot be halved"
                f" {halvings} times.",
                hint=f"Choose sides that are multiples of {2**halvings}, or give the"
                " U-Net fewer widths.",
            )
