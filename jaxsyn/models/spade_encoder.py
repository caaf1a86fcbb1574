"""SPADE's image encoder, which makes it a variational auto-encoder.

Park et al. 2019, https://arxiv.org/abs/1903.07291, figure 14.
"""

from flax import linen as nn
from jaxtyping import Array, Float

from jaxsyn.nn.conv import Conv, Dense
from jaxsyn.nn.norm import instance_norm

SMALLEST = 4


class SpadeEncoder(nn.Module):
    """Encodes an image as a normal distribution of codes.

    Strided convolutions halve the image until it is 4x4: six for 256 px, as published,
    five for 128 and so on; nothing is resized to 256 px.

    Attributes:
      z_dim: Size of the code.
      ngf: Channels of the first convolution; they double up to 8 ngf.
      kernel_init: How kernels start.
    """

    z_dim: int = 256
    ngf: int = 64
    kernel_init: str = "xavier"

    @nn.compact
    def __call__(
        self, image: Float[Array, "b h w c"], *, train: bool
    ) -> tuple[Float[Array, "b z"], Float[Array, "b z"]]:
        """Returns the mean and the logarithm of the variance.

        Args:
          image: In [-1, 1], of more than 4 px.
          train: Whether spectral norms are updated.
        """
        x, layers = image, 0
        while x.shape[1] > SMALLEST:
            conv = Conv(
                self.ngf * min(2**layers, 8),
                stride=2,
                use_bias=False,
                spectral=True,
                kernel_init=self.kernel_init,
                name=f"conv_{layers}",
            )
            x = nn.leaky_relu(instance_norm(conv(x, train=train)), 0.2)
            layers += 1
        x = x.reshape(x.shape[0], -1)
        mean, log_variance = (
            Dense(self.z_dim, kernel_init=self.kernel_init, name=name)(x)
            for name in ("mean", "log_variance")
        )
        return mean, log_variance
