"""pix2pix's networks as paper 004 makes images of stroke with them.

Platscher et al. 2020, https://arxiv.org/abs/2010.02745, appendix A. Where the paper
and its authors' code, https://github.com/MoPl90/image_translation, differ, the one
whose parameters the paper counts is the default.
"""

import functools

from flax import linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxsyn.models.pix2pix_unet import channels, check_halvings
from jaxsyn.nn import resample
from jaxsyn.nn.conv import Conv
from jaxsyn.nn.learned_norm import LearnedInstanceNorm


class PlatscherUNet(nn.Module):
    """pix2pix's U-Net with instance norms and, to double, nearest neighbours.

    The first convolution has neither norm nor activation. The biases in front of norms
    are without effect; they are the published network's.

    Attributes:
      out_channels: Channels of the images.
      ngf: Channels of the first level; they double up to eight times as many.
      num_downs: Levels; an image's sides are multiples of 2 to this power.
      dropout: Share of values zeroed after each up-convolution, in training.
      leak: Slope of the activations below 0.
      kernel_init: How kernels start.
    """

    out_channels: int
    ngf: int = 64
    num_downs: int = 7
    dropout: float = 0.3
    leak: float = 0.2
    kernel_init: str = "normal"

    @nn.compact
    def __call__(
        self, one_hot: Float[Array, "b h w l"], *, train: bool
    ) -> Float[Array, "b h w c"]:
        """Returns images in [-1, 1].

        Args:
          one_hot: Label maps.
          train: Whether dropout is on.

        Raises:
          UsageError: A side cannot be halved as often as there are levels.
        """
        check_halvings(one_hot.shape[1:3], self.num_downs)
        widths = channels(self.ngf, self.num_downs)
        x, skips = one_hot, []
        for i, width in enumerate(widths):
            x = self._conv(width, f"down_{i}", stride=2)(x)
            if i:
                x = self._act(LearnedInstanceNorm(name=f"down_{i}_norm")(x))
            skips.append(x)
        x = skips.pop()
        for i in range(self.num_downs - 1, 0, -1):
            x = self._act(self._double(x, widths[i - 1], f"up_{i}"))
            drop = nn.Dropout(self.dropout, rng_collection="noise")
            x = drop(x, deterministic=not train)
            x = LearnedInstanceNorm(name=f"up_{i}_norm")(x)
            x = self._act(jnp.concatenate([x, skips.pop()], axis=-1))
        return jnp.tanh(self._double(x, self.out_channels, "image"))

    def _double(self, x, width, name):
        return self._conv(width, name)(same(resample.upsample(x)))

    def _conv(self, width, name, stride=1):
        return Conv(
            width, 4, stride, padding=1, kernel_init=self.kernel_init, name=name
        )

    def _act(self, x):
        return nn.leaky_relu(x, self.leak)


class PlatscherDiscriminator(nn.Module):
    """A PatchGAN with norms after all convolutions but the one that judges.

    Attributes:
      ndf: Channels of the first convolution; they double twice.
      extra: Whether one more convolution of stride 1 goes before the judging one, as
        in the code, whose parameters the paper counts (twice, 888,898); its list of
        layers has none. Patches are then of 70 px, without it of 46.
      kernel_init: How kernels start.
    """

    ndf: int = 32
    extra: bool = True
    kernel_init: str = "normal"

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], *, train: bool
    ) -> list[Float[Array, "b h2 w2 _"]]:
        """Returns the features of each layer; the last are the logits [B, H', W', 1].

        Args:
          x: Condition and image, along channels, with sides that are multiples of 8.
          train: Not used: nothing in the network has a state.
        """
        del train
        conv = functools.partial(
            Conv, kernel_size=4, padding=1, kernel_init=self.kernel_init
        )
        layers = [(self.ndf * 2**i, 2) for i in range(3)]
        layers += [(self.ndf * 4, 1)] if self.extra else []
        features = []
        for i, (width, stride) in enumerate(layers):
            x = x if stride == 2 else same(x)
            x = conv(width, stride=stride, name=f"conv_{i}")(x)
            x = nn.leaky_relu(LearnedInstanceNorm(name=f"norm_{i}")(x), 0.2)
            features.append(x)
        return [*features, conv(1, name="judge")(same(x))]


def same(x: Float[Array, "b h w c"]) -> Float[Array, "b h+1 w+1 c"]:
    """Adds a row and a column of zeros behind the image.

    With one pixel of padding besides, a window of 4 px then leaves its size as it was.
    """
    return jnp.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))
