"""pix2pix's U-Net: strided 4x4 convolutions down to the bottleneck and back.

Isola et al. 2017, https://arxiv.org/abs/1611.07004, section 6.1
"""

from flax import linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxsyn.errors import UsageError
from jaxsyn.nn.conv import Conv, ConvTranspose
from jaxsyn.nn.norm import BatchNorm

WIDEST = 8  # Channels of the widest levels, in units of the first's.


class Pix2PixUNet(nn.Module):
    """Encoder and decoder with a skip between each two levels of one size.

    Attributes:
      out_channels: Of the output, which no activation bounds.
      ngf: Channels of the first level; they double up to eight times as many.
      num_downs: Levels; an image's sides are multiples of 2 to this power.
      kernel_init: How kernels start.
    """

    out_channels: int
    ngf: int = 64
    num_downs: int = 8
    kernel_init: str = "normal"

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], *, train: bool
    ) -> Float[Array, "b h w o"]:
        """Maps images to images of the same size.

        Args:
          x: [B, H, W, C].
          train: Whether batch norms use the batch's statistics.

        Raises:
          UsageError: A side cannot be halved as often as there are levels.
        """
        if any(side % 2**self.num_downs for side in x.shape[1:-1]):
            raise UsageError(
                f"Images of {'x'.join(map(str, x.shape[1:-1]))} cannot be halved"
                f" {self.num_downs} times.",
                hint=f"Choose sides that are multiples of {2**self.num_downs}, or fewer"
                " num_downs.",
            )
        widths = [self.ngf * min(2**i, WIDEST) for i in range(self.num_downs)]
        skips, last = [], self.num_downs - 1
        for i, width in enumerate(widths):
            x = self._conv(width, i)(nn.leaky_relu(x, 0.2) if i else x)
            if 0 < i < last:
                x = BatchNorm(affine=True, name=f"down_{i}_norm")(x, train=train)
            skips.append(x)
        x = skips.pop()
        self.sow("intermediates", "bridge", x)  # What `fd_unet` compares.
        for i in range(last, 0, -1):
            grow = ConvTranspose(
                widths[i - 1],
                4,
                use_bias=False,
                kernel_init=self.kernel_init,
                name=f"up_{i}",
            )
            x = BatchNorm(affine=True, name=f"up_{i}_norm")(
                grow(nn.relu(x)), train=train
            )
            x = jnp.concatenate([skips.pop(), x], axis=-1)
        grow = ConvTranspose(
            self.out_channels, 4, kernel_init=self.kernel_init, name="up_0"
        )
        return grow(nn.relu(x))

    def _conv(self, width, i):
        return Conv(
            width,
            4,
            2,
            padding=1,
            use_bias=False,
            kernel_init=self.kernel_init,
            name=f"down_{i}",
        )
