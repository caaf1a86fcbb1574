"""A small SPADE, as paper 004 makes images of stroke with it.

Platscher et al. 2020, https://arxiv.org/abs/2010.02745, appendix A 3. Where the paper
and its authors' code, https://github.com/MoPl90/image_translation, differ, there is an
option.
"""

import functools

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxsyn.errors import UsageError
from jaxsyn.nn import resample
from jaxsyn.nn.conv import Conv, Dense
from jaxsyn.nn.norm import BatchNorm

START_SIZE = 4


class PlatscherSpadeGenerator(nn.Module):
    """One convolution makes gamma, and one beta, straight of the mask.

    A block works at each size from 4 px to half the image's; channels halve from block
    to block.

    Attributes:
      out_channels: Channels of the images.
      image_size: Side of the images: 4 px doubled at least once.
      width: Channels of the first block.
      z_dim: Size of the noise it starts from.
      image_kernel: Side of the last window: 7 as in the code, or 3 as in the paper.
      leak: Slope of the activations below 0.
      running_average: Whether evaluation uses batch norm's running statistics; the
        code uses the batch's own.
      kernel_init: How kernels start.
    """

    out_channels: int
    image_size: int
    width: int = 128
    z_dim: int = 128
    image_kernel: int = 7
    leak: float = 0.2
    running_average: bool = True
    kernel_init: str = "normal"

    @nn.compact
    def __call__(
        self, one_hot: Float[Array, "b h w l"], *, train: bool
    ) -> Float[Array, "b h w c"]:
        """Returns images in [-1, 1].

        Args:
          one_hot: Label maps.
          train: Whether batch norms use the batch's statistics.

        Raises:
          UsageError: The image size, or the width, cannot be halved to the last block.
        """
        doublings = self._doublings()
        z = jax.random.normal(self.make_rng("noise"), (len(one_hot), self.z_dim))
        size, start = START_SIZE, self.width * START_SIZE**2
        dense = Dense(start, kernel_init=self.kernel_init, name="start")
        x = dense(z.astype(one_hot.dtype)).reshape(-1, size, size, self.width)
        block = functools.partial(
            PlatscherSpadeBlock,
            leak=self.leak,
            running_average=self.running_average,
            kernel_init=self.kernel_init,
        )
        for i in range(doublings):
            mask = resample.max_pool(one_hot, x.shape[1])
            x = block(self.width >> i, name=f"block_{i}")(x, mask, train=train)
            x = resample.upsample(x)
        image = Conv(
            self.out_channels,
            self.image_kernel,
            kernel_init=self.kernel_init,
            name="image",
        )
        return jnp.tanh(image(x))

    def _doublings(self):
        doublings = (self.image_size // START_SIZE).bit_length() - 1
        if doublings < 1 or self.image_size != START_SIZE << doublings:
            raise UsageError(
                f"Platscher's SPADE cannot make images of {self.image_size} px.",
                hint="Their side must be 8, 16, 32, 64, 128 or another power of 2.",
            )
        if not self.width >> (doublings - 1):
            raise UsageError(
                f"{self.width} channels cannot be halved {doublings - 1} times.",
                hint=f"Images of {self.image_size} px need a larger ngf.",
            )
        return doublings


class PlatscherSpadeBlock(nn.Module):
    """Two modulated convolutions, and another beside them if channels change.

    Attributes:
      features: Output channels.
      leak: Slope of the activations below 0.
      running_average: Of `BatchNorm`.
      kernel_init: How kernels start.
    """

    features: int
    leak: float = 0.2
    running_average: bool = True
    kernel_init: str = "normal"

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b h w c"],
        mask: Float[Array, "b h w l"],
        *,
        train: bool,
    ) -> Float[Array, "b h w features"]:
        """Returns the block's output; the mask has the resolution of `x`."""
        h = self._modulated_conv(x, mask, "0", train)
        h = self._modulated_conv(h, mask, "1", train)
        if x.shape[-1] != self.features:
            x = self._modulated_conv(x, mask, "s", train)
        return x + h

    def _modulated_conv(self, x, mask, name, train):
        conv = functools.partial(Conv, kernel_init=self.kernel_init)
        gamma = conv(x.shape[-1], name=f"gamma_{name}")(mask)
        beta = conv(x.shape[-1], name=f"beta_{name}")(mask)
        norm = BatchNorm(
            epsilon=1e-6,  # The code adds its root, 1e-3, to the deviation.
            running_average=self.running_average,
            name=f"norm_{name}",
        )
        h = nn.leaky_relu(gamma * norm(x, train=train) + beta, self.leak)
        return conv(self.features, name=f"conv_{name}")(h)
