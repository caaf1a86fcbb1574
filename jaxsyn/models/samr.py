"""SAMR's generator: a label map and an atlas, and a decoder for each modality.

Guo et al. 2020, https://arxiv.org/abs/2006.14761, section 2.
"""

from collections.abc import Sequence
import functools

from flax import linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxsyn.errors import UsageError
from jaxsyn.models.resnet import ResnetBlock
from jaxsyn.nn.conv import Conv, ConvTranspose
from jaxsyn.nn.normed import Normed


class SamrGenerator(nn.Module):
    """Encodes both, changes them in residual blocks, and decodes each modality.

    With five halvings, ngf 64 and no bound on the channels it would have 4.8 billion
    parameters; the paper does not say what it bounds.

    Attributes:
      out_channels: Modalities.
      ngf: Channels at full size; they double with each halving
      widest: up to this many.
      downs: How often the size is halved: 5 in the paper, 3 in the published code.
      blocks: Residual blocks at the smallest size.
      stretch_out: Whether each modality has a decoder of its own ("stretch-out
        up-sampling"); if not, one makes them all.
      norm: `instance`, as the published code, or `batch`, as the paper. It is in front
        of the ReLU; the paper prints it behind.
      kernel_init: How kernels start.
    """

    out_channels: int
    ngf: int = 64
    widest: int = 256
    downs: int = 5
    blocks: int = 9
    stretch_out: bool = True
    norm: str = "instance"
    kernel_init: str = "normal"

    @nn.compact
    def __call__(
        self,
        one_hot: Float[Array, "b h w l"],
        atlas: Float[Array, "b h w a"] | None = None,
        *,
        train: bool,
    ) -> Float[Array, "b h w c"]:
        """Returns images in [-1, 1], the modalities in their order.

        Args:
          one_hot: The label map. Its sides are multiples of 2^downs, and at least
            twice that.
          atlas: What brains look like there; without it there is no atlas encoder.
          train: Whether batch norms use, and keep, the batch's statistics.

        Raises:
          UsageError: The sides are not such.
        """
        self._check_sides(one_hot.shape[1:3])
        widths = [min(self.ngf * 2**i, self.widest) for i in range(self.downs + 1)]
        x = self._part(Encoder, widths, "labels")(one_hot, train=train)
        if atlas is not None:
            anatomy = self._part(Encoder, widths, "atlas")(atlas, train=train)
            x = jnp.concatenate([x, anatomy], axis=-1)
            widths = [2 * width for width in widths]
        for i in range(self.blocks):
            block = ResnetBlock(
                self.norm, kernel_init=self.kernel_init, name=f"block_{i}"
            )
            x = block(x, train=train)
        channels = 1 if self.stretch_out else self.out_channels
        decoder = functools.partial(Decoder, out_channels=channels)
        images = [
            self._part(decoder, widths, f"decoder_{i}")(x, train=train)
            for i in range(self.out_channels // channels)
        ]
        return jnp.concatenate(images, axis=-1)

    def _part(self, part, widths, name):
        return part(
            widths=widths, norm=self.norm, kernel_init=self.kernel_init, name=name
        )

    def _check_sides(self, sides):
        factor = 2**self.downs
        if any(side % factor or side < 2 * factor for side in sides):
            raise UsageError(
                f"Images of {'x'.join(map(str, sides))} px cannot be halved"
                f" {self.downs} times.",
                hint=f"Choose sides that are multiples of {factor}, from {2 * factor}"
                " on, or fewer downs.",
            )


class Encoder(nn.Module):
    """A reflected 7x7 convolution, then 3x3 ones that halve.

    Attributes:
      widths: Channels at each size, the full one first.
      norm: Of `SamrGenerator`.
      kernel_init: How kernels start.
    """

    widths: Sequence[int]
    norm: str
    kernel_init: str

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], *, train: bool
    ) -> Float[Array, "b h2 w2 d"]:
        """Returns what is left at the smallest size."""
        first = {"kernel_size": 7, "padding_mode": "reflect"}
        for i, width in enumerate(self.widths):
            conv = functools.partial(
                Conv,
                width,
                kernel_init=self.kernel_init,
                **({"stride": 2} if i else first),
            )
            x = nn.relu(Normed(conv, self.norm, name=f"down_{i}")(x, train=train))
        return x


class Decoder(nn.Module):
    """A residual block, and the encoder's mirror image.

    Attributes:
      widths: Channels at each size, the full one first.
      norm: Of `SamrGenerator`.
      kernel_init: How kernels start.
      out_channels: Channels of the image.
    """

    widths: Sequence[int]
    norm: str
    kernel_init: str
    out_channels: int

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], *, train: bool
    ) -> Float[Array, "b h2 w2 o"]:
        """Returns an image in [-1, 1]."""
        block = ResnetBlock(self.norm, kernel_init=self.kernel_init, name="block")
        x = block(x, train=train)
        for i in reversed(range(len(self.widths) - 1)):
            double = functools.partial(
                ConvTranspose, self.widths[i], 3, kernel_init=self.kernel_init
            )
            x = nn.relu(Normed(double, self.norm, name=f"up_{i}")(x, train=train))
        image = Conv(
            self.out_channels,
            7,
            padding_mode="reflect",
            kernel_init=self.kernel_init,
            name="image",
        )
        return jnp.tanh(image(x))
