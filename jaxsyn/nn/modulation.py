"""Scales and shifts made of a map: what SPADE and BORDE modulate with."""

from typing import NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp

from jaxsyn.nn import sparse_modulation, target
from jaxsyn.nn.conv import conv
from jaxsyn.nn.initializers import initializer


class ModulationParams(NamedTuple):
    """The parameters of one modulation.

    Attributes:
      embedding_kernel: From the map to its embedding, [k, k, L, E].
      embedding_bias: [E].
      kernel: From the embedding to gamma and beta, [k, k, E, 2C], gamma first.
      bias: [2C].
    """

    embedding_kernel: jax.Array
    embedding_bias: jax.Array
    kernel: jax.Array
    bias: jax.Array


class Modulation(nn.Module):
    """x * (gamma_offset + gamma) + beta, with gamma and beta made of a map.

    SPADE, https://arxiv.org/abs/1903.07291, equation 1, whose gamma and beta are two
    3x3 convolutions of a map's embedding; here they are one of twice the width.

    Attributes:
      hidden: Channels of the embedding.
      kernel_size: Side of both convolutions' windows.
      gamma_offset: Added to gamma: 1, so that modulation starts as the identity.
      kernel_init: How kernels start; gamma's and beta's halves start as separate ones.
      sparse: Whether gamma and beta are computed once for all pixels whose map looks
        the same around them, which gives the same but knows no gradient of the map;
        None does so where it is faster: for large maps on a single CPU device.
    """

    hidden: int = 128
    kernel_size: int = 3
    gamma_offset: float = 1.0
    kernel_init: str = "xavier"
    sparse: bool | None = None

    @nn.compact
    def __call__(self, x: jax.Array, condition: jax.Array) -> jax.Array:
        """Modulates x.

        Args:
          x: Normalised activations [B, H, W, C].
          condition: The map [B, H, W, L] at the size of x.

        Returns:
          [B, H, W, C].
        """
        params = self._params(condition.shape[-1], x.shape[-1])
        if self._is_sparse(condition):
            found = sparse_modulation.kinds(condition, self.kernel_size)
            both = sparse_modulation.gamma_beta(params, found)
            gamma, beta = jnp.split(both, 2, axis=-1)
        else:
            gamma, beta = gamma_beta(params, condition)
        return x * (self.gamma_offset + gamma) + beta

    def _is_sparse(self, condition) -> bool:
        if self.sparse is None:
            pays = sparse_modulation.pays(condition, self.kernel_size)
            return target.is_one_cpu() and pays
        return self.sparse

    def _params(self, labels: int, channels: int) -> ModulationParams:
        init, zeros = initializer(self.kernel_init), nn.initializers.zeros
        window = (self.kernel_size, self.kernel_size)

        def halves(key, shape):
            each = (*shape[:-1], channels)
            return jnp.concatenate([init(k, each) for k in jax.random.split(key)], -1)

        return ModulationParams(
            self.param("embedding_kernel", init, (*window, labels, self.hidden)),
            self.param("embedding_bias", zeros, (self.hidden,)),
            self.param("kernel", halves, (*window, self.hidden, 2 * channels)),
            self.param("bias", zeros, (2 * channels,)),
        )


def gamma_beta(
    params: ModulationParams, condition: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Scale and shift at each pixel of a map, in its dtype.

    Args:
      params: Of one modulation.
      condition: [B, H, W, L].

    Returns:
      gamma and beta, each [B, H, W, C].
    """
    embedding = jax.nn.relu(
        _same(condition, params.embedding_kernel, params.embedding_bias)
    )
    return tuple(jnp.split(_same(embedding, params.kernel, params.bias), 2, axis=-1))


def _same(x, kernel, bias):
    x = conv(x, kernel, padding=kernel.shape[0] // 2)
    return x + bias.astype(x.dtype).reshape(1, 1, 1, -1)
