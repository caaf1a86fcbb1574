"""Segmentation losses: numbers by hand, and gradients where classes are empty."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsyn.losses import segmentation
from jaxsyn.losses.segmentation import LOSSES

# Two examples of two pixels and classes: probabilities of the second class, and its
# target. Per example and class, the sums over pixels are then:
#   y p: [[0.5, 0.75], [1.25, 0]]     y + p: [[1.75, 2.25], [3.25, 0.75]]
P = np.array([[0.5, 0.75], [0.25, 0.5]])
Y = np.array([[0, 1], [0, 0]])


def maps(p=P, y=Y, dtype=jnp.float32):
    logits = jnp.log(jnp.stack([1 - p, p], -1)).astype(dtype)
    return logits, jax.nn.one_hot(y, 2)


def entropy(background, lesion):
    """Each pixel's class has the probability 0.5, 0.75, 0.75 and 0.5."""
    by_hand = background * (2 * np.log(0.5) + np.log(0.75)) + lesion * np.log(0.75)
    return -by_hand / 4


BY_HAND = {
    "cross_entropy": entropy(1, 1),
    # Over the batch: y p [1.75, 0.75], y + p [5, 3].
    "weighted_dice": 1 - 2 * 2.5 / 8,
    "generalised_dice": 1 - 2 * 2.5 / 8,
    "soft_dice": -(1 / 1.75 + 1.5 / 2.25 + 2.5 / 3.25 + 0) / 4,
    "dice": -(1.5 / 2.25 + 0) / 2,
    "dice_cross_entropy": -(1.5 / 2.25 + 0) / 2 + entropy(0.001, 0.999),
}
WEIGHTED_BY_HAND = {  # Of the weights 1 and 3.
    "cross_entropy": entropy(1, 3),
    "weighted_dice": 1 - 2 * (1.75 + 3 * 0.75) / (5 + 3 * 3),
    "generalised_dice": 1 - 2 * (1.75 + 3 * 0.75) / (5 + 3 * 3),
    "soft_dice": -(1 / 1.75 + 2.5 / 3.25 + 3 * (1.5 / 2.25 + 0)) / 8,
    "dice": -(1.5 / 2.25 + 0) / 2,
    "dice_cross_entropy": -(1.5 / 2.25 + 0) / 2 + entropy(1, 3),
}


def test_every_loss_has_its_number():
    assert set(LOSSES) == set(BY_HAND) == set(WEIGHTED_BY_HAND)


@pytest.mark.parametrize("shape", [(2, 2, 2), (2, 1, 2, 2), (2, 1, 2, 1, 2)])
@pytest.mark.parametrize("name", LOSSES)
def test_by_hand(name, shape):
    logits, target = (x.reshape(shape) for x in maps())
    loss = jax.jit(LOSSES[name])
    np.testing.assert_allclose(loss(logits, target), BY_HAND[name], atol=1e-5)
    for weights in ([1.0, 3.0], jnp.array([1.0, 3.0])):
        found = loss(logits, target, class_weights=weights)
        np.testing.assert_allclose(found, WEIGHTED_BY_HAND[name], atol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_bfloat16_logits_are_reckoned_in_float32(name):
    # In bfloat16, sums stop growing at 256 ones.
    p, y = np.full((1, 4096), 0.5), np.zeros((1, 4096), int)
    y[:, :2048] = 1
    loss = LOSSES[name](*maps(p, y, jnp.bfloat16))
    assert loss.dtype == jnp.float32
    np.testing.assert_allclose(loss, LOSSES[name](*maps(p, y)), rtol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_the_middle_class_of_three_may_be_empty(name):
    target = jax.nn.one_hot(jnp.array([[0, 2], [0, 2]]), 3)
    weights = segmentation.balanced_weights(target.sum((0, 1)))
    logits = jax.random.normal(jax.random.key(0), target.shape)
    for given in (None, weights):
        loss = lambda x, given=given: LOSSES[name](x, target, class_weights=given)  # noqa: E731
        value, gradient = jax.value_and_grad(loss)(logits)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all() and (gradient != 0).any()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("y", [Y, np.zeros((2, 2), int)], ids=["lesion", "no lesion"])
def test_perfect_predictions_reach_the_least_loss(name, y):
    target = jax.nn.one_hot(y, 2)
    least = -1.0 if name in ("soft_dice", "dice", "dice_cross_entropy") else 0.0
    for sure in (100.0, 1e4):
        value, gradient = jax.value_and_grad(LOSSES[name])(sure * target, target)
        # Empty pairs of masks included: they count as found.
        np.testing.assert_allclose(value, least, atol=1e-5)
        assert np.isfinite(gradient).all()
        wrong = LOSSES[name](sure * (1 - target), target)
        assert wrong > value + 0.3


def test_weighted_dice_sums_over_the_batch_and_soft_dice_does_not():
    # A lesion found in one example, missed in the other where it is smaller.
    target = np.array([[1, 1, 1, 0], [1, 0, 0, 0]])
    logits, one_hot = maps(np.array([[1, 1, 1, 0], [0, 0, 0, 0]]) * 0.999999, target)
    lesion = [0.0, 1.0]
    whole = segmentation.weighted_dice(logits, one_hot, class_weights=lesion)
    np.testing.assert_allclose(whole, 1 - 2 * 3 / 7, atol=1e-4)
    each = segmentation.soft_dice(logits, one_hot, class_weights=lesion)
    np.testing.assert_allclose(each, -0.5, atol=1e-4)


def test_balanced_weights_by_hand():
    for counts in ([60, 0, 30, 10], [0.6, 0, 0.3, 0.1]):
        weights = segmentation.balanced_weights(counts)
        np.testing.assert_allclose(weights, [100 / 240, 0, 100 / 120, 2.5], rtol=1e-6)
    weights = segmentation.balanced_weights(jnp.array([4, 4]))
    np.testing.assert_allclose(weights, [1.0, 1.0])


def test_squared_weights_make_the_generalised_dice_of_sudre():
    logits, target = maps()
    weights = segmentation.balanced_weights(target.sum((0, 1))) ** 2
    # Three pixels of background, one of lesion: 1 / 9 and 1.
    expected = 1 - 2 * (1.75 / 9 + 0.75) / (5 / 9 + 3)
    found = segmentation.generalised_dice(logits, target, class_weights=weights)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
