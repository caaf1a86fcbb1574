"""What conditional GANs share: a discriminator that sees condition and image."""

import jax
from jax import lax
import jax.numpy as jnp

from jaxsyn.engine.nets import Nets
from jaxsyn.engine.system import Loss, Phase
from jaxsyn.losses import adversarial, reconstruction
from jaxsyn.losses.adversarial import Adversarial


def phases(system, generating: tuple[str, ...] = ("generator",)) -> tuple[Phase, ...]:
    """A discriminator's update, then the generator's, on one and the same fake.

    Both phases draw from one stream, so their forward passes through the generator
    are equal and XLA computes them once.
    """
    return (
        Phase(
            "discriminator",
            ("discriminator",),
            system.discriminator_loss,
            noise="step",
        ),
        Phase("generator", generating, system.generator_loss, noise="step"),
    )


def discriminator_loss(
    nets: Nets,
    condition: jax.Array,
    fake: jax.Array,
    real: jax.Array,
    *,
    game: Adversarial = adversarial.hinge,
    weight: float = 1.0,
) -> Loss:
    """What the network `discriminator` loses.

    Args:
      nets: The phase's networks.
      condition: What the images were made of, [B, H, W, L].
      fake: Synthetic images [B, H, W, C]; no gradient flows into them.
      real: Real ones.
      game: Whose loss.
      weight: Of both terms.
    """
    fake = lax.stop_gradient(fake)
    # One pass over both: one update of the spectral norms.
    pairs = jnp.concatenate([_pair(condition, fake), _pair(condition, real)])
    logits = [features[-1] for features in nets("discriminator", pairs)]
    fake_logits, real_logits = zip(*(jnp.split(x, 2) for x in logits), strict=True)
    return Loss(
        {
            "fake": weight * game.fake(fake_logits),
            "real": weight * game.real(real_logits),
        }
    )


def generator_terms(
    nets: Nets,
    condition: jax.Array,
    fake: jax.Array,
    real: jax.Array,
    *,
    feature_matching: float = 0.0,
    game: Adversarial = adversarial.hinge,
) -> dict[str, jax.Array]:
    """What a generator loses, and its features' distance from the real ones'.

    Args:
      nets: The phase's networks.
      condition: What the images were made of, [B, H, W, L].
      fake: Synthetic images [B, H, W, C].
      real: Real ones.
      feature_matching: Weight of that distance; 0 leaves it out.
      game: Whose loss.
    """
    fake_features = nets("discriminator", _pair(condition, fake))
    logits = [features[-1] for features in fake_features]
    terms = {"adversarial": game.generator(logits)}
    if feature_matching:
        real_features = nets("discriminator", _pair(condition, real))
        distance = reconstruction.feature_matching(fake_features, real_features)
        terms["features"] = feature_matching * distance
    return terms


def _pair(condition, image):
    return jnp.concatenate([condition, image], axis=-1)
