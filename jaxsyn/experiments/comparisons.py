"""Which arms of an experiment differ, case by case."""

from collections.abc import Mapping, Sequence
import math

import numpy as np

from jaxsyn.errors import DataError
from jaxsyn.experiments.results import ArmResults, Unit
from jaxsyn.experiments.settings import Experiment
from jaxsyn.metrics import statistics

LOWER_IS_BETTER = ("hd", "hd95", "assd", "loss", "relative_volume")
ALPHA = 0.05
Compared = dict[str, dict[str, statistics.Comparison]]


def with_baseline(experiment: Experiment, results: Sequence[ArmResults]) -> Compared:
    """Compares arms with the baseline of their judge.

    Returns:
      By judge, region and metric in words, then arm.
    """
    found: Compared = {}
    for baseline, arms in _groups(experiment, results):
        for metric in experiment.compared:
            base = baseline.units(metric)
            for region in dict.fromkeys(region for _, region in base):
                units = [unit for unit in base if unit[1] == region]
                methods = {
                    label(arm, results): _aligned(arm.units(metric), units)
                    for arm in arms
                }
                what = words(baseline, results, region, metric)
                compared = statistics.compare(methods, _aligned(base, units))
                found.setdefault(what, {}).update(compared)
    return found


def rankings(
    experiment: Experiment, results: Sequence[ArmResults]
) -> tuple[dict[str, statistics.Ranking], list[str]]:
    """Ranks all arms of a judge, by metric.

    Returns:
      By judge and metric in words; and what is to be said of them.
    """
    found, why = {}, []
    for judge in dict.fromkeys(result.arm.judge for result in results):
        arms = [result for result in results if result.arm.judge == judge]
        for metric in experiment.compared:
            what = words(arms[0], results, metric)
            units = {
                label(arm, results): _blocks(arm.units(metric), experiment.unit)
                for arm in arms
            }
            methods, left_out, cases = _complete(units)
            if left_out:
                why.append(
                    f"{what}: {left_out} blocks without a value for some method are"
                    " left out."
                )
            # Regions of a few patients would pass for as many units.
            if cases < statistics.FEWEST_UNITS:
                why.append(
                    f"{what}: {cases} cases are too few to rank methods;"
                    f" {statistics.FEWEST_UNITS} are the fewest that can show anything."
                )
                continue
            try:
                found[what] = statistics.rank(
                    methods, higher=metric not in LOWER_IS_BETTER
                )
            except DataError as error:
                why.append(f"{what}: {error.args[0]}")
    return found, why


def in_words(
    what: str, arms: Mapping[str, statistics.Comparison], baseline: str
) -> str:
    """Which arms are better or worse than the baseline, in a sentence."""
    tested = {name: c for name, c in arms.items() if not math.isnan(c.p)}
    if not tested:
        return "There are too few cases to test anything."
    cases = max(c.difference.count for c in tested.values())
    least = 2.0 ** (1 - cases)  # Of Wilcoxon's test, where all differ to one side.
    if least * len(tested) >= ALPHA:
        return (
            f"{what}, against “{baseline}”: {cases} cases are too few to tell"
            f" {len(tested)} arms by tests: no p is less than {least:.3f}, or"
            f" {least * len(tested):.2f} with Holm's correction. See the intervals."
        )
    sign = -1 if what.split()[-1] in LOWER_IS_BETTER else 1
    better, worse = [], []
    for name, comparison in tested.items():
        if comparison.adjusted < ALPHA:
            good = sign * comparison.difference.mean > 0
            (better if good else worse).append(name)
    parts = [
        f"{', '.join(names)} {'are' if len(names) > 1 else 'is'} {how}"
        for names, how in ((better, "better"), (worse, "worse"))
        if names
    ]
    rest = len(tested) - len(better) - len(worse)
    if rest:
        parts.append(f"{rest} of {len(tested)} cannot be told apart from it")
    return f"{what}, against “{baseline}”: {'; '.join(parts)}."


def label(result: ArmResults, among: Sequence[ArmResults]) -> str:
    """An arm's name, with its column where those of its judge have several."""
    columns = {r.arm.column for r in among if r.arm.judge == result.arm.judge}
    column = result.arm.column if len(columns) > 1 else ""
    return ": ".join(filter(None, (column, result.arm.name)))


def words(result: ArmResults, among: Sequence[ArmResults], *others: str) -> str:
    """What is compared, with the judge where there are several."""
    judge = result.arm.judge if len({r.arm.judge for r in among}) > 1 else ""
    return " ".join(filter(None, (judge, *others)))


def _groups(experiment, results):
    """For each baseline the arms that are compared with it: those of its column.

    The first of a judge's baselines serves the columns that have none.
    """
    baselines = [r for r in results if r.arm.name == experiment.baseline]
    own = {(b.arm.judge, b.arm.column): b for b in reversed(baselines)}
    first = {b.arm.judge: b for b in reversed(baselines)}
    for baseline in baselines:
        arms = [
            r
            for r in results
            if r not in baselines
            and own.get((r.arm.judge, r.arm.column), first.get(r.arm.judge)) is baseline
        ]
        if arms:
            yield baseline, arms


def _aligned(values: Mapping[Unit, float], units: Sequence[Unit]) -> list[float]:
    return [values.get(unit, math.nan) for unit in units]


def _blocks(values: Mapping[Unit, float], unit: str) -> dict[Unit, float]:
    """Values by block: a region of a case, or a case, the mean over its regions."""
    if unit == "volume_class":
        return dict(values)
    cases: dict[str, list[float]] = {}
    for (case, _), value in values.items():
        cases.setdefault(case, []).append(value)
    return {(case, ""): float(np.mean(found)) for case, found in cases.items()}


def _complete(
    methods: Mapping[str, Mapping[Unit, float]],
) -> tuple[dict[str, list[float]], int, int]:
    """Blocks in which every method has a value; how many others; of how many cases."""
    blocks = dict.fromkeys(block for values in methods.values() for block in values)
    kept = [
        block
        for block in blocks
        if not any(math.isnan(v.get(block, math.nan)) for v in methods.values())
    ]
    complete = {name: [v[b] for b in kept] for name, v in methods.items()}
    return complete, len(blocks) - len(kept), len({case for case, _ in kept})
