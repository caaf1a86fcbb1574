"""SPADE's generator.

Park et al. 2019, https://arxiv.org/abs/1903.07291, appendix A.
"""

import functools

from flax import linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxsyn import settings
from jaxsyn.errors import UsageError
from jaxsyn.nn import resample
from jaxsyn.nn.conv import Conv, Dense
from jaxsyn.nn.spade import Spade, SpadeBlock

DOUBLINGS = {"normal": 5, "more": 6, "most": 7}


class SpadeGenerator(nn.Module):
    """Makes images of one-hot label maps.

    Attributes:
      out_channels: Channels of the images.
      image_size: Side of the images, in pixels: a multiple of 2 to the number of
        doublings.
      ngf: Channels of the last block (of the one before it, with `most`).
      norm: `batch` or `instance`.
      running_average: Whether evaluation uses batch norm's running statistics.
      upsampling: `normal`, `more` or `most`: 5, 6 or 7 doublings of the size.
      z_dim: Size of the code that it starts from; 0 starts from the label map.
      hidden: Channels of the label map's embeddings.
      kernel_size: Side of the modulation's windows.
      kernel_init: How kernels start.
    """

    out_channels: int
    image_size: int
    ngf: int = 64
    norm: str = "batch"
    running_average: bool = True
    upsampling: str = "normal"
    z_dim: int = 0
    hidden: int = 128
    kernel_size: int = 3
    kernel_init: str = "xavier"

    @nn.compact
    def __call__(
        self,
        one_hot: Float[Array, "b h w l"],
        z: Float[Array, "b z"] | None = None,
        *,
        train: bool,
    ) -> Float[Array, "b h w c"]:
        """Returns images in [-1, 1].

        Args:
          one_hot: Label maps.
          z: The code, if there is one.
          train: Whether batch statistics and spectral norms are updated.

        Raises:
          UsageError: The image size does not fit the doublings.
        """
        spade = functools.partial(
            Spade,
            norm=self.norm,
            running_average=self.running_average,
            hidden=self.hidden,
            kernel_size=self.kernel_size,
            kernel_init=self.kernel_init,
        )
        x = self._start(one_hot, z)
        for name, width, double in self._blocks():
            if double:
                x = resample.upsample(x)
            block = SpadeBlock(width, spade, self.kernel_init, name=name)
            x = block(x, resample.nearest(one_hot, x.shape[1]), train=train)
        image = Conv(self.out_channels, kernel_init=self.kernel_init, name="image")
        return jnp.tanh(image(nn.leaky_relu(x, 0.2)))

    def _start(self, one_hot, z):
        """What the first block works on."""
        size, width = self._start_size(), 16 * self.ngf
        if not self.z_dim:
            start = Conv(width, kernel_init=self.kernel_init, name="start")
            return start(resample.nearest(one_hot, size))
        start = Dense(width * size**2, kernel_init=self.kernel_init, name="start")
        return start(z.astype(one_hot.dtype)).reshape(-1, size, size, width)

    def _start_size(self):
        if self.upsampling not in DOUBLINGS:
            raise settings.unknown(
                f"upsampling={self.upsampling!r}", self.upsampling, list(DOUBLINGS)
            )
        factor = 2 ** DOUBLINGS[self.upsampling]
        if self.image_size % factor:
            raise UsageError(
                f"This generator cannot make images of {self.image_size} px.",
                hint=f"With {self.upsampling!r} up-sampling their side must be a"
                f" multiple of {factor}.",
            )
        return self.image_size // factor

    def _blocks(self):
        """Name, channels, and whether the size doubles before it, of each block."""
        more, most = self.upsampling != "normal", self.upsampling == "most"
        blocks = [
            ("head", 16 * self.ngf, False),
            ("middle_0", 16 * self.ngf, True),
            ("middle_1", 16 * self.ngf, more),
        ]
        blocks += [(f"up_{i}", 8 // 2**i * self.ngf, True) for i in range(4)]
        return [*blocks, ("up_4", self.ngf // 2, True)] if most else blocks
