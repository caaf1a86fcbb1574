"""An experiment's report, from what its cells left."""

from collections.abc import Iterable, Iterator
import json
import math
from pathlib import Path
import shlex
import sys

import numpy as np

from jaxsyn.experiments import comparisons, tables
from jaxsyn.experiments.plan import Plan, folder_of, slug
from jaxsyn.experiments.results import course, of_arms
from jaxsyn.experiments.runner import Runner
from jaxsyn.experiments.settings import Experiment
from jaxsyn.report import figures
from jaxsyn.report.document import Code, Figure, Notice, Page, Section, Table, Text

_U_NET_CURVES = {"score": "Dice on validation", "loss": "training loss"}


def page_of(experiment: Experiment, plan: Plan, runner: Runner, workdir: Path) -> Page:
    """The page on what is finished, and on what failed.

    Args:
      experiment: What was asked.
      plan: Its cells.
      runner: Who knows what became of them.
      workdir: Where they are.
    """
    finished = {name for name, state in runner.states.items() if state.done}
    results = of_arms(experiment, plan, finished, workdir)
    folders = {
        job: [folder_of(workdir, cell) for cell in cells if cell in finished]
        for job, cells in plan.of_job.items()
    }
    sections = (
        Section("Failures", tuple(_failures(runner))),
        Section("In short", tuple(_in_short(experiment, results))),
        Section("Results", tuple(_results(experiment, results, runner))),
        Section("Differences", tuple(_differences(experiment, results))),
        Section("Ranking", tuple(_ranking(experiment, results))),
        Section("Cases", tuple(_cases(experiment, results))),
        Section("Image quality", tuple(_quality(experiment, folders))),
        Section("Memorisation", tuple(_audits(experiment, folders))),
        Section("Samples", tuple(_samples(folders))),
        Section("Learning curves", tuple(_curves(experiment, results, folders))),
        Section("Cost", (_costs(finished, runner, workdir),)),
        Section("How to repeat it", tuple(_repeat(finished, workdir))),
    )
    return Page(
        title=experiment.title,
        lead=experiment.about,
        sections=tuple(section for section in sections if section.items),
    )


def _failures(runner) -> Iterator[Notice]:
    for name, state in runner.states.items():
        if state.failed:
            yield Notice(f"{name} failed: {state.failed['error']}")
    for name, need in runner.blocked().items():
        yield Notice(f"{name} was not run: it needs {need}, which failed.")


def _in_short(experiment, results) -> Iterator[Text]:
    """What the tests found of each region and metric, in a sentence."""
    found = comparisons.with_baseline(experiment, results)
    sentences = dict.fromkeys(
        comparisons.in_words(what, arms, experiment.baseline)
        for what, arms in found.items()
    )
    if sentences:
        yield Text(tuple(sentences))


def _results(experiment, results, runner) -> Iterator:
    if not experiment.arms:
        return
    missing = sum(not state.done for state in runner.states.values())
    if missing:
        yield Notice(
            f"{missing} of {len(runner.states)} cells are not finished: what depends on"
            " them is missing here, or is of fewer seeds."
        )
    divisions = ", ".join(map(str, experiment.divisions)) or "as configured"
    yield Text(
        (
            f"Seeds of U-Nets: {', '.join(map(str, experiment.seeds))}; of generators:"
            f" {', '.join(map(str, experiment.generator_seeds))}; divisions:"
            f" {divisions}.",
        )
    )
    yield tables.of_results(experiment, results)
    if results:
        yield tables.of_cases(results, experiment.compared)


def _differences(experiment, results) -> Iterator:
    if not experiment.baseline or not results:
        return
    found = comparisons.with_baseline(experiment, results)
    if not found:
        return
    lonely = [comparisons.label(r, results) for r in results if len(r.folders) == 1]
    if lonely:
        whose = "every arm" if len(lonely) == len(results) else ", ".join(lonely)
        yield Notice(
            f"Of one U-Net each: {whose}. Intervals and tests know how patients differ,"
            " not how much the luck of a training does: take several seeds."
        )
    yield tables.of_comparisons(found, experiment.baseline)
    for what, arms in found.items():
        if any(math.isnan(comparison.p) for comparison in arms.values()):
            continue  # Too few cases, which the table says.
        yield Figure(
            name=f"differences-{slug(what)}",
            caption=f"{what}: difference from “{experiment.baseline}”, mean over cases"
            " with its 95 % interval. Where the line crosses 0, none is shown.",
            image=figures.differences(
                {arm: comparison.difference for arm, comparison in arms.items()},
                label=f"difference of {what}",
            ),
            alt=f"Differences of {what} with intervals, arm by arm.",
        )


def _ranking(experiment, results) -> Iterator:
    if len(results) < 3:
        return
    found, why = comparisons.rankings(experiment, results)
    yield from map(Notice, why)
    if found:
        unit = experiment.unit.replace("_class", " and class").replace("_", " ")
        yield Text(
            (
                "Friedman's test with Nemenyi's of all pairs. A block, which the"
                f" methods are ranked in, is a {unit} of the test set; the tests take"
                " blocks for independent, which regions of one patient are not quite.",
            )
        )
    printed = {
        comparisons.label(result, results): result.arm.score
        for result in results
        if result.arm.score is not None
    }
    for what, ranking in found.items():
        yield Figure(
            name=f"ranks-{slug(what)}",
            caption=f"{what}: mean ranks; methods joined by a bar are not told apart.",
            image=figures.critical_difference(ranking),
            alt=f"Critical-difference diagram of {what}.",
        )
        yield tables.of_ranking(ranking, f"ranks-{slug(what)}", what, printed)


def _cases(experiment, results) -> Iterator[Figure]:
    for judge in dict.fromkeys(result.arm.judge for result in results):
        arms = [result for result in results if result.arm.judge == judge]
        for metric in experiment.compared:
            by_arm = {
                comparisons.label(arm, results): tables.by_region(arm.units(metric))
                for arm in arms
            }
            for region in next(iter(by_arm.values())):
                values = {arm: found[region] for arm, found in by_arm.items()}
                if not np.isfinite(np.concatenate([*values.values()])).any():
                    continue  # The table of means says so.
                what = comparisons.words(arms[0], results, region, metric)
                yield Figure(
                    name=f"cases-{slug(what)}",
                    caption=f"{what}: every test case, the mean over U-Nets.",
                    image=figures.box_plot(
                        values,
                        label=f"{region} {metric}",
                    ),
                    alt=f"Box plots of {what}, arm by arm.",
                )


def _quality(experiment, folders) -> Iterator:
    if not experiment.quality:
        return
    table, warnings = tables.of_quality(experiment, folders)
    yield from map(Notice, warnings)
    yield table


def _audits(experiment, folders) -> Iterator:
    if any(folders.get(row.job) for row in experiment.audits):
        yield tables.of_audits(experiment, folders)


def _samples(folders) -> Iterator:
    shown = [
        (job, sorted((folder / "samples").glob("*.png")))
        for job, runs in folders.items()
        for folder in runs[:1]
    ]
    shown = [(job, pictures[-1]) for job, pictures in shown if pictures]
    if shown:
        yield Text(
            (
                "The last pictures of each training: the first slices of its held-out"
                " patients, with a fixed seed. None is chosen by hand.",
            )
        )
    for job, picture in shown:
        yield Figure(
            name=f"samples-{slug(job)}",
            caption=f"{job}: {picture.stem.replace('_', ' ')}.",
            image=picture.read_bytes(),
            alt=f"Grid of samples of {job}.",
        )


def _curves(experiment, results, folders) -> Iterator[Figure]:
    for job, metric in experiment.curves.items():
        runs = {folder.name: course(folder, metric) for folder in folders.get(job, ())}
        yield from _curve(f"{job} {metric}", runs, metric)
    for judge in dict.fromkeys(result.arm.judge for result in results):
        arms = [result for result in results if result.arm.judge == judge]
        for name, words in _U_NET_CURVES.items():
            runs = {
                comparisons.label(arm, results): dict(
                    zip(*arm.curve(name), strict=True)
                )
                for arm in arms
            }
            what = comparisons.words(arms[0], results, "U-Nets'", words)
            yield from _curve(what, runs, words)


def _curve(what, runs, label) -> Iterator[Figure]:
    series = {
        name: (list(run), list(run.values())) for name, run in runs.items() if run
    }
    if series:
        yield Figure(
            name=f"curve-{slug(what)}",
            caption=f"{what}, the mean over seeds.",
            image=figures.curves(series, x="step", y=label),
            alt=f"Course of {what} over the training.",
        )


def _costs(finished, runner, workdir) -> Table:
    done = [name for name in runner.states if name in finished]
    return tables.of_costs(
        {name: folder_of(workdir, name) for name in done},
        {name: runner.states[name].done["seconds"] for name in done},
    )


def _repeat(finished: Iterable[str], workdir: Path) -> Iterator:
    environments = []
    for name in sorted(finished):
        about = json.loads((folder_of(workdir, name) / "environment.json").read_text())
        for own in ("command", "data"):  # An audit tells nobody where data are.
            about.pop(own, None)
        environments.append(json.dumps(about, indent=1))
    yield Text(
        (
            "The same command goes on where it stopped, and makes this report again"
            " from what is there. config.json beside this page has the whole"
            " configuration, plan.json that of each cell. All cells ran as is said"
            " here; what differs between them is said more than once.",
        )
    )
    yield Code(shlex.join(["python", "-m", "jaxsyn.main", *sys.argv[1:]]))
    yield from map(Code, dict.fromkeys(environments))
