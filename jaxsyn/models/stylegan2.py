"""StyleGAN2's networks: a mapping, a synthesis with skips, a residual discriminator.

Karras et al. 2020, https://arxiv.org/abs/1912.04958; channels as in configurations E
and F of table 1. With a condition they are as paper 003 (Vu et al. 2025) says: a map is
appended, at the size that is due, to the output of every modulated convolution, and in
the discriminator to the image and to the input of every residual block.
"""

from collections.abc import Sequence

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxsyn.errors import UsageError
from jaxsyn.nn import fir, resample
from jaxsyn.nn.equalised import EqualConv, EqualDense
from jaxsyn.nn.minibatch_stddev import minibatch_stddev
from jaxsyn.nn.modulated import ModulatedConv, StyledConv, activate, add_bias

START_SIZE = 4

Images = Float[Array, "b h w c"]
Condition = Float[Array, "b h w k"]


class Mapping(nn.Module):
    """Latents to intermediate latents.

    Attributes:
      features: Size of the intermediate latents.
      num_layers: Dense layers.
      lr_multiplier: How much faster than others their parameters learn.
    """

    features: int = 512
    num_layers: int = 8
    lr_multiplier: float = 0.01

    @nn.compact
    def __call__(
        self, z: Float[Array, "*b z"], *, train: bool
    ) -> Float[Array, "*b features"]:
        """Maps latents, normalised to a mean square of 1."""
        del train  # Nothing in it has a state.
        power = jnp.mean(jnp.square(z), axis=-1)
        x = z * jax.lax.rsqrt(power + 1e-8)[..., None]
        for i in range(self.num_layers):
            dense = EqualDense(
                self.features,
                gain=1.0,
                lr_multiplier=self.lr_multiplier,
                name=f"dense_{i}",
            )
            x = activate(dense(x))
        return x


class Synthesis(nn.Module):
    """Intermediate latents, one for each layer, to images.

    Attributes:
      out_channels: Channels of the images.
      image_size: Their side: a power of 2, from 8 on.
      fmap_base: A layer that works at n pixels has this over n channels,
      fmap_max: but at most so many.
    """

    out_channels: int
    image_size: int
    fmap_base: int = 32768
    fmap_max: int = 512

    @property
    def num_layers(self) -> int:
        """How many intermediate latents are used.

        That which makes an image of the features is used by the next size's first
        layer, too.
        """
        return 2 * len(sizes(self.image_size))

    @nn.compact
    def __call__(
        self,
        w: Float[Array, "b layer z"],
        condition: Condition,
        *,
        train: bool,
    ) -> Images:
        """Returns images whose range is learned: nothing bounds it.

        Args:
          w: Intermediate latents.
          condition: What the images are made of, at their size; K may be 0.
          train: Not used; noise is added always.

        Raises:
          UsageError: The image size is no power of 2, or too small.
        """
        del train
        image = None
        for i, size in enumerate(sizes(self.image_size)):
            width = min(self.fmap_base // size, self.fmap_max)
            if i == 0:
                x = self._constant(len(w), width).astype(w.dtype)
            else:
                up = StyledConv(width, up=True, name=f"up_{size}")
                x = append(up(x, w[:, 2 * i - 1]), condition)
            x = StyledConv(width, name=f"conv_{size}")(x, w[:, 2 * i])
            x = append(x, condition)
            skip = ToImage(self.out_channels, name=f"image_{size}")(x, w[:, 2 * i + 1])
            image = skip if image is None else fir.upsample(image) + skip
        return image

    def _constant(self, batch, width):
        shape = (1, START_SIZE, START_SIZE, width)
        start = self.param("start", nn.initializers.normal(1.0), shape)
        return jnp.broadcast_to(start, (batch, *shape[1:]))


class ToImage(nn.Module):
    """A modulated 1x1 convolution without demodulation.

    Attributes:
      features: Channels of the image.
    """

    features: int

    @nn.compact
    def __call__(self, x: Images, w: Float[Array, "b z"]) -> Images:
        """Returns what features `x` add to the image."""
        conv = ModulatedConv(self.features, 1, demodulate=False, name="conv")
        return add_bias(self, conv(x, w))


class Discriminator(nn.Module):
    """Residual blocks down to 4x4 pixels.

    Attributes:
      fmap_base: Of `Synthesis`.
      fmap_max: Of `Synthesis`.
    """

    fmap_base: int = 32768
    fmap_max: int = 512

    @nn.compact
    def __call__(
        self, image: Images, condition: Condition, *, train: bool
    ) -> Float[Array, " b"]:
        """Returns logits.

        Args:
          image: Images, whose side is a power of 2 from 8 on.
          condition: What they are made of, at their size; K may be 0.
          train: Not used.

        Raises:
          UsageError: The image size is no power of 2, or too small.
        """
        del train
        widths = [
            min(self.fmap_base // size, self.fmap_max)
            for size in reversed(sizes(image.shape[1]))
        ]
        first = EqualConv(widths[0], 1, gain=1.0, name="features")
        x = activate(first(append(image, condition)))
        for wide, narrow in zip(widths, widths[1:], strict=False):
            block = ResidualBlock(wide, narrow, name=f"block_{x.shape[1]}")
            x = block(append(x, condition))
        x = minibatch_stddev(x)
        x = activate(EqualConv(widths[-1], gain=1.0, name="conv")(x))
        x = x.reshape(len(x), -1)
        x = activate(EqualDense(widths[-1], gain=1.0, name="dense")(x))
        return EqualDense(1, gain=1.0, name="judge")(x)[:, 0]


class ResidualBlock(nn.Module):
    """Two convolutions, of which the second halves, and one beside them.

    Attributes:
      width: Channels of the first convolution.
      features: Output channels.
    """

    width: int
    features: int

    @nn.compact
    def __call__(self, x: Images) -> Images:
        """Halves images `x`; their variance is kept."""
        beside = EqualConv(self.features, 1, gain=1.0, use_bias=False, name="skip")
        first = EqualConv(self.width, gain=1.0, name="conv_0")
        second = EqualConv(self.features, gain=1.0, stride=2, padding=0, name="conv_1")
        y = activate(first(x))
        y = activate(second(fir.blur(y, padding=2)))
        return (y + beside(fir.downsample(x))) * 0.5**0.5


def sizes(image_size: int) -> Sequence[int]:
    """The sides at which layers work, in rising order; UsageError if there are none."""
    doublings = (image_size // START_SIZE).bit_length() - 1
    if doublings < 1 or image_size != START_SIZE << doublings:
        raise UsageError(
            f"StyleGAN2 cannot make images of {image_size} px.",
            hint="Their side must be 8, 16, 32, 64, 128, 256 or another power of 2.",
        )
    return [START_SIZE << i for i in range(doublings + 1)]


def append(x: Images, condition: Condition) -> Images:
    """Appends to features what conditions them, every n-th pixel of it."""
    condition = resample.nearest(condition, x.shape[1]).astype(x.dtype)
    return jnp.concatenate([x, condition], axis=-1)
