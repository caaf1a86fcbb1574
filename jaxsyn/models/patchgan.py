"""pix2pix's discriminator, which judges overlapping patches of 70x70 pixels.

Isola et al. 2017, https://arxiv.org/abs/1611.07004, section 6.1.2
"""

import functools

from flax import linen as nn
from jaxtyping import Array, Float

from jaxsyn.errors import UsageError
from jaxsyn.nn.conv import Conv
from jaxsyn.nn.normed import Normed

WIDEST = 8  # Channels of the widest layers, in units of the first's.


class PatchGan(nn.Module):
    """4x4 convolutions: some that halve, one that does not, and one that judges.

    Attributes:
      ndf: Channels of the first convolution; they double up to eight times as many.
      num_layers: Convolutions of stride 2: 3 for patches of 70 px, 1 for 16, 5 for
        286.
      norm: `batch`, `instance` (CycleGAN's) or `none`, after all but the first and
        the last.
      kernel_init: How kernels start.
    """

    ndf: int = 64
    num_layers: int = 3
    norm: str = "batch"
    kernel_init: str = "normal"

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], *, train: bool
    ) -> list[Float[Array, "b h2 w2 _"]]:
        """Returns the features of each layer; the last are the logits [B, H', W', 1].

        Args:
          x: The image, with its condition, if it has one, along channels; of at
            least 3 · 2^num_layers px.
          train: Whether batch norms use, and keep, the batch's statistics.

        Raises:
          UsageError: The image is smaller, so that no patch would be judged.
        """
        self._check_sides(x.shape[1:3])
        conv = functools.partial(
            Conv, kernel_size=4, padding=1, kernel_init=self.kernel_init
        )
        x = nn.leaky_relu(conv(self.ndf, stride=2, name="conv_0")(x), 0.2)
        features = [x]
        for i in range(1, self.num_layers + 1):
            layer = functools.partial(
                conv,
                self.ndf * min(2**i, WIDEST),
                stride=2 if i < self.num_layers else 1,
            )
            normed = Normed(layer, self.norm, name=f"conv_{i}")
            x = nn.leaky_relu(normed(x, train=train), 0.2)
            features.append(x)
        return [*features, conv(1, name="judge")(x)]

    def _check_sides(self, sides):
        smallest = 3 * 2**self.num_layers
        if min(sides) < smallest:
            raise UsageError(
                f"A PatchGAN of {self.num_layers} layers cannot judge images of"
                f" {'x'.join(map(str, sides))} px.",
                hint=f"Choose images of at least {smallest} px, or fewer num_layers.",
            )
