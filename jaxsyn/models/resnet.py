"""The residual generator of CycleGAN and of pix2pixHD.

Zhu et al. 2017, https://arxiv.org/abs/1703.10593, section 7.2, and Wang et al. 2018,
https://arxiv.org/abs/1711.11585, section 3.2; after Johnson et al. 2016,
https://arxiv.org/abs/1603.08155.
"""

import functools

from flax import linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxsyn.errors import UsageError
from jaxsyn.nn.conv import Conv, ConvTranspose
from jaxsyn.nn.normed import Normed


class ResnetGenerator(nn.Module):
    """Halves images, changes them in residual blocks, and doubles them again.

    pix2pixHD's local enhancer is this network too: of one halving, with a coarser
    network's features added before the blocks.

    Attributes:
      out_channels: Channels of the images.
      ngf: Channels at full size; they double with each halving.
      downs: How often the size is halved: 2 in CycleGAN, 4 in pix2pixHD.
      blocks: Residual blocks at the smallest size.
      norm: `instance` or `batch`.
      dropout: Share of values zeroed within each block, in training.
      kernel_init: How kernels start.
    """

    out_channels: int
    ngf: int = 64
    downs: int = 2
    blocks: int = 9
    norm: str = "instance"
    dropout: float = 0.0
    kernel_init: str = "normal"

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b h w c"],
        coarse: Float[Array, "b h2 w2 d"] | None = None,
        *,
        train: bool,
        features: bool = False,
    ) -> Float[Array, "b h w _"]:
        """Returns images in [-1, 1] of the size of `x`.

        Args:
          x: What they are made of. Its sides are multiples of 2^downs, and at least
            twice that.
          coarse: What is added before the blocks: as small as they work, with
            2^downs · ngf channels.
          train: Whether dropout is on, and batch norms use the batch's statistics.
          features: Whether to return what the last convolution would be given
            instead, with `ngf` channels.

        Raises:
          UsageError: The sides are not such.
        """
        self._check_sides(x.shape[1:3])
        edge = functools.partial(
            Conv, kernel_size=7, padding_mode="reflect", kernel_init=self.kernel_init
        )
        x = self._layer(functools.partial(edge, self.ngf), "start", x, train)
        for i in range(1, self.downs + 1):
            halve = functools.partial(Conv, self.ngf * 2**i, stride=2)
            x = self._layer(halve, f"down_{i}", x, train)
        x = x if coarse is None else x + coarse
        for i in range(self.blocks):
            block = ResnetBlock(
                self.norm, self.dropout, self.kernel_init, name=f"block_{i}"
            )
            x = block(x, train=train)
        for i in reversed(range(self.downs)):
            double = functools.partial(ConvTranspose, self.ngf * 2**i, 3)
            x = self._layer(double, f"up_{i}", x, train)
        return x if features else jnp.tanh(edge(self.out_channels, name="image")(x))

    def _layer(self, conv, name, x, train):
        conv = functools.partial(conv, kernel_init=self.kernel_init)
        return nn.relu(Normed(conv, self.norm, name=name)(x, train=train))

    def _check_sides(self, sides):
        factor = 2**self.downs
        if any(side % factor or side < 2 * factor for side in sides):
            raise UsageError(
                f"Images of {'x'.join(map(str, sides))} px cannot be halved"
                f" {self.downs} times.",
                hint=f"Choose sides that are multiples of {factor}, from {2 * factor}"
                " on, or fewer downs.",
            )


class ResnetBlock(nn.Module):
    """Adds to its input what two reflected 3x3 convolutions make of it.

    Attributes:
      norm: After each of them: `instance` or `batch`.
      dropout: Share of values zeroed between them, in training.
      kernel_init: How kernels start.
    """

    norm: str = "instance"
    dropout: float = 0.0
    kernel_init: str = "normal"

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], *, train: bool
    ) -> Float[Array, "b h w c"]:
        """Returns the sum."""
        conv = functools.partial(
            Conv, x.shape[-1], padding_mode="reflect", kernel_init=self.kernel_init
        )
        h = nn.relu(Normed(conv, self.norm, name="layer_0")(x, train=train))
        if self.dropout:
            drop = nn.Dropout(self.dropout, rng_collection="noise")
            h = drop(h, deterministic=not train)
        return x + Normed(conv, self.norm, name="layer_1")(h, train=train)
