"""pix2pix's U-Net: strided 4x4 convolutions down to the bottleneck and back.

Isola et al. 2017, https://arxiv.org/abs/1611.07004, section 6.1
"""

from collections.abc import Sequence
import functools

from flax import linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxsyn.errors import UsageError
from jaxsyn.nn.conv import Conv, ConvTranspose
from jaxsyn.nn.normed import Normed

WIDEST = 8  # Channels of the widest levels, in units of the first's.
DROPPING = 3  # Up-convolutions, from the bottleneck on, that dropout follows.
FEWEST, MOST = 3, 8  # Levels, where nothing else is asked for.


class Pix2PixUNet(nn.Module):
    """Encoder and decoder with a skip between each two levels of one size.

    Attributes:
      out_channels: Of the output.
      ngf: Channels of the first level; they double up to eight times as many.
      num_downs: Levels; an image's sides are multiples of 2 to this power.
      kernel_init: How kernels start.
      norm: `batch`, or `instance`, with which every convolution has a bias.
      dropout: Share of values zeroed after the three innermost up-convolutions, in
        training.
      bounded: Whether a tanh bounds the output.
    """

    out_channels: int
    ngf: int = 64
    num_downs: int = 8
    kernel_init: str = "normal"
    norm: str = "batch"
    dropout: float = 0.0
    bounded: bool = False

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], *, train: bool
    ) -> Float[Array, "b h w o"]:
        """Maps images to images of the same size.

        Args:
          x: [B, H, W, C].
          train: Whether batch norms use the batch's statistics, and dropout is on.

        Returns:
          [B, H, W, O], in [-1, 1] if it is bounded.

        Raises:
          UsageError: A side cannot be halved as often as there are levels.
        """
        check_halvings(x.shape[1:-1], self.num_downs)
        widths = channels(self.ngf, self.num_downs)
        skips, last = [], self.num_downs - 1
        for i, width in enumerate(widths):
            x = self._down(nn.leaky_relu(x, 0.2) if i else x, width, i, train)
            skips.append(x)
        x = skips.pop()
        self.sow("intermediates", "bridge", x)  # What `fd_unet` compares.
        for i in range(last, 0, -1):
            grow = self._grow(widths[i - 1])
            x = Normed(grow, self.norm, name=f"up_{i}")(nn.relu(x), train=train)
            if self.dropout and i > last - DROPPING:
                drop = nn.Dropout(self.dropout, rng_collection="noise")
                x = drop(x, deterministic=not train)
            x = jnp.concatenate([skips.pop(), x], axis=-1)
        x = self._grow(self.out_channels)(name="up_0")(nn.relu(x))
        return jnp.tanh(x) if self.bounded else x

    def _down(self, x, width, i, train):
        """Halves; no norm follows the first and the last convolution."""
        conv = functools.partial(
            Conv, width, 4, 2, padding=1, kernel_init=self.kernel_init
        )
        if 0 < i < self.num_downs - 1:
            return Normed(conv, self.norm, name=f"down_{i}")(x, train=train)
        return conv(use_bias=self.norm != "batch", name=f"down_{i}")(x)

    def _grow(self, width):
        return functools.partial(ConvTranspose, width, 4, kernel_init=self.kernel_init)


def channels(ngf: int, num_downs: int) -> list[int]:
    """Channels of each level: from `ngf` they double, up to eight times as many."""
    return [ngf * min(2**i, WIDEST) for i in range(num_downs)]


def levels(image_size: int, most: int = MOST) -> int:
    """As many levels as bring an image to one pixel, or as its side can be halved.

    At least 3, so that a network which cannot halve an image says so.
    """
    halvings = (image_size & -image_size).bit_length() - 1
    return max(FEWEST, min(halvings, most))


def check_halvings(sides: Sequence[int], num_downs: int) -> None:
    """Raises UsageError if a side of an image cannot be halved `num_downs` times."""
    if any(side % 2**num_downs for side in sides):
        raise UsageError(
            f"Images of {'x'.join(map(str, sides))} cannot be halved {num_downs}"
            " times.",
            hint=f"Choose sides that are multiples of {2**num_downs}, or fewer"
            " num_downs.",
        )
