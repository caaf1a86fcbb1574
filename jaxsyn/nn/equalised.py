"""Layers with an equalised learning rate: kernels are scaled when they are used.

Karras et al. 2018, https://arxiv.org/abs/1710.10196, section 4.1; the multiplier of
the learning rate is from Karras et al. 2019, https://arxiv.org/abs/1812.04948.

A stored kernel is N(0, 1) / m, where m is the multiplier, and is used times
m · gain / √fan_in. Under Adam, whose steps do not depend on a parameter's scale, all
layers then learn equally fast, but for m.
"""

from collections.abc import Callable
import math

from flax import linen as nn
import jax

from jaxsyn.nn.convolve import conv


class EqualConv(nn.Module):
    """A convolution over all axes between the first and the last.

    Parameters are float32: `kernel` [*window, I, O] and, if wanted, `bias` [O].

    Attributes:
      features: Output channels.
      kernel_size: Sides of the window; one number stands for all axes.
      gain: Of the activation that follows: √2 for a (leaky) ReLU, 1 for none.
      use_bias: Whether there is a bias; it starts at 0.
      lr_multiplier: How much faster than others its parameters learn.
      stride: Step of the window.
      padding: Zeros added at each side; half the window, rounded down, if None.
      form: Convolves the input with the kernel instead, e.g. `fused.doubling_conv`;
        stride and padding are then its own.
    """

    features: int
    kernel_size: int | tuple[int, ...] = 3
    gain: float = math.sqrt(2.0)
    use_bias: bool = True
    lr_multiplier: float = 1.0
    stride: int = 1
    padding: int | None = None
    form: Callable[[jax.Array, jax.Array], jax.Array] | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Convolves x [B, *spatial, I], in its dtype."""
        window = self.kernel_size
        if isinstance(window, int):
            window = (window,) * (x.ndim - 2)
        kernel = _kernel(self, (*window, x.shape[-1], self.features))
        if self.form:
            x = self.form(x, kernel)
        else:
            padding = window[0] // 2 if self.padding is None else self.padding
            x = conv(x, kernel, stride=self.stride, padding=padding)
        return _add_bias(self, x, 0.0) if self.use_bias else x


class EqualDense(nn.Module):
    """A matrix product over the last axis; parameters as in `EqualConv`.

    Attributes:
      features: Output channels.
      gain: Of the activation that follows: √2 for a (leaky) ReLU, 1 for none.
      use_bias: Whether there is a bias.
      bias_init: What is added at first.
      lr_multiplier: How much faster than others its parameters learn.
    """

    features: int
    gain: float = math.sqrt(2.0)
    use_bias: bool = True
    bias_init: float = 0.0
    lr_multiplier: float = 1.0

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Multiplies x [..., I], in its dtype."""
        x = x @ _kernel(self, (x.shape[-1], self.features)).astype(x.dtype)
        return _add_bias(self, x, self.bias_init) if self.use_bias else x


def _kernel(layer, shape):
    """The kernel [..., O] as it is used, float32."""
    stored = nn.initializers.normal(1.0 / layer.lr_multiplier)
    scale = layer.lr_multiplier * layer.gain / math.sqrt(math.prod(shape[:-1]))
    return scale * layer.param("kernel", stored, shape)


def _add_bias(layer, x, start):
    stored = nn.initializers.constant(start / layer.lr_multiplier)
    bias = layer.lr_multiplier * layer.param("bias", stored, (x.shape[-1],))
    return x + bias.astype(x.dtype).reshape((1,) * (x.ndim - 1) + (-1,))
