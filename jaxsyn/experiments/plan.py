"""From an experiment to its cells: jobs that can be run one by one, each once."""

from collections.abc import Mapping, Sequence
import dataclasses
import json
from pathlib import Path
import re
from typing import Any

from jaxsyn.errors import UsageError
from jaxsyn.experiments.settings import Arm, Experiment

_REFERENCE = "cell:"
_AUGMENTED = ("train",)  # Jobs whose config.data has an `augment`.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """A job of an experiment, in a folder of its own.

    Attributes:
      name: Of the folder.
      config: The job's configuration; `cell:NAME` stands for another cell's folder.
      needs: The cells that must be finished before.
    """

    name: str
    config: Mapping[str, Any]
    needs: tuple[str, ...] = ()

    def located(self, workdir: Path) -> dict[str, Any]:
        """Its configuration, with folders of the experiment's where they are open.

        Prepared sets and rendered ones are shared by all cells.
        """

        def located(value):
            if _is_reference(value):
                return str(folder_of(workdir, value.removeprefix(_REFERENCE)))
            return value

        config = _mapped(self.config, located)
        for data in (config["data"], *_data_of_masks(config)):
            data["prepared_dir"] = data.get("prepared_dir") or str(workdir / "prepared")
        if config["job"] == "judge":
            synthetic = config.setdefault("synthetic", {})
            synthetic["dir"] = synthetic.get("dir") or str(workdir / "rendered")
        return config


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """All cells of an experiment, each after those it needs.

    Attributes:
      cells: By name.
      of_arm: By arm's key and seed, the cell that trains its U-Net.
      of_job: By job, its cells, one a generator seed.
    """

    cells: Mapping[str, Cell]
    of_arm: Mapping[tuple[tuple[str, str], int], str]
    of_job: Mapping[str, tuple[str, ...]]


def make(experiment: Experiment) -> Plan:
    """Expands an experiment.

    Raises:
      UsageError: Jobs or arms need one another in a circle, or a data set, job or arm
        is named that there is none of.
    """
    of_job = {
        name: tuple(f"{name}-{seed}" for seed in experiment.generator_seeds)
        for name in experiment.jobs
    }
    cells = [
        _job_cell(experiment, of_job, name, i)
        for name in experiment.jobs
        for i in range(len(experiment.generator_seeds))
    ]
    of_arm = {}
    for arms in _chains(experiment.run_arms):
        for number, seed in enumerate(experiment.seeds):
            i = number % len(experiment.generator_seeds)
            cell = _judge_cell(experiment, of_job, arms, seed, i)
            cells.append(cell)
            of_arm |= {(arm.key, seed): cell.name for arm in arms}
    names = [cell.name for cell in cells]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(
            f"Names of jobs or arms differ too little: {', '.join(twice)}.",
            hint="Let them differ in letters or digits.",
        )
    return Plan(cells=_in_order(cells), of_arm=of_arm, of_job=of_job)


def folder_of(workdir: Path, cell: str) -> Path:
    """The folder of one cell."""
    return workdir / "cells" / cell


def slug(text: str) -> str:
    """A name as part of a file's."""
    return re.sub("[^a-z0-9.]+", "-", text.lower()).strip("-")


def _job_cell(experiment, of_job, name, i):
    config = dict(experiment.jobs[name])
    config["seed"] = experiment.generator_seeds[i]
    config = _with_data(config, experiment.datasets, f"config.jobs.{name}")
    return _cell(of_job[name][i], config, of_job, i)


def _judge_cell(experiment, of_job, arms: Sequence[Arm], seed, i):
    first = arms[0]
    config = dict(experiment.judges[first.judge])
    config["rows"] = [{**arm.row, "name": slug(arm.name)} for arm in arms]
    for row in config["rows"]:
        if row.get("start_from"):
            row["start_from"] = slug(row["start_from"])
    config["seeds"] = [seed]
    origins = {(arm.generator, arm.export) for arm in arms} - {("", "")}
    if len(origins) > 1:
        raise UsageError(
            f"Arms that start from each other take synthetic cases from"
            f" {len(origins)} jobs: {', '.join(arm.name for arm in arms)}.",
            hint="Give them one generator or export.",
        )
    for generator, export in origins:
        if generator:
            config["generator"] = _REFERENCE + generator
        if export:
            config["synthetic"] = {
                **config.get("synthetic", {}),
                "export": _REFERENCE + export,
            }
    where = f"config.judges.{first.judge}"
    config = _with_data(config, experiment.datasets, where)
    words = ("unet", slug(first.column), slug(first.name), str(seed))
    return _cell("-".join(filter(None, words)), config, of_job, i)


def _cell(name, config, of_job, i):
    """A cell whose references to jobs are to their cells with generator seed i."""
    needs = []

    def resolved(value):
        if not _is_reference(value):
            return value
        job = value.removeprefix(_REFERENCE)
        if job not in of_job:
            raise UsageError(
                f"{name}: {value!r} names no job.",
                hint=f"The jobs are: {', '.join(of_job)}.",
            )
        needs.append(of_job[job][i])
        return _REFERENCE + needs[-1]

    config = _mapped(json.loads(json.dumps(config)), resolved)
    return Cell(name=name, config=config, needs=tuple(dict.fromkeys(needs)))


def _with_data(config, datasets, where):
    """A job's configuration with whole data sets where it names them."""

    def whole(value):
        if not isinstance(value, Mapping) or "set" not in value:
            return value
        name = value["set"]
        if name not in datasets:
            raise UsageError(
                f"{where}: there is no data set {name!r}.",
                hint=f"Those of config.datasets are: {', '.join(datasets)}.",
            )
        changes = {k: v for k, v in value.items() if k != "set"}
        data = _laid_over(datasets[name], changes)
        if config["job"] not in _AUGMENTED:
            data.pop("augment", None)
        return data

    config = {**config, "data": whole(config["data"])}
    if "masks" in config:
        masks = config["masks"]
        config["masks"] = {key: whole(value) for key, value in masks.items()}
    return config


def _data_of_masks(config):
    """The data sets, beside the job's own, of which label maps are made."""
    masks = config.get("masks", {})
    return [masks[key] for key in ("donors", "brains") if masks.get(key)]


def _laid_over(base, changes):
    """`base` with `changes`, dictionaries in both being merged."""
    made = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(made.get(key), Mapping)
        made[key] = _laid_over(made[key], value) if both else value
    return made


def _chains(arms: Sequence[Arm]) -> list[list[Arm]]:
    """Arms in groups of those that start from each other, first ones first."""
    chains, by_key = [], {}
    for arm in arms:
        start = (arm.row or {}).get("start_from")
        if not start:
            chains.append([])
        elif (arm.column, start) not in by_key:
            raise UsageError(
                f"Arm {arm.name!r} starts from {start!r}, which is no arm above it in"
                f" column {arm.column!r}.",
                hint="Name one that is, or move it up.",
            )
        chain = by_key[arm.column, start] if start else chains[-1]
        chain.append(arm)
        by_key[arm.key] = chain
    return chains


def _in_order(cells: Sequence[Cell]) -> dict[str, Cell]:
    """Cells by name, each after what it needs; otherwise as they come."""
    ordered, left = {}, list(cells)
    while left:
        ready = next((c for c in left if set(c.needs) <= set(ordered)), None)
        if ready is None:
            raise UsageError(
                f"These jobs need one another: {', '.join(c.name for c in left)}.",
                hint="Break the circle of cell: references.",
            )
        ordered[ready.name] = ready
        left.remove(ready)
    return ordered


def _is_reference(value):
    return isinstance(value, str) and value.startswith(_REFERENCE)


def _mapped(tree, change):
    """A tree of dictionaries and lists with each leaf changed."""
    if isinstance(tree, Mapping):
        return {key: _mapped(value, change) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_mapped(value, change) for value in tree]
    return change(tree)
