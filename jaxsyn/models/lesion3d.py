"""The networks of a GAN that makes volumes of lesion labels.

Platscher et al. 2020, https://arxiv.org/abs/2010.02745, appendix, and its authors'
code, https://github.com/MoPl90/image_translation.
"""

from collections.abc import Sequence
import math

from flax import linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxsyn.errors import UsageError
from jaxsyn.nn.conv import Conv, Dense
from jaxsyn.nn.learned_norm import LearnedInstanceNorm


class LesionGenerator(nn.Module):
    """Makes volumes of class probabilities from codes.

    A volume starts with at least 4 and fewer than 8 voxels along its longest side and
    is doubled up to its size: 5 times up to 128 voxels.

    Attributes:
      classes: Output channels.
      ngf: Channels of the start and of the first 3x3x3 convolution; each one after it
        has half as many.
      anisotropic: Whether the start has the volume's proportions, so that nothing is
        made in vain; if not, a cube is made and its middle cut out, as in the code.
      kernel_init: How kernels start.
    """

    classes: int
    ngf: int = 128
    anisotropic: bool = True
    kernel_init: str = "normal"

    @nn.compact
    def __call__(
        self, z: Float[Array, "b z"], sides: Sequence[int], *, train: bool
    ) -> Float[Array, "b d h w c"]:
        """Returns probabilities p as 2p - 1, in [-1, 1].

        Args:
          z: Standard normal codes.
          sides: Depth, height and width of the volumes, in voxels.
          train: Not used: nothing in the network has a state.

        Raises:
          UsageError: The sides do not fit the doublings.
        """
        del train
        doublings, start = self._plan(sides)
        first = self.ngf * math.prod(start)
        x = Dense(first, kernel_init=self.kernel_init, name="start")(z)
        x = _normalised(x.reshape(-1, *start, self.ngf), "start_norm")
        for i in range(doublings):
            x = self._conv(max(self.ngf // 2**i, 1), 3, f"conv_{i}")(x)
            x = _double(_normalised(x, f"norm_{i}"))
        x = _middle(self._conv(self.classes, 7, "probabilities")(x), sides)
        return 2.0 * nn.softmax(x) - 1.0

    def _conv(self, width, window, name):
        return Conv(
            width, window, use_bias=False, kernel_init=self.kernel_init, name=name
        )

    def _plan(self, sides):
        """How often the start is doubled, and its sides."""
        longest = max(sides)
        doublings = max(longest.bit_length() - 3, 1)
        factor = 2**doublings
        made = tuple(sides) if self.anisotropic else (longest,) * 3
        if any(side % factor for side in made):
            raise UsageError(
                f"The lesion generator cannot make volumes of"
                f" {'x'.join(map(str, sides))} voxels.",
                hint=f"Up to {longest} voxels it doubles {doublings} times: choose a"
                f" depth and an image size that are multiples of {factor}.",
            )
        return doublings, tuple(side // factor for side in made)


class LesionCritic(nn.Module):
    """Judges volumes: convolutions of stride 2 without norm, then two dense layers.

    As in the published code nothing in it has a bias, and no activation comes between
    the dense layers.

    Attributes:
      ndf: Channels of the first convolution; they double.
      num_layers: Convolutions; there are fewer if one voxel is reached before.
      hidden: Outputs of the first dense layer.
      kernel_init: How kernels start.
    """

    ndf: int = 8
    num_layers: int = 7
    hidden: int = 512
    kernel_init: str = "normal"

    @nn.compact
    def __call__(
        self, x: Float[Array, "b d h w c"], *, train: bool
    ) -> Float[Array, " b"]:
        """Returns how real each volume is; more is more.

        Args:
          x: Class probabilities p as 2p - 1.
          train: Not used: nothing in the network has a state.
        """
        del train
        plain = {"use_bias": False, "kernel_init": self.kernel_init}
        halvings = math.ceil(math.log2(max(x.shape[1:4])))
        for i in range(min(self.num_layers, halvings)):
            conv = Conv(self.ndf * 2**i, 5, stride=2, name=f"conv_{i}", **plain)
            x = nn.leaky_relu(conv(x), 0.2)
        x = Dense(self.hidden, name="hidden", **plain)(x.reshape(x.shape[0], -1))
        return Dense(1, name="judge", **plain)(x)[:, 0]


def _normalised(x, name):
    """Norm and activation; to the norm, a volume is an image of one column."""
    rows = x.reshape(x.shape[0], -1, 1, x.shape[-1])
    return nn.leaky_relu(LearnedInstanceNorm(name=name)(rows), 0.2).reshape(x.shape)


def _double(x):
    """Doubles all sides by nearest neighbours."""
    for axis in (1, 2, 3):
        x = jnp.repeat(x, 2, axis)
    return x


def _middle(x, sides):
    """Cuts the middle out of a volume."""
    first = [(full - side) // 2 for full, side in zip(x.shape[1:], sides, strict=False)]
    return x[:, *(slice(i, i + side) for i, side in zip(first, sides, strict=True))]
