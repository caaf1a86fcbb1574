"""Histograms: numbers by hand."""

import numpy as np
import pytest
from scipy import stats

from jaxsyn.errors import UsageError
from jaxsyn.metrics.histograms import histogram_distance


def test_two_bins_by_hand():
    real, fake = np.array([[-0.5, -0.5], [-0.5, 0.5]]), np.array([0.5, 0.5, 0.5, -0.5])
    found = histogram_distance(real, fake, bins=2)
    np.testing.assert_array_equal(found.edges, [-1, 0, 1])
    np.testing.assert_allclose(found.real, [0.75, 0.25])
    np.testing.assert_allclose(found.fake, [0.25, 0.75])
    # Half of the pixels move by the distance of the bins, which is 1.
    assert found.wasserstein == pytest.approx(0.5)
    assert found.intersection == pytest.approx(0.5)
    assert found.outside == 0


def test_the_distance_is_that_of_the_samples_up_to_a_bin():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(-0.2, 0.1, 5000), rng.normal(0.1, 0.2, 3000)
    found = histogram_distance(real, fake, bins=200)
    expected = stats.wasserstein_distance(real, fake)
    assert found.wasserstein == pytest.approx(expected, abs=0.01)
    same = histogram_distance(real, real[::-1])
    assert same.wasserstein == 0 and same.intersection == pytest.approx(1.0)


def test_pixels_outside_are_counted():
    found = histogram_distance(
        np.array([0.0, 2.0]), np.array([0.0, 0.5]), value_range=(-1, 1)
    )
    assert found.outside == pytest.approx(1 / 4)
    with pytest.raises(UsageError, match="synthetic images lies in .0.0, 1.0."):
        histogram_distance(np.ones(3), -np.ones(3), value_range=(0.0, 1.0))
