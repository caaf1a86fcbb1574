"""SEAN's generator.

Zhu et al. 2020, https://arxiv.org/abs/1911.12861, section 4.
"""

import functools

from flax import linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxsyn.models.spade import SpadeGenerator
from jaxsyn.nn import resample
from jaxsyn.nn.conv import Conv
from jaxsyn.nn.sean import NoisySpade, Regions, Sean
from jaxsyn.nn.spade import SpadeBlock


class SeanGenerator(SpadeGenerator):
    """Makes images of one-hot label maps and a style for each label.

    SPADE's blocks with SEAN's normalisation; the last has no styles. Sizes, widths and
    the other options are those of `SpadeGenerator`; it starts from the label map.

    Attributes:
      style_layers: `per_label` or `shared`; see `StyleModulation`.
    """

    style_layers: str = "per_label"

    @nn.compact
    def __call__(
        self,
        one_hot: Float[Array, "b h w l"],
        style: Float[Array, "b l s"],
        *,
        train: bool,
    ) -> Float[Array, "b h w c"]:
        """Returns images in [-1, 1].

        Args:
          one_hot: Label maps.
          style: The labels' codes; what those of absent labels are plays no part.
          train: Whether batch statistics and spectral norms are updated.

        Raises:
          UsageError: The image size does not fit the doublings.
        """
        options = {
            "norm": self.norm,
            "running_average": self.running_average,
            "hidden": self.hidden,
            "kernel_size": self.kernel_size,
            "kernel_init": self.kernel_init,
        }
        sean = functools.partial(Sean, style_layers=self.style_layers, **options)
        spade = functools.partial(NoisySpade, **options)
        x = self._start(one_hot, None)
        *styled, (last, width, _) = self._blocks()
        for name, features, double in styled:
            if double:
                x = resample.upsample(x)
            regions = Regions(resample.nearest(one_hot, x.shape[1]), style)
            block = SpadeBlock(features, sean, self.kernel_init, name=name)
            x = block(x, regions, train=train)
        block = SpadeBlock(width, spade, self.kernel_init, name=last)
        x = block(resample.upsample(x), one_hot, train=train)
        image = Conv(self.out_channels, kernel_init=self.kernel_init, name="image")
        return jnp.tanh(image(nn.leaky_relu(x, 0.2)))
