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
      of_arm: By arm's key, the cells that train its U-Nets, and their seeds.
      of_job: By job, its cells: one a generator seed and division.
    """

    cells: Mapping[str, Cell]
    of_arm: Mapping[tuple[str, str], Mapping[str, int]]
    of_job: Mapping[str, Sequence[str]]


def make(experiment: Experiment) -> Plan:
    """Expands an experiment.

    Raises:
      UsageError: Jobs or arms need one another in a circle, or a data set, job or arm
        is named that there is none of.
    """
    cells: list[Cell] = []
    of_arm = {arm.key: {} for arm in experiment.run_arms}
    of_job = {name: [] for name in experiment.jobs}
    for division in experiment.divisions or (None,):
        for generator_seed in experiment.generator_seeds:
            variant = _Variant(experiment, generator_seed, division)
            for name in experiment.jobs:
                cells.append(variant.of_job(name))
                of_job[name].append(cells[-1].name)
        for arms in _chains(experiment.run_arms):
            for number, seed in enumerate(experiment.seeds):
                i = number % len(experiment.generator_seeds)
                variant = _Variant(experiment, experiment.generator_seeds[i], division)
                cells.append(variant.of_arms(arms, seed))
                for arm in arms:
                    of_arm[arm.key][cells[-1].name] = seed
    names = [cell.name for cell in cells]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(
            f"Names of jobs or arms differ too little: {', '.join(twice)}.",
            hint="Let them differ in letters or digits.",
        )
    return Plan(cells=_in_order(cells), of_arm=of_arm, of_job=of_job)


def folder_of(workdir: Path, cell: str) -> Path:
    """The workdir of one cell's job."""
    return workdir / "cells" / cell


def slug(text: str) -> str:
    """A name as part of a file's."""
    return re.sub("[^a-z0-9.]+", "-", text.lower()).strip("-")


@dataclasses.dataclass(frozen=True)
class _Variant:
    """An experiment with one generator seed and one division of its data."""

    experiment: Experiment
    generator_seed: int
    division: int | None

    def of_job(self, name) -> Cell:
        config = {**self.experiment.jobs[name], "seed": self.generator_seed}
        return self._cell(self._name(name), config, f"config.jobs.{name}")

    def of_arms(self, arms: Sequence[Arm], seed) -> Cell:
        first = arms[0]
        config = dict(self.experiment.judges[first.judge])
        config["rows"] = [_row(arm) for arm in arms]
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
                synthetic = config.get("synthetic", {})
                config["synthetic"] = {**synthetic, "export": _REFERENCE + export}
        words = ("unet", slug(first.column), slug(first.name), str(seed))
        name = "-".join(filter(None, words)) + self._suffix
        return self._cell(name, config, f"config.judges.{first.judge}")

    def _name(self, job):
        return f"{job}-{self.generator_seed}{self._suffix}"

    @property
    def _suffix(self):
        return "" if self.division is None else f"-split{self.division}"

    def _cell(self, name, config, where):
        """A cell with whole data sets, and cells in the place of jobs."""
        config = self._with_data(config, where)
        needs = []

        def resolved(value):
            if not _is_reference(value):
                return value
            job = value.removeprefix(_REFERENCE)
            if job not in self.experiment.jobs:
                raise UsageError(
                    f"{where}: {value!r} names no job.",
                    hint=f"The jobs are: {', '.join(self.experiment.jobs)}.",
                )
            needs.append(self._name(job))
            return _REFERENCE + needs[-1]

        config = _mapped(json.loads(json.dumps(config)), resolved)
        return Cell(name=name, config=config, needs=tuple(dict.fromkeys(needs)))

    def _with_data(self, config, where):
        """A job's configuration with whole data sets where it names them."""

        def whole(value):
            if not isinstance(value, Mapping) or "set" not in value:
                return value
            name, datasets = value["set"], self.experiment.datasets
            if name not in datasets:
                raise UsageError(
                    f"{where}: there is no data set {name!r}.",
                    hint=f"Those of config.datasets are: {', '.join(datasets)}.",
                )
            changes = {k: v for k, v in value.items() if k != "set"}
            if self.division is not None:
                division = {"prepare": {"split_seed": self.division}}
                changes = _laid_over(changes, division)
            data = _laid_over(datasets[name], changes)
            if config["job"] not in _AUGMENTED:
                data.pop("augment", None)
            return data

        config = {**config, "data": whole(config["data"])}
        if "masks" in config:
            masks = config["masks"]
            config["masks"] = {key: whole(value) for key, value in masks.items()}
        return config


def _row(arm):
    """An arm as a row of a judge's table."""
    row = {**arm.row, "name": slug(arm.name)}
    if row.get("start_from"):
        row["start_from"] = slug(row["start_from"])
    return row


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
