"""What an experiment is, as its configuration says it."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

from jaxsyn import settings
from jaxsyn.errors import UsageError

UNITS = ("volume_class", "volume")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arm:
    """U-Nets trained on one mixture of data: an entry of the experiment's table.

    Attributes:
      name: The table's row.
      column: The group of columns, where there are several: those of class sets, data
        sets or generators. By default the judge, if there are several.
      judge: Which of the experiment's judges; may be left out if there is one.
      row: Fields of `jaxsyn.evaluate.rows.Row` but its name; `start_from` is another
        arm of the column. None: the arm is not run, only printed.
      generator: The training whose generator renders training cases' label maps.
      export: The synthesis job whose cases are taken instead.
      printed: The paper's values, by region and metric.
      score: The paper's score of it in a ranking.
    """

    name: str
    column: str = ""
    judge: str = ""
    row: Mapping[str, Any] | None = None
    generator: str = ""
    export: str = ""
    printed: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    score: int | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from other arms."""
        return self.column, self.name


@dataclasses.dataclass(frozen=True, kw_only=True)
class QualityRow:
    """A row of the table of image quality.

    Attributes:
      name: Of the row.
      job: The quality job.
      printed: The paper's values, by metric.
    """

    name: str
    job: str
    printed: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AuditRow:
    """A row of the table of memorisation.

    Attributes:
      name: Of the row.
      job: The audit job.
    """

    name: str
    job: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """An experiment; configs/experiments/base.py explains its keys.

    Attributes:
      title: Of the report.
      about: What is asked, in a paragraph.
      seeds: Of U-Nets.
      generator_seeds: Of all other jobs; U-Net number i is given those with number i,
        modulo their count.
      divisions: Values of config.data.prepare.split_seed; with each, all is done anew,
        and a case's values are averaged over the divisions that test it. None: the data
        sets' own division.
      datasets: The `config.data` of jobs, by name.
      jobs: Configurations of trainings, syntheses and measurements, by name.
      judges: Configurations of judges, without rows, seeds and generator.
      arms: What U-Nets are trained on.
      baseline: The arm with which the others of its judge are compared.
      compared: Metrics that are compared.
      unit: What Friedman's and Nemenyi's tests take for one: `volume_class`, a region
        of a case, or `volume`, the mean over its regions.
      quality: The table of image quality.
      audits: The table of memorisation.
      curves: The metric whose course is shown, by training.
      devices: Accelerators that each get a cell of their own, as CUDA_VISIBLE_DEVICES
        names them; by default one cell at a time has all.
      dry_run: Print the cells and what they cost, and run none.
      report_only: Run none, and report on what is finished, others being missing.
    """

    job: str
    title: str
    about: str = ""
    seeds: Sequence[int] = (0, 1, 2)
    generator_seeds: Sequence[int] = (0,)
    divisions: Sequence[int] = ()
    datasets: Mapping[str, Any]
    jobs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    judges: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    arms: tuple[Arm, ...] = ()
    baseline: str = ""
    compared: Sequence[str] = ("dice",)
    unit: str = "volume_class"
    quality: tuple[QualityRow, ...] = ()
    audits: tuple[AuditRow, ...] = ()
    curves: Mapping[str, str] = dataclasses.field(default_factory=dict)
    devices: Sequence[str] = ()
    dry_run: bool = False
    report_only: bool = False

    def __post_init__(self):
        if self.unit not in UNITS:
            raise settings.unknown(f"config.unit={self.unit!r}", self.unit, list(UNITS))
        if not self.seeds or not self.generator_seeds:
            raise UsageError(
                "config.seeds or config.generator_seeds is empty.",
                hint="Give one seed at least.",
            )
        self._check_names()

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Experiment":
        """Reads nested dictionaries.

        Raises:
          UsageError: A key is unknown, or a name is none of the experiment's.
        """
        arms = tuple(
            _with_defaults(
                settings.build(Arm, values, f"config.arms[{i}]"), config["judges"]
            )
            for i, values in enumerate(config.get("arms", ()))
        )
        quality = tuple(
            settings.build(QualityRow, values, f"config.quality[{i}]")
            for i, values in enumerate(config.get("quality", ()))
        )
        audits = tuple(
            settings.build(AuditRow, values, f"config.audits[{i}]")
            for i, values in enumerate(config.get("audits", ()))
        )
        built = {"arms": arms, "quality": quality, "audits": audits}
        rest = {k: v for k, v in config.items() if k not in built}
        return settings.build(cls, rest, "config", **built)

    @property
    def run_arms(self) -> tuple[Arm, ...]:
        """The arms that are run."""
        return tuple(arm for arm in self.arms if arm.row is not None)

    def _check_names(self):
        keys = [arm.key for arm in self.arms]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise UsageError(
                f"Arms share column and name: {twice}.", hint="Rename one of them."
            )
        for arm in self.run_arms:
            where = f"config.arms: {arm.name!r}"
            _check(f"{where}, judge={arm.judge!r}", arm.judge, self.judges)
            for job in filter(None, (arm.generator, arm.export)):
                _check(f"{where}, {job!r}", job, self.jobs)
        for row in self.quality:
            _check(f"config.quality: {row.job!r}", row.job, self.jobs)
        for row in self.audits:
            _check(f"config.audits: {row.job!r}", row.job, self.jobs)
        for name in self.curves:
            _check(f"config.curves: {name!r}", name, self.jobs)
        names = [arm.name for arm in self.run_arms]
        if self.baseline:
            _check(f"config.baseline={self.baseline!r}", self.baseline, names)


def _with_defaults(arm, judges):
    """An arm with its judge and column, if they go without saying."""
    judge = arm.judge
    if not judge and len(judges) == 1:
        (judge,) = judges
    column = arm.column or (judge if len(judges) > 1 else "")
    return dataclasses.replace(arm, judge=judge, column=column)


def _check(what, name, known):
    if name not in known:
        raise settings.unknown(what, name, list(known))
