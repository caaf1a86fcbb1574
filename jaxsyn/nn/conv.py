"""Convolutions and dense layers that compute in the dtype of their input."""

from flax import linen as nn
import jax

from jaxsyn.nn.convolve import conv
from jaxsyn.nn.initializers import initializer
from jaxsyn.nn.spectral import SpectralNorm
from jaxsyn.nn.transposed import transposed_conv


class Conv(nn.Module):
    """A convolution over all axes between the first and the last.

    Parameters are float32: `kernel` [*window, I, O] and, if wanted, `bias` [O].

    Attributes:
      features: Output channels.
      kernel_size: Sides of the window; one number stands for all axes.
      stride: Step of the window.
      padding: Pixels added at each side; half the window, rounded down, if None.
      padding_mode: What is added: `zero`, or `reflect`, mirrored at the edge pixels.
      use_bias: Whether there is a bias; it starts at 0.
      spectral: Whether the kernel is divided by its spectral norm.
      kernel_init: How the kernel starts; see `initializer`.
    """

    features: int
    kernel_size: int | tuple[int, ...] = 3
    stride: int = 1
    padding: int | None = None
    padding_mode: str = "zero"
    use_bias: bool = True
    spectral: bool = False
    kernel_init: str = "xavier"

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool | None = None) -> jax.Array:
        """Convolves x [B, *spatial, I]; `train` is needed by a spectral norm."""
        window = self.kernel_size
        if isinstance(window, int):
            window = (window,) * (x.ndim - 2)
        shape = (*window, x.shape[-1], self.features)
        kernel = self.param("kernel", initializer(self.kernel_init), shape)
        if self.spectral:
            if train is None:
                raise TypeError("A spectral convolution needs `train`.")
            kernel = SpectralNorm(name="norm")(kernel, train=train)
        padding = window[0] // 2 if self.padding is None else self.padding
        x = conv(x, kernel, stride=self.stride, padding=padding, mode=self.padding_mode)
        return _add_bias(self, x) if self.use_bias else x


class ConvTranspose(nn.Module):
    """A transposed convolution that doubles all axes between the first and the last.

    Parameters are as in `Conv`.

    Attributes:
      features: Output channels.
      kernel_size: Side of the window: 2, 3 or 4; see `transposed_conv`.
      use_bias: Whether there is a bias; it starts at 0.
      kernel_init: How the kernel starts; see `initializer`.
    """

    features: int
    kernel_size: int = 2
    use_bias: bool = True
    kernel_init: str = "xavier"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Doubles x [B, *spatial, I]."""
        window = (self.kernel_size,) * (x.ndim - 2)
        shape = (*window, x.shape[-1], self.features)
        kernel = self.param("kernel", initializer(self.kernel_init), shape)
        x = transposed_conv(x, kernel)
        return _add_bias(self, x) if self.use_bias else x


class Dense(nn.Module):
    """A matrix product over the last axis; parameters as in `Conv`.

    Attributes:
      features: Output channels.
      use_bias: Whether there is a bias; it starts at 0.
      kernel_init: How the kernel starts; see `initializer`.
    """

    features: int
    use_bias: bool = True
    kernel_init: str = "xavier"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Multiplies x [..., I]."""
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", initializer(self.kernel_init), shape)
        x = x @ kernel.astype(x.dtype)
        return _add_bias(self, x) if self.use_bias else x


def _add_bias(module, x):
    bias = module.param("bias", nn.initializers.zeros, (x.shape[-1],))
    return x + bias.astype(x.dtype).reshape((1,) * (x.ndim - 1) + (-1,))
