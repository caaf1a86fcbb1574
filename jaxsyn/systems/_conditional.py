"""What conditional GANs share: a discriminator that sees condition and image."""

from collections.abc import Mapping

import jax
from jax import lax
import jax.numpy as jnp

from jaxsyn.engine.nets import Nets
from jaxsyn.engine.system import Loss, Phase
from jaxsyn.losses import adversarial, reconstruction


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
    nets: Nets, condition: jax.Array, fake: jax.Array, real: jax.Array
) -> Loss:
    """Hinge loss of the network `discriminator`.

    Args:
      nets: The phase's networks.
      condition: What the images were made of, [B, H, W, L].
      fake: Synthetic images [B, H, W, C]; no gradient flows into them.
      real: Real ones.
    """
    fake = lax.stop_gradient(fake)
    # One pass over both: one update of the spectral norms.
    pairs = jnp.concatenate([_pair(condition, fake), _pair(condition, real)])
    logits = [features[-1] for features in nets("discriminator", pairs)]
    fake_logits, real_logits = zip(*(jnp.split(x, 2) for x in logits), strict=True)
    return Loss(
        {
            "fake": adversarial.hinge.fake(fake_logits),
            "real": adversarial.hinge.real(real_logits),
        }
    )


def generator_terms(
    nets: Nets,
    condition: jax.Array,
    fake: jax.Array,
    real: jax.Array,
    *,
    feature_matching: float,
) -> Mapping[str, jax.Array]:
    """Hinge loss of a generator, and its features' distance from the real ones'.

    Args:
      nets: The phase's networks.
      condition: What the images were made of, [B, H, W, L].
      fake: Synthetic images [B, H, W, C].
      real: Real ones.
      feature_matching: Weight of that distance; 0 leaves it out.
    """
    fake_features = nets("discriminator", _pair(condition, fake))
    logits = [features[-1] for features in fake_features]
    terms = {"adversarial": adversarial.hinge.generator(logits)}
    if feature_matching:
        real_features = nets("discriminator", _pair(condition, real))
        distance = reconstruction.feature_matching(fake_features, real_features)
        terms["features"] = feature_matching * distance
    return terms


def _pair(condition, image):
    return jnp.concatenate([condition, image], axis=-1)
