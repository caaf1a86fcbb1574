"""Which differences between methods are more than chance.

All comparisons are paired: methods are compared on the same units, cases as a rule.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import math

from jaxtyping import Float, Int
import numpy as np
from scipy import stats

from jaxsyn.errors import DataError

FEWEST_UNITS = 6  # Of fewer pairs no two-sided Wilcoxon test can reach 0.05.
_RESAMPLES = 9999
_ROUNDING = 1e-12


@dataclasses.dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean over units, and where it would lie in other samples of them.

    Attributes:
      mean: Of the sample.
      low: Lower end of the confidence interval.
      high: Upper end.
      count: Units in the sample.
    """

    mean: float
    low: float
    high: float
    count: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """A method against the one it is compared with.

    Attributes:
      difference: Of the means over units; positive if the method's is higher.
      p: Of Wilcoxon's signed-rank test, two-sided; NaN where nothing was tested.
      adjusted: The same after Holm's correction for all that are compared.
    """

    difference: Interval
    p: float
    adjusted: float


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Ranking:
    """Friedman's test of methods over units, and Nemenyi's of each two of them.

    Attributes:
      names: Of the methods.
      ranks: Mean rank of each; 1 is best.
      count: Units.
      statistic: Friedman's, corrected for ties.
      p: Of it, by the chi-square distribution.
      critical_difference: From which on mean ranks differ.
      signs: [K, K]: 1 where the row's method is better than the column's, -1 where it
        is worse, 0 where that is not known; all 0 if Friedman's test finds nothing.
    """

    names: tuple[str, ...]
    ranks: Float[np.ndarray, " k"]
    count: int
    statistic: float
    p: float
    critical_difference: float
    signs: Int[np.ndarray, "k k"]

    @property
    def scores(self) -> dict[str, int]:
        """How many each is better than, less how many it is worse than."""
        totals = self.signs.sum(axis=1).tolist()
        return dict(zip(self.names, totals, strict=True))


def interval(
    values: Sequence[float], *, level: float = 0.95, seed: int = 0
) -> Interval:
    """The mean with its bootstrap interval, bias-corrected and accelerated.

    Efron 1987, https://doi.org/10.1080/01621459.1987.10478410. Values that are NaN do
    not count. Of equal values the interval is a point; fewer than `FEWEST_UNITS` have
    none, its ends are NaN, and the mean of nothing is NaN.
    """
    values = np.asarray(values, float)
    values = values[~np.isnan(values)]
    mean = float(values.mean()) if values.size else math.nan
    if len(values) < FEWEST_UNITS:
        return Interval(mean=mean, low=math.nan, high=math.nan, count=len(values))
    if np.ptp(values) <= _ROUNDING * np.abs(values).max():
        return Interval(mean=mean, low=mean, high=mean, count=len(values))
    found = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=_RESAMPLES,
        confidence_level=level,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    low, high = float(found.low), float(found.high)
    return Interval(mean=mean, low=low, high=high, count=len(values))


def compare(
    methods: Mapping[str, Sequence[float]],
    baseline: Sequence[float],
    *,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Comparison]:
    """Compares methods with one, unit by unit.

    Wilcoxon 1945, https://doi.org/10.2307/3001968, ties and equal pairs by Pratt's
    rule; Holm 1979, https://www.jstor.org/stable/4615733. A unit in which either is
    NaN does not count. Of fewer than `FEWEST_UNITS` nothing is tested: p is NaN.

    Args:
      methods: For each its values, in the order of units.
      baseline: Those of what they are compared with.
      level: Of the intervals.
      seed: Of their resampling.

    Raises:
      DataError: Units differ.
    """
    found = {}
    for name, values in methods.items():
        if len(values) != len(baseline):
            raise DataError(
                f"{name} has {len(values)} units, the baseline {len(baseline)}.",
                hint="Compare methods that were tested on the same cases.",
            )
        differences = np.asarray(values, float) - np.asarray(baseline, float)
        differences = differences[~np.isnan(differences)]
        p = 1.0
        if len(differences) < FEWEST_UNITS:
            p = math.nan
        elif differences.any():
            p = float(stats.wilcoxon(differences, zero_method="pratt").pvalue)
        found[name] = interval(differences, level=level, seed=seed), p
    adjusted = holm([p for _, p in found.values()])
    return {
        name: Comparison(difference=difference, p=p, adjusted=corrected)
        for (name, (difference, p)), corrected in zip(
            found.items(), adjusted, strict=True
        )
    }


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number, step by step from the smallest.

    Those that are NaN are no tests, and remain.
    """
    tests = int(np.count_nonzero(~np.isnan(p_values)))
    order, highest = np.argsort(p_values)[:tests], 0.0  # NaN comes last.
    adjusted = dict.fromkeys(range(len(p_values)), math.nan)
    for place, index in enumerate(order.tolist()):
        corrected = (tests - place) * p_values[index]
        highest = max(highest, min(float(corrected), 1.0))
        adjusted[index] = highest
    return [adjusted[index] for index in range(len(p_values))]


def rank(
    methods: Mapping[str, Sequence[float]], *, alpha: float = 0.05, higher: bool = True
) -> Ranking:
    """Ranks methods over units, and says which differ.

    Demšar 2006, https://www.jmlr.org/papers/v7/demsar06a.html: mean ranks, equal ones
    shared; Friedman's test; then Nemenyi's, which calls two methods different if their
    mean ranks are further apart than q_alpha·sqrt(k (k + 1) / 6N).

    Args:
      methods: For each its values, in the order of units.
      alpha: Level of both tests.
      higher: Whether high values are good.

    Raises:
      DataError: There are fewer than three methods, too few units, or values that are
        NaN.
    """
    values = np.array([*methods.values()], float).T
    count, k = values.shape
    if k < 3:
        raise DataError(
            f"Friedman's test is of three methods or more; there are {k}.",
            hint="Compare two methods by Wilcoxon's test.",
        )
    if count < FEWEST_UNITS:
        raise DataError(
            f"{count} units are too few for a test; {FEWEST_UNITS} are the fewest that"
            " can show anything.",
            hint="Test on more cases, or report the values without ranks.",
        )
    if np.isnan(values).any():
        raise DataError(
            f"{np.isnan(values).any(axis=1).sum()} of {count} units have no value for"
            " some method.",
            hint="Leave these units out for all, or choose what empty masks count for.",
        )
    ranks = stats.rankdata(-values if higher else values, axis=1).mean(axis=0)
    statistic, p = stats.friedmanchisquare(*values.T)
    apart = critical_difference(k, count, alpha)
    signs = np.zeros((k, k), int)
    if p < alpha:
        gaps = ranks[None] - ranks[:, None]
        signs = np.sign(gaps).astype(int) * (np.abs(gaps) > apart)
    return Ranking(
        names=tuple(methods),
        ranks=ranks,
        count=count,
        statistic=float(statistic),
        p=float(p),
        critical_difference=apart,
        signs=signs,
    )


def critical_difference(methods: int, units: int, alpha: float = 0.05) -> float:
    """Nemenyi's critical difference of mean ranks."""
    q = stats.studentized_range.ppf(1.0 - alpha, methods, math.inf) / math.sqrt(2.0)
    return float(q * math.sqrt(methods * (methods + 1) / (6.0 * units)))
