"""Normalisations; what modulates them is mostly another layer's matter."""

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxsyn import settings

EPSILON = 1e-5


def instance_norm(
    x: Float[Array, "b *size c"], epsilon: float = EPSILON
) -> Float[Array, "b *size c"]:
    """Normalises each channel of each image over its pixels; variance is biased.

    Statistics are float32; the result has the dtype of `x`.
    """
    return _normalise(x, tuple(range(1, x.ndim - 1)), epsilon)[0]


class BatchNorm(nn.Module):
    """Normalises each channel over the whole batch.

    Under `jit` the batch is the global one, so this is synchronised over devices.
    The running variance is unbiased, as PyTorch's.

    Attributes:
      momentum: Share of the running statistics that a training call keeps.
      epsilon: Added to the variance.
      running_average: Whether evaluation normalises by the running statistics; if
        not, by the batch's own, so that images depend on their neighbours.
      affine: Whether a learned scale and shift of each channel follow.
    """

    momentum: float = 0.9
    epsilon: float = EPSILON
    running_average: bool = True
    affine: bool = False

    @nn.compact
    def __call__(
        self, x: Float[Array, "b *size c"], *, train: bool
    ) -> Float[Array, "b *size c"]:
        """Returns `x` normalised; statistics are float32, the result as `x`."""
        x = self._normalised(x, train)
        if not self.affine:
            return x
        channels, shape = (x.shape[-1],), (1,) * (x.ndim - 1) + (-1,)
        scale = self.param("scale", nn.initializers.ones, channels).astype(x.dtype)
        bias = self.param("bias", nn.initializers.zeros, channels).astype(x.dtype)
        return x * scale.reshape(shape) + bias.reshape(shape)

    def _normalised(self, x, train):
        channels = (x.shape[-1],)
        mean = self.variable("batch_stats", "mean", jnp.zeros, channels)
        variance = self.variable("batch_stats", "var", jnp.ones, channels)
        if self.running_average and not train:
            shape = (1,) * (x.ndim - 1) + channels
            centred = x.astype(jnp.float32) - mean.value.reshape(shape)
            scale = jax.lax.rsqrt(variance.value + self.epsilon)
            return (centred * scale.reshape(shape)).astype(x.dtype)
        axes = tuple(range(x.ndim - 1))
        y, batch_mean, batch_variance = _normalise(x, axes, self.epsilon)
        keeps = self.is_mutable_collection("batch_stats") and not self.is_initializing()
        if train and keeps:
            count = x.size // x.shape[-1]
            unbiased = batch_variance * (count / max(count - 1, 1))
            keep, take = self.momentum, 1.0 - self.momentum
            mean.value = keep * mean.value + take * batch_mean
            variance.value = keep * variance.value + take * unbiased
        return y


class Norm(nn.Module):
    """One of the two by name.

    Attributes:
      kind: `batch` or `instance`.
      running_average: Of `BatchNorm`.
    """

    kind: str
    running_average: bool = True

    @nn.compact
    def __call__(
        self, x: Float[Array, "b *size c"], *, train: bool
    ) -> Float[Array, "b *size c"]:
        """Returns `x` normalised, in its dtype."""
        if self.kind == "batch":
            norm = BatchNorm(running_average=self.running_average, name="batch")
            return norm(x, train=train)
        if self.kind == "instance":
            return instance_norm(x)
        raise settings.unknown(f"norm={self.kind!r}", self.kind, ["batch", "instance"])


def _normalise(x, axes, epsilon):
    exact = x.astype(jnp.float32)
    # Statistics keep no axes of length one. XLA would move these about, differently in
    # each phase of a step, and then not see that two phases share a forward pass.
    mean = jnp.mean(exact, axes)
    centred = exact - jnp.expand_dims(mean, axes)
    variance = jnp.mean(jnp.square(centred), axes)
    scale = jnp.expand_dims(jax.lax.rsqrt(variance + epsilon), axes)
    return (centred * scale).astype(x.dtype), mean, variance
