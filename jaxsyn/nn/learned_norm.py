"""Instance norm with a scale and a shift that are learned.

Ulyanov et al. 2016, https://arxiv.org/abs/1607.08022
"""

from flax import linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

TINY = 1e-12


class LearnedInstanceNorm(nn.Module):
    """Normalises each channel of each image over its pixels, then scales and shifts.

    A single pixel is left as it is before that: of it, nothing would remain.

    Attributes:
      epsilon: Added to the standard deviation, not to the variance.
    """

    epsilon: float = 1e-3

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        """Returns the result in the dtype of `x`; statistics are float32."""
        channels = (x.shape[-1],)
        scale = self.param("scale", nn.initializers.ones, channels).astype(x.dtype)
        bias = self.param("bias", nn.initializers.zeros, channels).astype(x.dtype)
        if x.shape[1] * x.shape[2] > 1:
            x = self._normalised(x)
        return x * scale.reshape(1, 1, 1, -1) + bias.reshape(1, 1, 1, -1)

    def _normalised(self, x):
        exact = x.astype(jnp.float32)
        # No axes of length one, as in `jaxsyn.nn.norm`.
        centred = exact - jnp.expand_dims(exact.mean((1, 2)), (1, 2))
        # The root of 0 has no gradient.
        deviation = jnp.sqrt(jnp.square(centred).mean((1, 2)) + TINY)
        scale = 1.0 / (deviation + self.epsilon)
        return (centred * jnp.expand_dims(scale, (1, 2))).astype(x.dtype)
