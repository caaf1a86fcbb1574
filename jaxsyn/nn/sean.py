"""SEAN's normalisation: features modulated by a label map and by a style per region.

Zhu et al. 2020, https://arxiv.org/abs/1911.12861, section 3 and figure 3.
"""

from typing import NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxsyn import settings
from jaxsyn.nn.borde import Noise
from jaxsyn.nn.conv import Dense
from jaxsyn.nn.convolve import patches
from jaxsyn.nn.initializers import initializer
from jaxsyn.nn.modulation import Modulation
from jaxsyn.nn.norm import Norm
from jaxsyn.nn.spade import Spade


class Regions(NamedTuple):
    """Where the regions are, and what each looks like.

    Attributes:
      one_hot: Label maps [B, H, W, L].
      style: A code for each label [B, L, S].
    """

    one_hot: jax.Array
    style: jax.Array


def region_means(
    features: Float[Array, "b h w s"], one_hot: Float[Array, "b h w l"]
) -> tuple[Float[Array, "b l s"], Bool[Array, "b l"]]:
    """Region-wise average pooling (section 3.1).

    Args:
      features: Of images.
      one_hot: Their label maps, at the features' size.

    Returns:
      The mean over each label's pixels, 0 where it has none, and whether it has any.
      Sums are float32; the means have the dtype of `features`.
    """
    inside = one_hot.astype(jnp.float32)
    total = jnp.einsum("bhwl,bhws->bls", inside, features.astype(jnp.float32))
    count = inside.sum((1, 2))
    means = total / jnp.maximum(count, 1.0)[..., None]
    return means.astype(features.dtype), count > 0


class Sean(Spade):
    """Adds noise, normalises, then lets label map and styles scale and shift.

    The scale is 1 + gamma, where gamma is a learned mix of what the map and what the
    styles give; beta, the shift, is another. Both mixes start equal.

    Attributes:
      style_layers: Of `StyleModulation`; the others are those of `Spade`.
    """

    style_layers: str = "per_label"

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], regions: Regions, *, train: bool
    ) -> Float[Array, "b h w c"]:
        """Returns `x` normalised and modulated; `regions` have its resolution."""
        x = Noise(name="noise")(x)
        x = Norm(self.norm, self.running_average, name="norm")(x, train=train)
        kernels = {"kernel_size": self.kernel_size, "kernel_init": self.kernel_init}
        by_style = StyleModulation(
            x.shape[-1], style_layers=self.style_layers, name="style", **kernels
        )
        by_map = Modulation(self.hidden, gamma_offset=0.0, name="modulation", **kernels)
        blend = self.param("blend", nn.initializers.zeros, (2,)).astype(x.dtype)
        gamma_share, beta_share = jax.nn.sigmoid(blend)
        gamma_rest, beta_rest = jax.nn.sigmoid(-blend)
        gamma, beta = by_style(regions)
        x_of_style = gamma_share * x * gamma + beta_share * beta
        # A modulation gives x * gamma + beta, and the two have different shares.
        x_of_map = beta_rest * by_map(x * (gamma_rest / beta_rest), regions.one_hot)
        return x + x_of_style + x_of_map


class NoisySpade(Spade):
    """SEAN's normalisation where there are no styles: SPADE's, behind noise."""

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b h w c"],
        one_hot: Float[Array, "b h w l"],
        *,
        train: bool,
    ) -> Float[Array, "b h w c"]:
        """Returns `x` normalised and modulated; `one_hot` has its resolution."""
        return super().__call__(Noise(name="noise")(x), one_hot, train=train)


class StyleModulation(nn.Module):
    """Gamma and beta made of each region's style.

    A layer of each label's own and ReLU turn its code into another, which fills the
    label's pixels; two convolutions of that map are gamma and beta.

    Attributes:
      features: Channels of gamma, and of beta.
      kernel_size: Side of the convolutions' windows.
      style_layers: `per_label`, as published, or `shared`, one layer for all labels:
        where there are many of them, most of the parameters are in these layers.
      kernel_init: How kernels start.
    """

    features: int
    kernel_size: int = 3
    style_layers: str = "per_label"
    kernel_init: str = "xavier"

    @nn.compact
    def __call__(
        self, regions: Regions
    ) -> tuple[Float[Array, "b h w c"], Float[Array, "b h w c"]]:
        """Returns gamma and beta at each pixel."""
        style = nn.relu(self._layer(regions.style))
        batch, _, size = style.shape
        window = (self.kernel_size, self.kernel_size)
        init, zeros = _separate(self.kernel_init), nn.initializers.zeros
        kernel = self.param("kernel", init, (2, *window, size, self.features))
        bias = self.param("bias", zeros, (2 * self.features,)).astype(style.dtype)
        # The map has one code for each label. Convolved with the kernels before it is
        # filled in, L channels are convolved instead of S, with the same result.
        filled = jnp.einsum("bls,gyxsc->byxlgc", style, kernel.astype(style.dtype))
        filled = filled.reshape(batch, -1, 2 * self.features)
        seen = patches(regions.one_hot, window, padding=self.kernel_size // 2)
        both = jnp.einsum("bhwp,bpc->bhwc", seen, filled) + bias.reshape(1, 1, 1, -1)
        gamma, beta = jnp.split(both, 2, axis=-1)
        return gamma, beta

    def _layer(self, style):
        """Codes [B, L, S] through the labels' layers."""
        _, labels, size = style.shape
        if self.style_layers == "shared":
            return Dense(size, kernel_init=self.kernel_init, name="layer")(style)
        if self.style_layers != "per_label":
            raise settings.unknown(
                f"style_layers={self.style_layers!r}",
                self.style_layers,
                ["per_label", "shared"],
            )
        init, zeros = _separate(self.kernel_init), nn.initializers.zeros
        kernel = self.param("layers_kernel", init, (labels, size, size))
        bias = self.param("layers_bias", zeros, (labels, size)).astype(style.dtype)
        style = jnp.einsum("bls,lst->blt", style, kernel.astype(style.dtype))
        return style + bias[None]


def _separate(kernel_init: str) -> nn.initializers.Initializer:
    """Starts each of a stack of kernels by itself: fans do not count the others."""
    init = initializer(kernel_init)

    def stack(key, shape):
        keys = jax.random.split(key, shape[0])
        return jax.vmap(lambda key: init(key, shape[1:]))(keys)

    return stack
