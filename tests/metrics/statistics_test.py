"""Intervals and tests, against numbers known by hand or from scipy."""

import numpy as np
import pytest
from scipy import stats

from jaxsyn.errors import DataError
from jaxsyn.metrics import statistics


def test_an_interval_holds_the_mean_and_shrinks_with_the_sample():
    rng = np.random.default_rng(0)
    small, large = rng.normal(0.8, 0.1, 20), rng.normal(0.8, 0.1, 500)
    narrow, wide = statistics.interval(large), statistics.interval(small)
    for found, values in ((wide, small), (narrow, large)):
        assert found.low < found.mean < found.high and found.count == len(values)
        # Near the normal approximation, as it must be for normal values.
        error = values.std(ddof=1) / np.sqrt(len(values))
        assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.12)
    assert statistics.interval(small) == wide  # The same draws.


def test_most_intervals_hold_the_truth():
    rng = np.random.default_rng(1)
    held = 0
    for seed in range(100):
        found = statistics.interval(rng.exponential(1.0, 25), seed=seed)
        held += found.low < 1.0 < found.high
    assert 85 <= held <= 99


def test_an_interval_of_equal_values_is_a_point_and_nan_does_not_count():
    found = statistics.interval([0.5] * 6 + [np.nan])
    assert (found.low, found.mean, found.high, found.count) == (0.5, 0.5, 0.5, 6)
    rounded = statistics.interval([0.1 + 0.2, 0.3, 0.3, 0.3, 0.3, 0.3])
    assert rounded.low == rounded.mean == rounded.high


def test_few_values_have_a_mean_without_an_interval():
    found = statistics.interval([0.1, 0.2, 0.3, 0.4, 0.5, np.nan])
    assert found.mean == pytest.approx(0.3) and found.count == 5
    assert np.isnan([found.low, found.high]).all()
    assert np.isnan(statistics.interval([np.nan]).mean)


def test_holm_by_hand():
    # Sorted .01, .02, .03, .2 times 4, 3, 2, 1, and never falling.
    assert statistics.holm([0.03, 0.01, 0.2, 0.02]) == pytest.approx(
        [0.06, 0.04, 0.2, 0.06]
    )
    assert statistics.holm([0.5, 0.9]) == [1.0, 1.0]
    assert statistics.holm([]) == []
    # What is no test does not count as one.
    found = statistics.holm([0.03, np.nan, 0.01])
    assert found[::2] == pytest.approx([0.03, 0.02]) and np.isnan(found[1])


def test_methods_are_compared_unit_by_unit():
    rng = np.random.default_rng(2)
    baseline = rng.uniform(0.3, 0.9, 30)  # Cases differ far more than methods.
    methods = {
        "better": baseline + rng.normal(0.02, 0.01, 30),
        "same": baseline + rng.normal(0.0, 0.01, 30),
        "equal": baseline.copy(),
    }
    methods["better"][3] = np.nan
    found = statistics.compare(methods, baseline)
    assert found["better"].difference.count == 29
    assert found["better"].difference.low > 0 and found["better"].adjusted < 1e-3
    assert found["same"].adjusted > 0.05 and found["equal"].p == 1.0
    keep = np.arange(30) != 3
    expected = stats.wilcoxon(methods["better"][keep] - baseline[keep]).pvalue
    assert found["better"].p == pytest.approx(expected)
    assert found["better"].adjusted == pytest.approx(3 * expected)


def test_too_few_units_get_no_p_value():
    few = statistics.compare({"few": [1.0, 2, 3, 4, 5]}, [0.0] * 5)["few"]
    assert few.difference.mean == 3 and np.isnan([few.p, few.adjusted]).all()
    with pytest.raises(DataError, match="a has 2 units, the baseline 3"):
        statistics.compare({"a": [1.0, 2]}, [1.0, 2, 3])
    # With one more the smallest p there can be is below 0.05.
    found = statistics.compare({"six": [1.0, 2, 3, 4, 5, 6]}, [0.0] * 6)
    assert found["six"].p == pytest.approx(2 / 2**6)


@pytest.mark.parametrize(
    ("methods", "units", "expected"),
    # By scipy's studentised range: q 3.67756 and 2.72777.
    [(26, 74, 4.6242), (26, 4, 19.889), (5, 30, 1.1136)],
)
def test_critical_differences(methods, units, expected):
    found = statistics.critical_difference(methods, units)
    assert found == pytest.approx(expected, rel=1e-4)


def test_ranks_by_hand_and_signs_of_what_is_better():
    values = np.tile([0.9, 0.7, 0.7, 0.1], (20, 1))
    names = ("best", "one", "other", "worst")
    found = statistics.rank(dict(zip(names, values.T, strict=True)))
    np.testing.assert_allclose(found.ranks, [1.0, 2.5, 2.5, 4.0])
    # Demšar's example of 4 methods: q 2.569; sqrt(4·5 / 120).
    assert found.critical_difference == pytest.approx(2.569 * np.sqrt(20 / 120), 1e-3)
    expected = [[0, 1, 1, 1], [-1, 0, 0, 1], [-1, 0, 0, 1], [-1, -1, -1, 0]]
    np.testing.assert_array_equal(found.signs, expected)
    assert found.scores == {"best": 3, "one": 0, "other": 0, "worst": -3}
    assert found.statistic == pytest.approx(stats.friedmanchisquare(*values.T)[0])
    low = statistics.rank(dict(zip(names, values.T, strict=True)), higher=False)
    np.testing.assert_array_equal(low.signs, -found.signs)


def test_where_friedman_finds_nothing_there_are_no_signs():
    rng = np.random.default_rng(3)
    values = rng.uniform(size=(12, 6))
    found = statistics.rank({str(i): column for i, column in enumerate(values.T)})
    assert found.p > 0.05 and not found.signs.any()
    assert sum(found.scores.values()) == 0


def test_ranking_needs_three_methods_units_and_values():
    fine = list(range(8))
    with pytest.raises(DataError, match="there are 2.*\n.*Wilcoxon"):
        statistics.rank({"a": fine, "b": fine})
    with pytest.raises(DataError, match="3 units are too few"):
        statistics.rank({name: [1, 2, 3] for name in "abc"})
    with pytest.raises(DataError, match="1 of 8 units have no value"):
        statistics.rank({"a": fine, "b": fine, "c": [*fine[:-1], np.nan]})
