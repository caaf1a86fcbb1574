"""Losses of segmentation networks, for slices and volumes alike.

All take logits [B, ..., C] of any float type, a one-hot target of the same shape and,
optionally, a weight for each of the C classes; they reckon in float32 and return a
scalar. `LOSSES` has them by name. Dice overlaps take probabilities, not decisions.
"""

from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Maps = Float[Array, "b *space c"]
Weights = Float[Array, " c"] | Sequence[float]


def balanced_weights(counts: Float[Array, " c"] | Sequence[float]) -> jax.Array:
    """Weights N / (C n_c) of C classes with n_c pixels, or a share n_c of N = 1.

    A class without pixels weighs 0. The squares of these weights are, up to a common
    factor, those of Sudre et al. 2017, https://arxiv.org/abs/1707.03237.
    """
    counts = jnp.asarray(counts, jnp.float32)
    even = counts.sum() / counts.size
    return even / jnp.where(counts > 0, counts, jnp.inf)


def cross_entropy(
    logits: Maps, target: Maps, *, class_weights: Weights | None = None
) -> jax.Array:
    """The mean over pixels of -w_c log p_c, where c is the pixel's class.

    The weights are not divided by their mean, as some libraries do.
    """
    log_p = jax.nn.log_softmax(logits.astype(jnp.float32))
    pixels = tuple(range(logits.ndim - 1))
    of_class = -jnp.mean(target * log_p, axis=pixels)
    return jnp.sum(_weights(class_weights, of_class) * of_class)


def weighted_dice(
    logits: Maps, target: Maps, *, class_weights: Weights | None = None
) -> jax.Array:
    """1 - 2 Σ_c w_c Σ y p / (Σ_c w_c Σ (y + p) + 1e-5), sums over batch and pixels.

    In [0, 1]. Foroozandeh and Eklund 2020, https://arxiv.org/abs/2009.05946, with the
    `balanced_weights` of the whole training set.
    """
    both, either = _overlap(logits, target)
    both, either = both.sum(axis=0), either.sum(axis=0)
    weights = _weights(class_weights, both)
    return 1.0 - 2.0 * jnp.sum(weights * both) / (jnp.sum(weights * either) + 1e-5)


def generalised_dice(
    logits: Maps, target: Maps, *, class_weights: Weights | None = None
) -> jax.Array:
    """1 - 2 Σ_c Σ y p / Σ_c Σ (y + p): weighted Dice whose default weights are 1.

    So prints it Guo et al. 2020 (SAMR). For that of Sudre et al. 2017,
    https://arxiv.org/abs/1707.03237, pass squared `balanced_weights` of the batch.
    """
    return weighted_dice(logits, target, class_weights=class_weights)


def soft_dice(
    logits: Maps, target: Maps, *, class_weights: Weights | None = None
) -> jax.Array:
    """-(2 Σ y p + ε) / (Σ y + Σ p + ε), the mean over examples and classes.

    In [-1, 0]. Vu et al. 2025, equation 5, with ε = 1e-5. The sign is before the whole
    fraction; as printed, before the first sum, two empty masks would lose 1, not -1.
    """
    return -_mean_dice(logits, target, class_weights, epsilon=1e-5)


def dice(
    logits: Maps, target: Maps, *, class_weights: Weights | None = None
) -> jax.Array:
    """Soft Dice of all classes but the first, the background, with ε = 1e-6.

    In [-1, 0]. What the public code of `dice_cross_entropy` comes down to, where the
    cross-entropy is near 0 whatever is predicted.
    """
    return -_mean_dice(logits, target, class_weights, epsilon=1e-6, first=1)


def dice_cross_entropy(
    logits: Maps, target: Maps, *, class_weights: Weights | None = None
) -> jax.Array:
    """`dice` plus cross-entropy.

    Platscher et al. 2020, https://arxiv.org/abs/2010.02745; the minus that the print
    of the cross-entropy lacks is there.

    Args:
      logits: As everywhere.
      target: The same.
      class_weights: Of the cross-entropy alone; by default, as in the public code,
        0.001 for the background and 0.999 for all else.
    """
    if class_weights is None:
        class_weights = [0.001] + [0.999] * (logits.shape[-1] - 1)
    entropy = cross_entropy(logits, target, class_weights=class_weights)
    return dice(logits, target) + entropy


def _weights(class_weights, like):
    """The weights as float32, 1 for each class if there are none."""
    if class_weights is None:
        return jnp.ones_like(like)
    return jnp.asarray(class_weights, jnp.float32)


def _overlap(logits, target):
    """Sums over pixels of y p and of y + p, [B, C] each."""
    p = jax.nn.softmax(logits.astype(jnp.float32))
    target = target.astype(jnp.float32)
    pixels = tuple(range(1, logits.ndim - 1))
    return jnp.sum(target * p, axis=pixels), jnp.sum(target + p, axis=pixels)


def _mean_dice(logits, target, class_weights, *, epsilon, first=0):
    """The weighted mean over classes from `first` on, of the mean over examples."""
    both, either = _overlap(logits, target)
    of_class = jnp.mean((2.0 * both + epsilon) / (either + epsilon), axis=0)
    weights = _weights(class_weights, of_class)[first:]
    return jnp.sum(weights * of_class[first:]) / jnp.sum(weights)


LOSSES: Mapping[str, Callable[..., jax.Array]] = {
    loss.__name__: loss
    for loss in (
        cross_entropy,
        weighted_dice,
        soft_dice,
        generalised_dice,
        dice_cross_entropy,
        dice,
    )
}
