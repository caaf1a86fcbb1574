"""BORDE's generator.

Chaparro-Cruz and Montoya-Zegarra 2022, section III-C and figure 3.
"""

from collections.abc import Sequence
import functools

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxsyn import settings
from jaxsyn.errors import UsageError
from jaxsyn.nn import resample
from jaxsyn.nn.borde import BordeBlock
from jaxsyn.nn.conv import Conv, Dense

START_SIZE = 8
WIDEST = 16


class BordeGenerator(nn.Module):
    """Makes images from noise, told by prior maps what to make where.

    One block works at each size: 8, 16, 32, ... up to the image's, which is halved as
    often as it stays at 8 pixels or more. Channels halve towards the image, from at
    most 16 ngf to ngf.

    Attributes:
      out_channels: Channels of the images, the boundary's included.
      image_size: Side of the images, in pixels.
      ngf: Channels of the last block.
      hidden: Channels of a prior map's embedding.
      skip_second: Whether no block works at the second size, as in the published
        code.
      start: What the first block works on: `latent` noise, a learned `constant`, or
        `seg_noise`, the label map beside noise, as in the published code.
      z_dim: Size of the noise, or of the constant.
      residual: Whether blocks have a shortcut.
      noise: Whether noise is added in each block.
      gamma_offset: 1 scales by 1 + gamma, 0 by gamma; see `BordeBlock`.
      halve: Where channels shrink in a block: at the `first` injection or at `every`.
      upsampling: `bilinear`, or `nearest` as in the published code.
      contours: Which prior maps are lines, by position: these shrink by maximum.
      kernel_init: How kernels start.
    """

    out_channels: int
    image_size: int
    ngf: int = 32
    hidden: int = 128
    skip_second: bool = False
    start: str = "latent"
    z_dim: int = 256
    residual: bool = True
    noise: bool = True
    gamma_offset: float = 1.0
    halve: str = "first"
    upsampling: str = "bilinear"
    contours: Sequence[int] = ()
    kernel_init: str = "xavier"

    @nn.compact
    def __call__(
        self,
        priors: Sequence[Float[Array, "b h w _"]],
        one_hot: Float[Array, "b h w l"],
        *,
        train: bool,
    ) -> Float[Array, "b h w c"]:
        """Returns images in [-1, 1].

        Args:
          priors: Maps of 0 and 1 in the order of their injection.
          one_hot: The label map, which only the start `seg_noise` looks at.
          train: Not used: nothing in the network has a state.

        Raises:
          UsageError: A setting is not known, or does not fit the image size.
        """
        del train
        self._check(len(priors))
        block = functools.partial(
            BordeBlock,
            hidden=self.hidden,
            gamma_offset=self.gamma_offset,
            halve=self.halve,
            residual=self.residual,
            noise=self.noise,
            kernel_init=self.kernel_init,
        )
        doublings = self._doublings()
        x = self._start(one_hot, self.image_size >> doublings)
        for i in range(doublings + 1):
            if i:
                x = resample.upsample(x, self.upsampling)
            if i == 1 and self.skip_second:
                continue
            width = self.ngf * min(WIDEST, 2 ** (doublings - i))
            x = block(width, name=f"block_{i}")(x, self._shrink(priors, x.shape[1]))
        image = Conv(self.out_channels, kernel_init=self.kernel_init, name="image")
        return jnp.tanh(image(nn.leaky_relu(x, 0.2)))

    def _start(self, one_hot, size):
        """What the first block works on."""
        batch, dtype = one_hot.shape[0], one_hot.dtype
        width = self.ngf * min(WIDEST, 2 ** (self._doublings() + 1))
        if self.start == "seg_noise":
            small = resample.nearest(one_hot, size)
            both = jnp.concatenate([small, self._draw(small.shape, dtype)], axis=-1)
            return Conv(width, kernel_init=self.kernel_init, name="start")(both)
        if self.start == "constant":
            normal = nn.initializers.normal(1.0)
            z = self.param("constant", normal, (1, self.z_dim)).astype(dtype)
            z = jnp.broadcast_to(z, (batch, self.z_dim))
        else:
            z = self._draw((batch, self.z_dim), dtype)
        x = Dense(width * size**2, kernel_init=self.kernel_init, name="start")(z)
        return x.reshape(batch, size, size, width)

    def _draw(self, shape, dtype):
        """Standard normal noise, the same in every dtype but for rounding."""
        return jax.random.normal(self.make_rng("noise"), shape).astype(dtype)

    def _shrink(self, priors, size):
        """The maps at a block's size; a line, one pixel wide, must not break."""
        return [
            (resample.max_pool if i in self.contours else resample.nearest)(m, size)
            for i, m in enumerate(priors)
        ]

    def _doublings(self):
        return max(self.image_size // START_SIZE, 1).bit_length() - 1

    def _check(self, injections):
        factor = 2 ** self._doublings()
        if self.image_size < START_SIZE or self.image_size % factor:
            raise UsageError(
                f"BORDE cannot make images of {self.image_size} px.",
                hint=f"At this size their side must be a multiple of {factor}, and"
                f" at least {START_SIZE}.",
            )
        for name, known in (
            ("start", ["latent", "constant", "seg_noise"]),
            ("halve", ["first", "every"]),
        ):
            value = getattr(self, name)
            if value not in known:
                raise settings.unknown(f"{name}={value!r}", value, known)
        if self.halve == "every" and 2 * self.ngf < 2**injections:
            raise UsageError(
                f"{2 * self.ngf} channels cannot be halved {injections} times.",
                hint="Take a larger ngf, or halve='first'.",
            )
