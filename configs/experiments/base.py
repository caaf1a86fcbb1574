"""What experiments share: the keys there are, their jobs, and how all is shrunk."""

from collections.abc import Iterable, Mapping
from typing import Any

from ml_collections import ConfigDict

from configs import audit as audit_config
from configs import common, datasets, quality_brats, synthesize_brats
from configs import train as train_config


def experiment(title: str, about: str, **changes: Any) -> ConfigDict:
    """Every key that an experiment has, and its defaults."""
    config = ConfigDict()
    config.job = "experiment"
    config.title = title
    config.about = " ".join(about.split())
    config.seeds = (0, 1, 2)  # Of U-Nets.
    # Of generators and syntheses; U-Nets take them in turn.
    config.generator_seeds = (0,)
    config.divisions = ()  # Values of split_seed, each of which repeats all.
    config.datasets = ConfigDict()  # A whole config.data each.
    config.jobs = ConfigDict()  # Whole configurations; "cell:NAME" is another's folder.
    config.judges = ConfigDict()  # Likewise, without rows, seeds and generator.
    config.arms = ()  # Rows of the table, and what they are trained on.
    config.baseline = ""  # The arm that others are compared with.
    config.compared = ("dice",)  # Metrics that are tested for differences.
    config.unit = "volume_class"  # Blocks of Friedman's test; or volume.
    config.quality = ()  # Rows of a table of image quality.
    config.audits = ()  # Rows of a table of memorisation.
    config.curves = ConfigDict()  # Trainings, and which metric's course is shown.
    config.devices = ()  # Accelerators to spread the cells over.
    config.dry_run = False  # Lists the cells, and runs none.
    config.report_only = False  # Reports on the finished ones, and runs none.
    config.update(changes)
    return config


def train(system: str, data: str, *words: str, local: bool = False) -> ConfigDict:
    """A training of configs/train.py on a data set of the experiment.

    Args:
      system: Of configs/SYSTEM_brats.py, which says how it is trained.
      data: The data set, called as in configs/datasets.py; what the system needs
        otherwise is laid over it.
      *words: For the system's configuration.
      local: Whether it is shrunk.
    """
    plain = ConfigDict({"data": datasets.get(data)})
    if local:
        words += ("runlocal",)
        common.shrink_data(plain)
    config = train_config.get_config(",".join((f"system={system},data={data}", *words)))
    return on(config, data, **difference(config.data, plain.data))


def quality(job: str, data: str, *metrics: str, export: bool = False) -> ConfigDict:
    """A table of image quality of the training called `job`, or of the synthesis."""
    config = quality_brats.get_config()
    config["export" if export else "generator"] = f"cell:{job}"
    config.metrics = metrics or config.metrics
    return on(config, data)


def audit(job: str, data: str) -> ConfigDict:
    """A privacy audit of the training called `job`."""
    config = audit_config.get_config()
    config.generator = f"cell:{job}"
    return on(config, data)


def synthesis(
    kind: str, data: str, *, generator: str = "", cases: int, **masks: Any
) -> ConfigDict:
    """Synthetic cases as files, for arms whose `export` it is.

    Args:
      kind: Of label maps; see configs/synthesize_brats.py.
      data: The data set whose label maps are used, or whose labels are drawn.
      generator: The training job that renders them, if they come without images.
      cases: How many are needed; a few more are made, as some may not succeed.
      **masks: Other keys of `config.masks`.
    """
    config = synthesize_brats.get_config(f"masks={kind},format=nifti")
    config.generator = generator and f"cell:{generator}"
    config.cases = cases + cases // 50
    config.masks.update(masks)
    return on(config, data)


def judge(paper: str, data: str, **metrics: Any) -> ConfigDict:
    """A paper's U-Net on a data set, and what is measured of it."""
    config = common.judge(paper)
    for key in ("seeds", "generator", "rows", "paper"):  # An experiment has its own.
        del config[key]
    config.metrics.update(metrics)
    return on(config, data)


def on(config: ConfigDict, data: str, **changes: Any) -> ConfigDict:
    """`config` on a data set of the experiment, over which changes are laid."""
    config.data = {"set": data, **changes}
    return config


def difference(values: Mapping[str, Any], plain: Mapping[str, Any]) -> dict[str, Any]:
    """The values that differ from others of the same kind, nested as they are."""
    found = {}
    for key, value in values.items():
        if isinstance(value, ConfigDict) and key in plain:
            if changed := difference(value, plain[key]):
                found[key] = changed
        elif key not in plain or value != plain[key]:
            found[key] = value
    return found


def arm(name: str, *, row: Mapping[str, Any] | None = None, **others: Any) -> dict:
    """A row of the table; without `row` one that is only printed.

    Args:
      name: Of the row.
      row: What its U-Nets are trained on; classical augmentation, unless said.
      **others: Its other keys; those that are empty are left out.
    """
    made = {"name": name, **{key: value for key, value in others.items() if value}}
    if row is not None:
        made["row"] = {"augment": "classical", **row}
    return made


def printed(regions: Iterable[str], **metrics: Iterable[float]) -> dict[str, Any]:
    """A paper's values of an arm by region and metric, given for each metric."""
    regions = tuple(regions)
    table = {region: {} for region in regions}
    for metric, values in metrics.items():
        for region, value in zip(regions, values, strict=True):
            table[region][metric] = value
    return table


def shrink(config: ConfigDict) -> ConfigDict:
    """Makes an experiment one of minutes on a CPU, on a phantom of five patients.

    Two of them are trained on, and two tested. Trainings are shrunk where they are
    made, by `train`. A source_dir that is given is still used instead of the phantom.
    """
    config.title += ": a trial run, whose numbers mean nothing"
    config.seeds = config.generator_seeds = (0,)
    config.arms = tuple(map(_shrunk_arm, config.arms))
    for data in config.datasets.values():
        _shrink_data(data)
    for job in (*config.jobs.values(), *config.judges.values()):
        _shrink_changes(job.data)
    for job in config.jobs.values():
        if job.job == "synthesize":
            _shrink_synthesis(job)
    for judge in config.judges.values():
        _shrink_judge(judge)
    return config


def _shrunk_arm(arm):
    """At most one patient, or all, two synthetic cases and four steps."""
    if "row" not in arm:
        return arm
    most = {"patients": 1, "synthetic_cases": 2, "steps": 4}
    row = {key: min(value, most.get(key, value)) for key, value in arm["row"].items()}
    return {**arm, "row": row}


def _shrink_data(data):
    common.shrink_data(ConfigDict({"data": data}))
    data.prepare.fractions = (0.4, 0.2, 0.4)
    if "phantom" in data:
        data.phantom.patients = 5


def _shrink_changes(data):
    """Of what is laid over a data set: one patient or all."""
    if "patients" in data:
        data.patients = min(data.patients, 1)


def _shrink_synthesis(job):
    job.cases = min(job.cases, 2)
    job.masks.slices = 8
    for key in ("donors", "brains"):
        _shrink_changes(job.masks.get(key, {}))
    if job.filters.z_score:
        job.filters.z_score = 1e6  # What a few steps teach would not pass.


def _shrink_judge(judge):
    data, judge.data = judge.data, common.brats()
    common.shrink_judge(judge)
    del judge.seeds  # The experiment has them.
    judge.data = data
