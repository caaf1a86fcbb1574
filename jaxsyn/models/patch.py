"""Discriminators that judge patches, and give the features they judge them by."""

import functools

from flax import linen as nn
from jaxtyping import Array, Float

from jaxsyn.nn import resample
from jaxsyn.nn.conv import Conv
from jaxsyn.nn.norm import instance_norm

WIDEST = 512

Features = list[Float[Array, "b h w _"]]


class PatchDiscriminator(nn.Module):
    """SPADE's: 4x4 convolutions with spectral and instance norm.

    Park et al. 2019, https://arxiv.org/abs/1903.07291, figure 13.

    Attributes:
      ndf: Channels of the first convolution; they double up to 512.
      num_layers: Convolutions before the one that judges; the last of them and the
        judging one have stride 1.
      spectral: Whether the convolutions in between have spectral norms; pix2pixHD's
        have none.
      inner_bias: Whether they have biases, which the instance norms cancel;
        pix2pixHD's have.
      kernel_init: How kernels start.
    """

    ndf: int = 64
    num_layers: int = 4
    spectral: bool = True
    inner_bias: bool = False
    kernel_init: str = "xavier"

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Features:
        """Returns the features of each layer; the last are the logits [B, H', W', 1].

        Args:
          x: Condition and image, along channels.
          train: Whether spectral norms are updated.
        """
        conv = functools.partial(
            Conv, kernel_size=4, padding=2, kernel_init=self.kernel_init
        )
        x = nn.leaky_relu(conv(self.ndf, stride=2, name="conv_0")(x), 0.2)
        features = [x]
        for i in range(1, self.num_layers):
            inner = conv(
                min(self.ndf * 2**i, WIDEST),
                stride=1 if i == self.num_layers - 1 else 2,
                use_bias=self.inner_bias,
                spectral=self.spectral,
                name=f"conv_{i}",
            )
            x = nn.leaky_relu(instance_norm(inner(x, train=train)), 0.2)
            features.append(x)
        return [*features, conv(1, name="judge")(x)]


class MultiscaleDiscriminator(nn.Module):
    """The same network, not the same weights, at several scales.

    Wang et al. 2018, https://arxiv.org/abs/1711.11585, section 3.2.

    Attributes:
      num_scales: How many; each sees half the size of the one before.
      ndf: Channels of each first convolution.
      num_layers: Convolutions of each before the one that judges.
      spectral: Of `PatchDiscriminator`.
      inner_bias: Of `PatchDiscriminator`.
      kernel_init: How kernels start.
    """

    num_scales: int = 2
    ndf: int = 64
    num_layers: int = 4
    spectral: bool = True
    inner_bias: bool = False
    kernel_init: str = "xavier"

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> list[Features]:
        """Returns each scale's features; the last of each are its logits."""
        scales = []
        for i in range(self.num_scales):
            if i:
                x = resample.average_pool(x)
            network = PatchDiscriminator(
                self.ndf,
                self.num_layers,
                self.spectral,
                self.inner_bias,
                self.kernel_init,
                name=f"scale_{i}",
            )
            scales.append(network(x, train=train))
        return scales


class BordeDiscriminator(nn.Module):
    """BORDE's: strided convolutions down to 16x16 patches, then a 1x1 one.

    Chaparro-Cruz and Montoya-Zegarra 2022, section IV-A.

    Attributes:
      ndf: Channels of the first convolution; they double.
      patches: Side of the map of logits. Images under four times that are judged by
        fewer patches, after two convolutions.
      kernel_init: How kernels start.
    """

    ndf: int = 64
    patches: int = 16
    kernel_init: str = "xavier"

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> list[Features]:
        """Returns one scale's features; the last are the logits."""
        del train  # Nothing in it has a state.
        conv = functools.partial(Conv, kernel_init=self.kernel_init)
        features = []
        while x.shape[1] > self.patches or len(features) < 2:
            i = len(features)
            halve = conv(
                self.ndf * 2**i, 4, 2, padding=1, use_bias=False, name=f"conv_{i}"
            )
            x = nn.leaky_relu(instance_norm(halve(x)), 0.2)
            features.append(x)
        return [[*features, conv(1, 1, name="judge")(x)]]
