"""Networks that grow: those of PGAN.

Karras et al. 2018, https://arxiv.org/abs/1710.10196, table 2. Parameters of all sizes
are there from the start, but a call computes what its size needs.
"""

import math

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxsyn.errors import UsageError
from jaxsyn.nn import fused, growing, resample
from jaxsyn.nn.equalised import EqualConv, EqualDense
from jaxsyn.nn.minibatch_stddev import minibatch_stddev
from jaxsyn.nn.pixel_norm import pixel_norm

SMALLEST = 4  # Side of the first block's features.


def sides(first: int, last: int) -> tuple[int, ...]:
    """Sides of images that double from `first` to `last`, in pixels.

    Raises:
      UsageError: They do not lead from one to the other, or begin below 4 px.
    """
    found = [SMALLEST * 2**i for i in range(max(last, 1).bit_length())]
    if first not in found or last not in found or first > last:
        raise UsageError(
            f"Images cannot grow from {first} to {last} px by doubling from"
            f" {SMALLEST} px.",
            hint="Choose powers of two from 4 px on, first_size being the smaller.",
        )
    return tuple(side for side in found if first <= side <= last)


def width(side: int, base: int, most: int) -> int:
    """Channels of features of a side: 2 · base / side, between 1 and `most`."""
    return max(1, min(2 * base // side, most))


class PganGenerator(nn.Module):
    """Makes images of latent codes, at any size it grows through.

    Attributes:
      out_channels: Channels of the images.
      image_size: Side of the largest images, in pixels.
      first_size: Side of the smallest.
      fmap_base: Twice this over the side are a block's channels,
      fmap_max: of which there are no more than these.
    """

    out_channels: int
    image_size: int
    first_size: int = SMALLEST
    fmap_base: int = 8192
    fmap_max: int = 512

    def setup(self):
        widths = {
            side: width(side, self.fmap_base, self.fmap_max)
            for side in sides(SMALLEST, self.image_size)
        }
        self.blocks = {
            str(side): _Start(n) if side == SMALLEST else _Grow(n)
            for side, n in widths.items()
        }
        self.to_image = {
            str(side): EqualConv(self.out_channels, 1, gain=1.0)
            for side in sides(self.first_size, self.image_size)
        }

    def __call__(
        self,
        z: Float[Array, "b z"],
        *,
        size: int,
        alpha: jax.Array | None = None,
        train: bool,
    ) -> Float[Array, "b s s c"]:
        """Returns images, [-1, 1] as far as the discriminator has taught that.

        Args:
          z: Latent codes.
          size: Side of the images, in pixels.
          alpha: How far that size has faded in, in [0, 1]; wholly if None.
          train: Not used: nothing in the network has a state.
        """
        del train
        if self.is_initializing():
            for side in sides(self.first_size, self.image_size):
                self._make(z, side)
        return self._make(z, size, alpha)

    def _make(self, z, size, alpha=None):
        x = pixel_norm(z)
        for side in sides(SMALLEST, size):
            before, x = x, self.blocks[str(side)](x)
        image = self.to_image[str(size)](x)
        if alpha is None:
            return image
        old = resample.upsample(self.to_image[str(size // 2)](before))
        return growing.blend(old, image, alpha)


class PganCritic(nn.Module):
    """Scores images of any size it grows through; the generator's mirror image.

    Attributes:
      image_size: Side of the largest images, in pixels.
      first_size: Side of the smallest.
      fmap_base: Twice this over the side are a block's channels,
      fmap_max: of which there are no more than these.
    """

    image_size: int
    first_size: int = SMALLEST
    fmap_base: int = 8192
    fmap_max: int = 512

    def setup(self):
        widths = {
            side: width(side, self.fmap_base, self.fmap_max)
            for side in sides(SMALLEST, self.image_size)
        }
        self.blocks = {
            str(side): _Judge(n) if side == SMALLEST else _Shrink(n, widths[side // 2])
            for side, n in widths.items()
        }
        self.from_image = {
            str(side): EqualConv(widths[side], 1)
            for side in sides(self.first_size, self.image_size)
        }

    def __call__(
        self,
        image: Float[Array, "b s s c"],
        *,
        alpha: jax.Array | None = None,
        train: bool,
    ) -> Float[Array, " b"]:
        """Returns a score of each image, which is higher for what looks real.

        Args:
          image: Images of one of its sizes.
          alpha: How far that size has faded in, in [0, 1]; wholly if None.
          train: Not used: nothing in the network has a state.
        """
        del train
        if self.is_initializing():
            for side in sides(self.first_size, self.image_size):
                self._score(jnp.zeros((1, side, side, image.shape[-1])))
        return self._score(image, alpha)

    def _score(self, image, alpha=None):
        size = image.shape[1]
        x = self._features(image)
        for side in reversed(sides(SMALLEST, size)):
            x = self.blocks[str(side)](x)
            if side == size and alpha is not None:
                old = self._features(growing.shrink(image))
                x = growing.blend(old, x, alpha)
        return x

    def _features(self, image):
        return _leak(self.from_image[str(image.shape[1])](image))


class _Start(nn.Module):
    """Latent codes to features of 4x4 pixels."""

    features: int

    @nn.compact
    def __call__(self, z):
        shape = (SMALLEST, SMALLEST, self.features)
        # A quarter of the gain, as published; and one bias for all pixels.
        dense = EqualDense(math.prod(shape), gain=math.sqrt(2) / 4, use_bias=False)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        x = dense(z).reshape(-1, *shape) + bias.astype(z.dtype).reshape(1, 1, 1, -1)
        x = pixel_norm(_leak(x))
        return pixel_norm(_leak(EqualConv(self.features)(x)))


class _Grow(nn.Module):
    """Doubles features of the generator."""

    features: int

    @nn.compact
    def __call__(self, x):
        x = EqualConv(self.features, form=fused.doubling_conv)(x)
        x = pixel_norm(_leak(x))
        return pixel_norm(_leak(EqualConv(self.features)(x)))


class _Shrink(nn.Module):
    """Halves features of the critic; means are taken before the activation."""

    features: int
    out_features: int

    @nn.compact
    def __call__(self, x):
        x = _leak(EqualConv(self.features)(x))
        return _leak(EqualConv(self.out_features, form=fused.halving_conv)(x))


class _Judge(nn.Module):
    """Features of 4x4 pixels to a score of each image."""

    features: int

    @nn.compact
    def __call__(self, x):
        x = _leak(EqualConv(self.features)(minibatch_stddev(x)))
        x = _leak(EqualDense(self.features)(x.reshape(len(x), -1)))
        return EqualDense(1, gain=1.0)(x)[:, 0]


def _leak(x):
    return nn.leaky_relu(x, 0.2)
