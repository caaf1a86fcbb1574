"""SEAN's style encoder.

Zhu et al. 2020, https://arxiv.org/abs/1911.12861, section 3.1.
"""

import functools

from flax import linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxsyn.nn import resample
from jaxsyn.nn.conv import Conv, ConvTranspose
from jaxsyn.nn.norm import instance_norm
from jaxsyn.nn.sean import region_means


class SeanEncoder(nn.Module):
    """Encodes each region of an image as a style: a code in [-1, 1].

    Features at half the image's size are averaged over the regions. The biases of all
    convolutions but the last do nothing, since a norm follows; they are the published
    network's.

    Attributes:
      style_dim: Size of a code.
      ngf: Channels of the first convolution.
      kernel_init: How kernels start.
    """

    style_dim: int = 512
    ngf: int = 32
    kernel_init: str = "xavier"

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "b h w c"],
        one_hot: Float[Array, "b h w l"],
        *,
        train: bool,
    ) -> tuple[Float[Array, "b l s"], Bool[Array, "b l"]]:
        """Returns the labels' codes, and which labels there are.

        A label that no pixel has at half the size is absent: its code is 0.

        Args:
          image: In [-1, 1], of sides that 4 divides.
          one_hot: Its label map.
          train: Plays no part.
        """
        del train
        conv = functools.partial(Conv, kernel_init=self.kernel_init)
        first = conv(self.ngf, padding_mode="reflect", name="conv_0")
        x = _leaky_norm(first(image))
        for i in (1, 2):
            halve = conv(self.ngf * 2**i, stride=2, name=f"conv_{i}")
            x = _leaky_norm(halve(x))
        double = ConvTranspose(
            8 * self.ngf, 3, kernel_init=self.kernel_init, name="conv_3"
        )
        x = double(x)
        last = conv(self.style_dim, padding_mode="reflect", name="style")
        features = jnp.tanh(last(_leaky_norm(x)))
        return region_means(features, resample.nearest(one_hot, features.shape[1]))


def _leaky_norm(x):
    return nn.leaky_relu(instance_norm(x), 0.2)
