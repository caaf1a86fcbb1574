"""SPADE's normalisation and residual block.

Park et al. 2019, https://arxiv.org/abs/1903.07291, figures 2 and 4.
"""

from collections.abc import Callable
import functools

from flax import linen as nn
from jaxtyping import Array, Float

from jaxsyn.nn.conv import Conv
from jaxsyn.nn.modulation import Modulation
from jaxsyn.nn.norm import Norm


class Spade(nn.Module):
    """Normalises features, then lets the label map scale and shift them.

    Attributes:
      norm: `batch` or `instance`.
      running_average: Whether evaluation uses batch norm's running statistics.
      hidden: Channels of the label map's embedding.
      kernel_size: Side of the modulation's windows.
      kernel_init: How the modulation's kernels start.
    """

    norm: str = "batch"
    running_average: bool = True
    hidden: int = 128
    kernel_size: int = 3
    kernel_init: str = "xavier"

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b h w c"],
        one_hot: Float[Array, "b h w l"],
        *,
        train: bool,
    ) -> Float[Array, "b h w c"]:
        """Returns `x` normalised and modulated; `one_hot` has its resolution."""
        x = Norm(self.norm, self.running_average, name="norm")(x, train=train)
        modulation = Modulation(
            self.hidden,
            kernel_size=self.kernel_size,
            kernel_init=self.kernel_init,
            name="modulation",
        )
        return modulation(x, one_hot)


class SpadeBlock(nn.Module):
    """Two convolutions behind SPADE, and a learned shortcut if channels change.

    The biases of the first convolution do nothing, since a norm follows; they are the
    published network's.

    Attributes:
      features: Output channels.
      spade: Makes a `Spade`, given its name.
      kernel_init: How the convolutions' kernels start.
    """

    features: int
    spade: Callable[..., Spade] = Spade
    kernel_init: str = "xavier"

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b h w c"],
        one_hot: Float[Array, "b h w l"],
        *,
        train: bool,
    ) -> Float[Array, "b h w features"]:
        """Returns the block's output; `one_hot` has the resolution of `x`."""
        middle = min(x.shape[-1], self.features)
        conv = functools.partial(Conv, spectral=True, kernel_init=self.kernel_init)
        shortcut = x
        if x.shape[-1] != self.features:
            h = self.spade(name="spade_s")(x, one_hot, train=train)
            narrow = conv(self.features, 1, use_bias=False, name="conv_s")
            shortcut = narrow(h, train=train)
        h = self.spade(name="spade_0")(x, one_hot, train=train)
        h = conv(middle, name="conv_0")(nn.leaky_relu(h, 0.2), train=train)
        h = self.spade(name="spade_1")(h, one_hot, train=train)
        h = conv(self.features, name="conv_1")(nn.leaky_relu(h, 0.2), train=train)
        return shortcut + h
