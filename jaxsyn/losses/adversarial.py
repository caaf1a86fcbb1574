"""Adversarial losses on logits, of one discriminator or of several scales.

Each is a mean over a scale's patches and images, and then over the scales. The
discriminator descends `fake + real`, the generator `generator`.
"""

from collections.abc import Callable, Sequence
import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Scale = Float[Array, "b *patches"]
Logits = Scale | Sequence[Scale]


@dataclasses.dataclass(frozen=True)
class Adversarial:
    """The three terms of a GAN's game, as functions of the logits.

    Attributes:
      fake: What the discriminator loses on synthetic images.
      real: What it loses on real ones.
      generator: What the generator loses on its own.
    """

    fake: Callable[[Logits], jax.Array]
    real: Callable[[Logits], jax.Array]
    generator: Callable[[Logits], jax.Array]


def _over_scales(of_logits: Callable[[jax.Array], jax.Array]):
    """The mean over patches and images of each scale, then over the scales."""

    def loss(logits: Logits) -> jax.Array:
        means = [jnp.mean(of_logits(x)) for x in jax.tree.leaves(logits)]
        return sum(means) / len(means)

    return loss


# Lim and Ye 2017, https://arxiv.org/abs/1705.02894; as SPADE uses it.
hinge = Adversarial(
    fake=_over_scales(lambda x: jax.nn.relu(1.0 + x)),
    real=_over_scales(lambda x: jax.nn.relu(1.0 - x)),
    generator=_over_scales(lambda x: -x),
)

# Mao et al. 2017, https://arxiv.org/abs/1611.04076, targets 0 and 1.
lsgan = Adversarial(
    fake=_over_scales(jnp.square),
    real=_over_scales(lambda x: jnp.square(x - 1.0)),
    generator=_over_scales(lambda x: jnp.square(x - 1.0)),
)

# Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661, non-saturating.
vanilla = Adversarial(
    fake=_over_scales(jax.nn.softplus),
    real=_over_scales(lambda x: jax.nn.softplus(-x)),
    generator=_over_scales(lambda x: jax.nn.softplus(-x)),
)

# Arjovsky et al. 2017, https://arxiv.org/abs/1701.07875; needs a penalty beside it.
wasserstein = Adversarial(
    fake=_over_scales(lambda x: x),
    real=_over_scales(lambda x: -x),
    generator=_over_scales(lambda x: -x),
)
