"""The tables of an experiment's report."""

from collections.abc import Iterable, Mapping, Sequence
import json
import math
from pathlib import Path

from jaxsyn.experiments.results import ArmResults, quality_of, verdict_of
from jaxsyn.experiments.settings import Arm, Experiment
from jaxsyn.metrics import statistics
from jaxsyn.report.document import Column, Row, Table

MINUS, NOTHING = "−", "–"
FEW = (
    f"Of fewer than {statistics.FEWEST_UNITS} cases no interval is given, and none is"
    " tested."
)


def of_results(experiment: Experiment, results: Sequence[ArmResults]) -> Table:
    """The paper's table: what was measured, and below it what was printed."""
    by_key = {result.arm.key: result for result in results}
    columns = _columns(experiment, results)
    rows = []
    for name in dict.fromkeys(arm.name for arm in experiment.arms):
        arms = {arm.column: arm for arm in experiment.arms if arm.name == name}
        measured = [
            _entry(by_key.get((column, name)), region, metric)
            for column, region, metric in columns
        ]
        printed = [_printed(arms.get(c), region, m) for c, region, m in columns]
        if any(arm.row is not None for arm in arms.values()):
            rows.append(Row((name, *measured)))
        if any(printed):
            rows.append(Row((f"{name}, printed", *printed), printed=True))
    heads = (
        Column(metric, group=" · ".join(filter(None, (column, region))))
        for column, region, metric in columns
    )
    notes = dict.fromkeys(note for result in results for note in result.notes)
    return Table(
        name="results",
        caption="Mean over test cases; ± standard deviation over U-Nets: seeds, and"
        " divisions if there are several.",
        columns=(Column("trained on"), *heads),
        rows=tuple(rows),
        notes=tuple(notes),
    )


def of_cases(results: Sequence[ArmResults], metrics: Sequence[str]) -> Table:
    """Each arm's mean over cases with the interval of other samples of them."""
    several = any(result.arm.column for result in results)
    rows = []
    for result in results:
        for metric in metrics:
            for region, values in by_region(result.units(metric)).items():
                found = statistics.interval(values)
                column = [result.arm.column] if several else []
                place = (result.arm.name, *column, region, metric)
                rows.append(Row((*place, ranged(found), str(found.count))))
    heads = ("trained on", *["column"] * several, "region", "metric")
    return Table(
        name="intervals",
        caption="Means over test cases, of each case's mean over U-Nets, with 95 %"
        " bootstrap intervals (BCa).",
        columns=tuple(map(Column, (*heads, "mean [95 %]", "cases"))),
        rows=tuple(rows),
        notes=(FEW,) if any("[" not in row.cells[-2] for row in rows) else (),
    )


def of_quality(
    experiment: Experiment, folders: Mapping[str, Sequence[Path]]
) -> tuple[Table, list[str]]:
    """Image quality beside what was printed, and what could not be measured.

    Args:
      experiment: Whose rows.
      folders: By job, the folders of its finished cells.
    """
    found, warned = {}, {}
    for row in experiment.quality:
        measured = [quality_of(folder) for folder in folders.get(row.job, ())]
        found[row.name] = [values for values, _ in measured]
        for warning in (w for _, warnings in measured for w in warnings):
            warned.setdefault(warning, {})[row.name] = None
    metrics = dict.fromkeys(
        [m for row in experiment.quality for m in row.printed]
        + [m for runs in found.values() for values in runs for m in values]
    )
    rows = []
    for row in experiment.quality:
        entries = [_over_runs(found[row.name], metric) for metric in metrics]
        rows.append(Row((row.name, *entries)))
        if row.printed:
            printed = [number(row.printed.get(m)) for m in metrics]
            rows.append(Row((f"{row.name}, printed", *printed), printed=True))
    table = Table(
        name="quality",
        caption="Image quality, the mean over modalities; ± standard deviation over"
        " generators.",
        columns=tuple(map(Column, ("images of", *metrics))),
        rows=tuple(rows),
    )
    return table, [f"{', '.join(names)}: {w}" for w, names in warned.items()]


def of_audits(experiment: Experiment, folders: Mapping[str, Sequence[Path]]) -> Table:
    """Whether generators repeat their patients; a row for each that was audited.

    Args:
      experiment: Whose audits.
      folders: By job, the folders of its finished cells.
    """
    rows = []
    for row in experiment.audits:
        for folder in folders.get(row.job, ()):
            found = verdict_of(folder)
            ranges = (ranged(found[key]) for key in ("flagged", "auc"))
            rows.append(Row((row.name, found["word"], *ranges, str(found["copies"]))))
    heads = ("generator", "verdict", "too near", "membership AUC", "copies")
    return Table(
        name="memorisation",
        caption="Do generators repeat the patients they were trained on?",
        columns=tuple(map(Column, heads)),
        rows=tuple(rows),
        notes=(
            "Too near: share of images nearer to a training patient than unseen"
            " patients are, save 5 %. Membership: how often a training slice is nearer"
            " to a synthetic image than one of an unseen patient; 0.5 is a guess. 95 %"
            " bootstrap intervals over patients. Each audit's own report is in its"
            " cell.",
        ),
    )


def of_costs(folders: Mapping[str, Path], seconds: Mapping[str, float]) -> Table:
    """What each finished cell took.

    Args:
      folders: By cell.
      seconds: By cell.
    """
    rows = []
    for name, folder in folders.items():
        sizes = _json(folder / "sizes.json")
        parameters = f"{sum(sizes.values()):,}" if sizes else NOTHING
        rate = NOTHING
        if sizes and (steps := _steps(folder)):
            batch_size = _json(folder / "config.json")["train"]["batch_size"]
            rate = number(steps * batch_size / seconds[name])
        devices = _json(folder / "environment.json").get("devices", [])
        device = ", ".join(sorted(set(devices))) or NOTHING
        rows.append(Row((name, parameters, f"{seconds[name]:,.0f}", rate, device)))
    heads = ("cell", "parameters", "seconds", "images a second", "device")
    return Table(
        name="costs",
        caption="Each cell's networks and time, starting and compiling included; of"
        " trainings, images a second.",
        columns=tuple(map(Column, heads)),
        rows=tuple(rows),
    )


def _steps(folder):
    """Steps of a finished training."""
    path = folder / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return json.loads(lines[-1])["step"] if lines else 0


def of_comparisons(
    found: Mapping[str, Mapping[str, statistics.Comparison]], baseline: str
) -> Table:
    """Differences from the baseline, case by case.

    Args:
      found: By what was compared (column, region and metric), then arm.
      baseline: The arm compared with.
    """
    rows = [
        Row(
            (
                arm,
                what,
                ranged(comparison.difference, signed=True),
                str(comparison.difference.count),
                p_value(comparison.p),
                p_value(comparison.adjusted),
            )
        )
        for what, arms in found.items()
        for arm, comparison in arms.items()
    ]
    heads = ("trained on", "of", "difference [95 %]", "cases", "p", "p, Holm")
    return Table(
        name="differences",
        caption=f"Differences from “{baseline}”, case by case: mean with 95 % bootstrap"
        " interval (BCa), Wilcoxon's signed-rank test, and Holm's correction over the"
        " arms of one region and metric.",
        columns=tuple(map(Column, heads)),
        rows=tuple(rows),
        notes=(FEW,) if any(row.cells[-1] == NOTHING for row in rows) else (),
    )


def of_ranking(
    ranking: statistics.Ranking, name: str, what: str, printed: Mapping[str, int]
) -> Table:
    """Mean ranks, scores, those that were `printed`, and signs of all pairs."""
    signs = {1: "+", -1: MINUS, 0: "0"}
    rows = [
        Row(
            (
                f"{i + 1}. {method}",
                f"{ranking.ranks[i]:.2f}",
                _signed(ranking.scores[method]),
                *([_signed(printed.get(method))] if printed else []),
                *(signs[int(sign)] if i != j else "" for j, sign in enumerate(row)),
            )
        )
        for i, (method, row) in enumerate(
            zip(ranking.names, ranking.signs, strict=True)
        )
    ]
    scores = ("score", "score, printed") if printed else ("score",)
    numbers = (str(i + 1) for i in range(len(ranking.names)))
    return Table(
        name=name,
        caption=f"{what}: mean ranks (1 is best), scores and signs. + means better than"
        f" the column's method by Nemenyi's test, {MINUS} worse, 0 not told apart.",
        columns=tuple(map(Column, ("method", "rank", *scores, *numbers))),
        rows=tuple(rows),
        notes=(
            f"Friedman's χ² = {ranking.statistic:.2f}, p {_equals(ranking.p)}, over"
            f" {ranking.count} blocks; critical difference"
            f" {ranking.critical_difference:.2f}.",
        ),
    )


def by_region(units: Mapping[tuple[str, str], float]) -> dict[str, list[float]]:
    """The values of each region, case by case."""
    found: dict[str, list[float]] = {}
    for (_, region), value in units.items():
        found.setdefault(region, []).append(value)
    return found


def number(value: float | None) -> str:
    """Four digits; nothing of nothing."""
    if value is None or math.isnan(value):
        return NOTHING if value is not None else ""
    return f"{value:.4g}".replace("-", MINUS)


def ranged(interval: statistics.Interval, *, signed: bool = False) -> str:
    """A mean and its interval, if there is one."""
    sign = "+" if signed else ""
    words = (f"{v:{sign}.3f}" for v in (interval.mean, interval.low, interval.high))
    mean, low, high = (word.replace("-", MINUS) for word in words)
    return mean if math.isnan(interval.low) else f"{mean} [{low}, {high}]"


def _signed(score: int | None) -> str:
    return "" if score is None else str(score).replace("-", MINUS)


def _equals(p):
    said = p_value(p)
    return said if said.startswith("<") else f"= {said}"


def p_value(p: float) -> str:
    """Three digits, or that it is smaller; nothing if nothing was tested."""
    if math.isnan(p):
        return NOTHING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _columns(experiment, results):
    """Groups, regions and metrics in the order of arms, judges and prints."""
    found = {}
    for result in results:
        for region, metric in result.values:
            found[result.arm.column, region, metric] = None
    for arm in experiment.arms:
        for region, metrics in arm.printed.items():
            found |= {(arm.column, region, metric): None for metric in metrics}
    order = list(dict.fromkeys(column for column, *_ in found))
    return sorted(found, key=lambda key: order.index(key[0]))


def _entry(result: ArmResults | None, region: str, metric: str) -> str:
    value = result.values.get((region, metric)) if result else None
    if value is None:
        return ""
    sd = "" if math.isnan(value.sd) else f" ± {value.sd:.2g}"
    fewer = f" ({value.undefined} undefined)" if value.undefined else ""
    return f"{number(value.mean)}{sd}{fewer}"


def _printed(arm: Arm | None, region: str, metric: str) -> str:
    value = arm.printed.get(region, {}).get(metric) if arm else None
    return number(value)


def _over_runs(runs: Iterable[Mapping[str, float]], metric: str) -> str:
    values = [values[metric] for values in runs if metric in values]
    if not values:
        return NOTHING
    mean = math.fsum(values) / len(values)
    sd = math.sqrt(sum((v - mean) ** 2 for v in values) / max(1, len(values) - 1))
    return number(mean) + (f" ± {sd:.2g}" if len(values) > 1 else "")


def _json(path):
    return json.loads(path.read_text()) if path.exists() else {}
