"""Convolutions whose kernels are scaled by a style, anew for each image.

Karras et al. 2020, https://arxiv.org/abs/1912.04958, section 2.2. Scaling a kernel's
inputs is scaling what it convolves, and scaling its outputs is scaling the result; so
all images are convolved with one kernel, and none is made for each of them.
"""

import math

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxsyn.nn import fir
from jaxsyn.nn.convolve import conv
from jaxsyn.nn.equalised import EqualDense
from jaxsyn.nn.transposed import transposed_conv

EPSILON = 1e-8


def activate(x: jax.Array) -> jax.Array:
    """Leaky ReLU of slope 0.2, times √2, which keeps the variance."""
    return math.sqrt(2.0) * nn.leaky_relu(x, 0.2)


class ModulatedConv(nn.Module):
    """A convolution modulated by a style, with an equalised learning rate.

    Attributes:
      features: Output channels.
      kernel_size: Side of the window.
      demodulate: Whether outputs are divided by the norm that the kernel has with this
        style (equation 3); of inputs with variance 1 they then have variance 1.
      up: Whether the image is doubled: a transposed convolution, then `fir`'s filter.
    """

    features: int
    kernel_size: int = 3
    demodulate: bool = True
    up: bool = False

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], w: Float[Array, "b z"]
    ) -> Float[Array, "b h2 w2 features"]:
        """Returns `x` convolved as the intermediate latents `w` say, in its dtype."""
        shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.normal(1.0), shape)
        kernel = kernel / math.sqrt(math.prod(shape[:-1]))
        style = EqualDense(x.shape[-1], gain=1.0, bias_init=1.0, name="style")(w)
        x = x * style[:, None, None]
        if self.up:
            x = doubled_conv(x, kernel)
        else:
            x = conv(x, kernel, padding=self.kernel_size // 2)
        return x * _demodulation(kernel, style)[:, None, None] if self.demodulate else x


class StyledConv(nn.Module):
    """A modulated convolution, noise, bias and activation.

    Attributes:
      features: Output channels.
      up: Whether the image is doubled.
    """

    features: int
    up: bool = False

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], w: Float[Array, "b z"]
    ) -> Float[Array, "b h2 w2 features"]:
        """Returns the layer's output; the noise, a map an image, is from `noise`."""
        x = ModulatedConv(self.features, up=self.up, name="conv")(x, w)
        strength = self.param("noise_strength", nn.initializers.zeros, ())
        noise = jax.random.normal(self.make_rng("noise"), (*x.shape[:-1], 1), x.dtype)
        x = x + noise * strength.astype(x.dtype)
        return activate(add_bias(self, x))


def add_bias(layer: nn.Module, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """Adds the parameter `bias` of `layer`, which starts at 0, to each channel."""
    bias = layer.param("bias", nn.initializers.zeros, (x.shape[-1],))
    return x + bias.astype(x.dtype).reshape(1, 1, 1, -1)


def doubled_conv(
    x: Float[Array, "b h w c"], kernel: Float[Array, "k k c d"]
) -> Float[Array, "b h2 w2 d"]:
    """A transposed 3x3 convolution of stride 2, then four times the filter of `fir`.

    That is `fir.upsample`, without bounds, followed by a convolution with the flipped
    kernel; but it multiplies at the pixels of `x` only.
    """
    # The filter also takes what the first pixel gives to the one before the image. So
    # the image gets a pixel in front, and what is before that one's share is cut.
    x = jnp.pad(x, ((0, 0), (1, 0), (1, 0), (0, 0)))
    return 4.0 * fir.blur(transposed_conv(x, kernel)[:, 1:, 1:], padding=1)


def _demodulation(kernel, style):
    """What divides outputs by the kernel's norms [B, O], in the dtype of `style`."""
    power = jnp.sum(jnp.square(kernel), axis=(0, 1))
    norms = jnp.square(style.astype(power.dtype)) @ power
    return jax.lax.rsqrt(norms + EPSILON).astype(style.dtype)
