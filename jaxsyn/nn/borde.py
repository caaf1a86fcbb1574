"""The BORDE block: prior maps injected one after another.

Chaparro-Cruz and Montoya-Zegarra 2022, section III-B and figure 2.
"""

from collections.abc import Sequence

from flax import linen as nn
import jax
from jaxtyping import Array, Float

from jaxsyn.nn.conv import Conv
from jaxsyn.nn.modulation import Modulation
from jaxsyn.nn.norm import instance_norm


class BordeBlock(nn.Module):
    """Injects each prior map through denormalisation, ReLU and a 1x1 convolution.

    Attributes:
      features: Output channels.
      hidden: Channels of a map's embedding.
      gamma_offset: 1 scales by 1 + gamma, 0 by gamma (equation 1). They differ in
        where training starts; 0 needs larger kernels, a `kernel_init` of `normal` or
        `he`: with `xavier` features and gradients vanish.
      halve: Whether channels change at the `first` injection, or are halved at
        `every` one; the last gives `features`.
      residual: Whether a shortcut goes around the injections.
      noise: Whether noise is added first, scaled by a weight a channel.
      kernel_init: How kernels start.
    """

    features: int
    hidden: int = 128
    gamma_offset: float = 1.0
    halve: str = "first"
    residual: bool = True
    noise: bool = True
    kernel_init: str = "xavier"

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], priors: Sequence[Float[Array, "b h w _"]]
    ) -> Float[Array, "b h w features"]:
        """Returns the block's output; the maps have the resolution of `x`."""
        shortcut = x
        if self.residual and x.shape[-1] != self.features:
            shortcut = self._pointwise(self.features, "shortcut", use_bias=False)(x)
        h = Noise(name="noise")(x) if self.noise else x
        widths = self._widths(x.shape[-1], len(priors))
        for i, (prior, width) in enumerate(zip(priors, widths, strict=True)):
            modulation = Modulation(
                self.hidden,
                gamma_offset=self.gamma_offset,
                kernel_init=self.kernel_init,
                name=f"modulation_{i}",
            )
            h = nn.relu(modulation(instance_norm(h), prior))
            h = self._pointwise(width, f"conv_{i}")(h)
        return shortcut + h if self.residual else h

    def _pointwise(self, width: int, name: str, **kwargs) -> Conv:
        return Conv(width, 1, kernel_init=self.kernel_init, name=name, **kwargs)

    def _widths(self, channels: int, injections: int) -> list[int]:
        """Channels after each injection."""
        if self.halve == "first":
            return [self.features] * injections
        halves = [channels // 2 ** (i + 1) for i in range(injections - 1)]
        return [*halves, self.features]


class Noise(nn.Module):
    """Adds one map of noise, scaled by a learned weight a channel, at first 0."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        """Returns `x` with noise, in its dtype."""
        scale = self.param("scale", nn.initializers.zeros, (x.shape[-1],))
        noise = jax.random.normal(self.make_rng("noise"), (*x.shape[:-1], 1))
        return x + (noise * scale.reshape(1, 1, 1, -1)).astype(x.dtype)
