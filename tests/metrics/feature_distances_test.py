"""Distances between feature sets: references, numbers by hand, invariants."""

import numpy as np
import pytest
from scipy import linalg

from jaxsyn.errors import UsageError
from jaxsyn.metrics.frechet import frechet_distance
from jaxsyn.metrics.kernel import kernel_distance
from jaxsyn.metrics.manifold import manifold


def features(count, dims, seed, *, shift=0.0):
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(99).standard_normal((dims, dims))
    return (rng.standard_normal((count, dims)) + shift) @ mix


@pytest.mark.parametrize(("n", "m"), [(60, 40), (60, 7), (9, 60)])
def test_frechet_agrees_with_the_matrix_root(n, m):
    real, fake = features(n, 12, 0), features(m, 12, 1, shift=0.5)
    c1, c2 = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    root = linalg.sqrtm(c1 @ c2).real
    gap = real.mean(0) - fake.mean(0)
    expected = gap @ gap + np.trace(c1 + c2 - 2 * root)
    # The root of a singular matrix is good to half the digits only.
    found = frechet_distance(real, fake)
    assert found.value == pytest.approx(expected, rel=1e-10 if min(n, m) > 12 else 1e-5)
    assert (found.n_real, found.n_fake, found.dims) == (n, m, 12)
    assert bool(found.warning) == (min(n, m) < 12)


def test_frechet_by_hand():
    # Means 1 and 4, variances 2 and 8: 3² + (√2 − √8)² = 9 + 2.
    real, fake = np.array([[0.0], [2.0]]), np.array([[2.0], [6.0]])
    assert frechet_distance(real, fake).value == pytest.approx(11.0)
    assert frechet_distance(real, real).value == pytest.approx(0.0, abs=1e-12)


def test_frechet_is_symmetric_and_finite_in_float32_with_few_samples():
    real = features(20, 64, 0).astype(np.float32) * 1e3
    fake = features(15, 64, 1).astype(np.float32) * 1e3
    one, other = frechet_distance(real, fake), frechet_distance(fake, real)
    assert one.value == pytest.approx(other.value) and np.isfinite(one.value)
    assert one.warning.startswith("15 samples do not span 64 features")


@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        (np.zeros((3, 2)), np.zeros((3, 3)), r"\(3, 2\) and \(3, 3\)"),
        (np.zeros((3, 2)), np.zeros((1, 2)), "at least 2"),
        (np.zeros(3), np.zeros(3), "not .N, D."),
        (np.zeros((3, 2)), np.full((3, 2), np.nan), "synthetic images are not all"),
    ],
)
@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance, manifold])
def test_features_that_cannot_be_compared_are_refused(distance, real, fake, message):
    with pytest.raises(UsageError, match=message):
        distance(real, fake)


def test_kernel_by_hand():
    # One dimension, kernel (xy + 1)³. Real 0, 1: 1. Fake 1, 2: 27. Across: 1, 1, 8, 27.
    real, fake = np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])
    expected = 1 + 27 - 2 * (1 + 1 + 8 + 27) / 4
    found = kernel_distance(real, fake, subsets=3)
    assert found.value == pytest.approx(expected)
    assert found.subset_size == 2 and "2 samples, not 1000" in found.warning


def test_kernel_blocks_make_no_difference(monkeypatch):
    real, fake = features(23, 5, 0), features(31, 5, 1)
    whole = kernel_distance(real, fake, subsets=2)
    monkeypatch.setattr("jaxsyn.metrics.kernel._BLOCK", 4)
    assert kernel_distance(real, fake, subsets=2).value == pytest.approx(whole.value)


def test_kernel_is_unbiased_and_its_standard_error_is_right():
    def draw(seed):
        real, fake = (np.random.default_rng([seed, s]) for s in (0, 1))
        return kernel_distance(
            real.standard_normal((80, 4)) + 0.6,
            fake.standard_normal((80, 4)),
            subsets=30,
            subset_size=20,
        )

    draws = [draw(seed) for seed in range(60)]
    values = np.array([d.value for d in draws])
    # The expectations of the kernel are moments of normal variables: by a large draw.
    rng = np.random.default_rng(7)
    x, y, z = (rng.standard_normal((400_000, 4)) for _ in range(3))
    kernel = lambda a, b: ((a * b).sum(1) / 4 + 1) ** 3  # noqa: E731
    truth = (kernel(x + 0.6, z + 0.6) + kernel(x, y) - 2 * kernel(x + 0.6, y)).mean()
    assert abs(values.mean() - truth) < 4 * values.std() / np.sqrt(60)
    predicted = np.sqrt(np.mean([d.standard_error**2 for d in draws]))
    assert predicted == pytest.approx(values.std(), rel=0.35)


def test_kernel_subsets_follow_the_seed():
    real, fake = features(40, 5, 0), features(30, 5, 1)
    one, again = (kernel_distance(real, fake, subset_size=9, seed=3) for _ in range(2))
    other = kernel_distance(real, fake, subset_size=9, seed=4)
    assert one == again and one.warning == ""
    assert one.subset_mean != other.subset_mean and one.value == other.value


def test_manifold_by_hand():
    # Balls of the real 0, 1, 3 with k = 1 reach 1, 1, 2; those of the fake 4, 10, 11
    # reach 6, 1, 1. Of the fake only 4 is in a ball, that of 3; all real are in 4's.
    real, fake = np.array([[0.0], [1.0], [3.0]]), np.array([[4.0], [10.0], [11.0]])
    found = manifold(real, fake, k=1)
    assert found.precision == pytest.approx(1 / 3)
    assert found.recall == pytest.approx(1.0)
    assert found.density == pytest.approx(1 / 3)
    assert found.coverage == pytest.approx(1 / 3)
    swapped = manifold(fake, real, k=1)
    assert (swapped.precision, swapped.recall) == (found.recall, found.precision)
    assert (swapped.density, swapped.coverage) == (
        pytest.approx(1),
        pytest.approx(1 / 3),
    )


def test_manifold_agrees_with_loops(monkeypatch):
    monkeypatch.setattr("jaxsyn.metrics.manifold._BLOCK", 7)
    real, fake = features(30, 3, 0) + 1e8, features(20, 3, 1, shift=1.0) + 1e8
    found = manifold(real, fake, k=4)

    def radius(x, i):
        return np.sort(np.linalg.norm(x - x[i], axis=1))[4]

    held = np.array(
        [
            [np.linalg.norm(r - f) <= radius(real, i) for i, r in enumerate(real)]
            for f in fake
        ]
    )
    assert found.precision == pytest.approx(held.any(1).mean())
    assert found.coverage == pytest.approx(held.any(0).mean())
    assert found.density == pytest.approx(held.sum() / (4 * 20))
    assert 0 < found.precision < 1 and 0 < found.coverage < 1


def test_manifold_tells_a_collapse_from_a_full_set():
    real = features(200, 3, 0)
    collapsed = manifold(real, np.repeat(real[:4], 20, axis=0) + 1e-3)
    assert collapsed.precision > 0.9 and collapsed.recall < 0.1
    assert collapsed.coverage < 0.3


def test_manifold_needs_more_samples_than_neighbours():
    with pytest.raises(UsageError, match="k is 5 for 9 real and 5 synthetic"):
        manifold(features(9, 2, 0), features(5, 2, 1))
