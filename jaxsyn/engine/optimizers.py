"""Optimisers and averages, as plain settings."""

from collections.abc import Callable, Mapping
import dataclasses

import jax
import jax.numpy as jnp
import optax

from jaxsyn.errors import UsageError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adam:
    """Adam with the schedules that the field uses.

    Attributes:
      learning_rate: Step size before any decay.
      b1: Decay of the first moment ("momentum"); 0 or 0.5 for most GANs.
      b2: Decay of the second moment.
      eps: Added to the root of the second moment.
      warmup_steps: Steps over which the rate rises linearly from 0.
      decay_from: Share of the training, in [0, 1], after which the rate falls
        linearly to 0 at the last step; 1 keeps it constant.
      clip_norm: Largest global norm of a gradient; 0 does not clip.
    """

    learning_rate: float
    b1: float = 0.0
    b2: float = 0.999
    eps: float = 1e-8
    warmup_steps: int = 0
    decay_from: float = 1.0
    clip_norm: float = 0.0

    def schedule(self, steps: int) -> optax.Schedule:
        """Learning rate by update, for a training of `steps` steps."""
        start = round(self.decay_from * steps)
        constant = optax.constant_schedule(self.learning_rate)
        decay = optax.linear_schedule(self.learning_rate, 0.0, max(steps - start, 1))
        rate = optax.join_schedules([constant, decay], [start])
        if not self.warmup_steps:
            return rate
        warmup = optax.linear_schedule(0.0, 1.0, self.warmup_steps)
        return lambda count: rate(count) * warmup(count)

    def build(self, steps: int) -> optax.GradientTransformation:
        """The Optax transformation for a training of `steps` steps."""
        adam = optax.adam(self.schedule(steps), b1=self.b1, b2=self.b2, eps=self.eps)
        if not self.clip_norm:
            return adam
        return optax.chain(optax.clip_by_global_norm(self.clip_norm), adam)


def build(
    settings: Mapping[str, Adam], networks: Mapping[str, object], steps: int
) -> dict[str, optax.GradientTransformation]:
    """One optimiser for each network.

    Raises:
      UsageError: A network has no settings, or settings name no network.
    """
    if set(settings) != set(networks):
        raise UsageError(
            f"Optimisers are given for {sorted(settings)}, but this system's networks"
            f" are {sorted(networks)}.",
            hint="Give config.optimizers one entry for each network.",
        )
    return {name: settings[name].build(steps) for name in networks}


def ema_decay(decay: float) -> Callable[[jax.Array], jax.Array]:
    """A decay that starts low, so that the average soon forgets the first weights.

    Args:
      decay: Final decay, in [0, 1).

    Returns:
      The decay at a step: min(decay, (1 + step) / (10 + step)).
    """

    def at(step: jax.Array) -> jax.Array:
        return jnp.minimum(decay, (1.0 + step) / (10.0 + step))

    return at
