"""Every experiment can be planned, and its jobs be read by those that run them."""

import pytest

from grids import NAMES, cells_of, get_config, planned, spec_of
from jaxsyn import settings, systems, train
from jaxsyn.data import splits
from jaxsyn.data.feed import DataSettings
from jaxsyn.engine.optimizers import Adam
from jaxsyn.evaluate.audit import AuditConfig
from jaxsyn.evaluate.image_quality import QualityConfig
from jaxsyn.evaluate.judge import Judge
from jaxsyn.metrics import quality
from jaxsyn.synthesis.lesions import Injection, Manipulation, Transplantation
from jaxsyn.synthesis.masks import MaskSettings
from jaxsyn.synthesis.sieve import FilterSettings
from jaxsyn.synthesis.synthesize import ExportSettings, SynthesisConfig

WORDS = {
    "contest": ["data=oasis_tissues,size=128", "data=isles2018", "systems=samr+borde"],
    "few_patients": ["patients=2,cases=5", "system=borde,data=isles2018"]
    + ["lesions,healthy,small", "invented,size=64,small"],
    "pgan_spade_table1": ["split=slice"],
    "pgan_swd": ["split=slice"],
    "stylegan_table2": ["patients=12"]
    + [f"data={name}" for name in ("kits19", "ibsr18", "heart", "spleen")],
}
VARIANTS = [
    (name, words) for name in NAMES for words in ["", "runlocal", *WORDS.get(name, [])]
]
# Trainings, syntheses and measurements; arms that are run, and those only printed.
SIZES = {
    "borde_table1": (3, 5, 1),
    "borde_table2": (3, 5, 1),
    "borde_table3": (6, 0, 0),
    "borde_table4": (5, 5, 0),
    "borde_table5": (4, 4, 0),
    "contest": (30, 12, 0),
    "few_patients": (6, 24, 0),
    "pgan_spade_table1": (6, 21, 0),
    "pgan_swd": (2, 0, 0),
    "samr_table2": (16, 13, 0),
    "stroke_table1": (7, 15, 0),
    "stroke_table2": (4, 18, 0),
    "stylegan_table2": (8, 26, 0),
}


@pytest.mark.parametrize(("name", "words"), VARIANTS)
def test_jobs_are_read_by_those_that_run_them(name, words, tmp_path):
    _, made = planned(name, words)
    assert {cell.config["job"] for cell in made.cells.values()} <= set(READERS)
    for cell in made.cells.values():
        config = cell.located(tmp_path)
        READERS[config["job"]](config, tmp_path)


def read_training(config, _):
    settings.check(train.TrainConfig, config, "config")
    training = settings.build(train.TrainSettings, config["train"], "config.train")
    data = DataSettings.from_config(config["data"])
    spec = spec_of(config["data"])
    system = systems.build(config["system"], spec)
    systems.check(config["system"], config["depth"])
    assert set(config["optimizers"]) == set(system.networks)
    for values in config["optimizers"].values():
        settings.build(Adam, values, "optimizer")
    for label in data.holding:
        spec.label_index(label)
    stages = system.stages(training.stage(10_000, data.prepare.image_size))
    assert stages[-1].stop >= 1


def read_judge(config, tmp_path):
    config["train"]["batch_size"] *= 4  # Whatever it is, the tests' devices share it.
    made = Judge.from_config(config, tmp_path)
    spec = spec_of(config["data"]).merge(config.get("merge", {}))
    assert made.metrics.for_spec(spec).regions
    system = systems.build(config["system"], spec)
    assert set(config["optimizers"]) == set(system.networks)
    rows = [row.name for row in made.rows]
    assert all(row.start_from in ("", *rows) for row in made.rows)


def read_quality(config, _):
    made = settings.build(QualityConfig, config, "config")
    DataSettings.from_config(made.data)
    assert set(made.metrics) <= set(quality.MEASURES)


def read_audit(config, _):
    made = settings.build(AuditConfig, config, "config")
    DataSettings.from_config(made.data)


def read_synthesis(config, _):
    made = settings.build(SynthesisConfig, config, "config")
    spec = spec_of(config["data"])
    DataSettings.from_config(made.data)
    settings.build(FilterSettings, made.filters, "config.filters")
    out = settings.build(ExportSettings, made.export, "config.export")
    assert out.format == "nifti"
    masks = settings.build(MaskSettings, made.masks, "config.masks")
    if masks.kind == "transplanted":
        DataSettings.from_config(masks.donors)
    for kind, part, cls, labels in (
        ("manipulated", masks.manipulation, Manipulation, "lesion"),
        ("transplanted", masks.transplantation, Transplantation, "lesion"),
        ("injected", masks.injection, Injection, "parenchyma"),
    ):
        assert bool(part) == (masks.kind == kind)
        if part:
            chosen = getattr(settings.build(cls, part, kind), labels)
            assert chosen
            for label in chosen:
                spec.label_index(label)


READERS = {
    "train": read_training,
    "judge": read_judge,
    "audit": read_audit,
    "quality": read_quality,
    "synthesize": read_synthesis,
}


@pytest.mark.parametrize(("name", "words"), VARIANTS)
def test_who_works_together_has_the_same_data(name, words):
    """Slices are prepared and divided alike, or they would not fit, or would leak."""
    experiment, made = planned(name, words)
    for cell in made.cells.values():
        ours = cell.config["data"]
        for other in (made.cells[need].config for need in cell.needs):
            theirs = other["data"]
            assert theirs["source"] == ours["source"]
            assert theirs["prepare"] == ours["prepare"], (cell.name, other)
    own = set(experiment.datasets) - {"lesions", "healthy"}  # Of label maps alone.
    sources = {cell.config["data"]["source"] for cell in made.cells.values()}
    assert len(own) == len(sources) or name.startswith("stroke")


@pytest.mark.parametrize("name", NAMES)
def test_the_grid_is_the_papers(name):
    experiment, made = planned(name)
    run = experiment.run_arms
    sizes = (len(experiment.jobs), len(run), len(experiment.arms) - len(run))
    assert sizes == SIZES[name]
    seeds = len(experiment.generator_seeds), len(experiment.seeds)
    assert len(made.cells) <= sizes[0] * seeds[0] + sizes[1] * seeds[1]
    for arm in run:
        assert sorted(made.of_arm[arm.key].values()) == sorted(experiment.seeds)


@pytest.mark.parametrize(("name", "words"), VARIANTS)
def test_every_job_and_data_set_is_used(name, words):
    experiment, made = planned(name, words)
    shown = {job for row in experiment.quality for job in made.of_job[row.job]}
    others = [*experiment.curves, *(row.job for row in experiment.audits)]
    shown |= {job for other in others for job in made.of_job[other]}
    needed = {need for cell in made.cells.values() for need in cell.needs}
    for job, cells in made.of_job.items():
        assert set(cells) <= needed | shown, job
    assert set(experiment.judges) == {arm.judge for arm in experiment.run_arms}
    used = str([*experiment.jobs.values(), *experiment.judges.values()])
    assert all(f"'set': '{data}'" in used for data in experiment.datasets)


RATIOS = ("dice", "sensitivity", "specificity", "precision", "loss")
LARGEST = {**dict.fromkeys(RATIOS, 1.0), "hd": 300, "hd95": 300, "assd": 100}
LARGEST["relative_volume"] = 1000


@pytest.mark.parametrize(("name", "words"), VARIANTS)
def test_what_is_printed_is_measured(name, words):
    experiment, _ = planned(name, words)
    (judge,) = {arm.judge for arm in experiment.arms if arm.row is None} or {""}
    for arm in experiment.arms:
        assert arm.row is not None or arm.printed
        metrics = experiment.judges[arm.judge or judge]["metrics"]
        for region, values in arm.printed.items():
            known = set(metrics["names"])
            if metrics.get("loss") and not region:
                known = {"loss"}
            else:
                assert region in metrics["regions"]
            assert set(values) <= known
            for metric, value in values.items():
                assert 0 < value <= LARGEST[metric]
    for row in experiment.quality:
        assert set(row.printed) <= set(experiment.jobs[row.job]["metrics"])
    for judge in experiment.judges.values():
        assert set(experiment.compared) <= set(judge["metrics"]["names"])


@pytest.mark.parametrize(("name", "words"), VARIANTS)
def test_arms_can_be_compared_with_the_baseline(name, words):
    experiment, _ = planned(name, words)
    for judge in experiment.judges:
        names = [arm.name for arm in experiment.run_arms if arm.judge == judge]
        assert experiment.baseline in names and len(names) > 1


@pytest.mark.parametrize(("name", "words"), VARIANTS)
def test_exports_hold_the_cases_that_arms_take(name, words):
    experiment, _ = planned(name, words)
    for arm in experiment.run_arms:
        many = arm.row.get("synthetic_cases", 0) or arm.row.get("synthetic", 0)
        assert bool(many) == bool(arm.export or arm.generator), arm
        if arm.export:
            assert (
                arm.row.get("synthetic_cases", 1)
                <= experiment.jobs[arm.export]["cases"]
            )


def kinds_of(made):
    """What kinds of cells there are."""
    kinds = {
        (cell.config["job"], cell.config.get("masks", {}).get("kind"))
        for cell in made.cells.values()
    }
    for cell in cells_of(made, "judge"):
        for row in cell.config["rows"]:
            kinds |= {
                ("real", row.get("patients", -1) != 0),
                ("few", row.get("patients", -1) > 0),
                ("start_from", "start_from" in row),
                ("synthetic", bool(row.get("synthetic") or row.get("synthetic_cases"))),
            }
    return kinds


@pytest.mark.parametrize("name", NAMES)
def test_shrunk_every_kind_of_cell_is_left(name):
    (_, whole), (_, shrunk) = planned(name), planned(name, "runlocal")
    assert kinds_of(shrunk) == kinds_of(whole)
    assert len(shrunk.cells) <= 14
    for cell in shrunk.cells.values():
        config = cell.config
        assert config["data"]["prepare"]["image_size"] == 32
        assert config["data"]["phantom"]["patients"] == 5
        parts = splits.divide("abcde", config["data"]["prepare"]["fractions"], seed=0)
        assert [*map(len, parts.parts.values())] == [2, 1, 2]
        assert config.get("train", {}).get("steps", 0) <= 8
        assert not config.get("train", {}).get("epochs")
        assert config.get("cases", 0) <= 2
        assert config["seed" if "seed" in config else "seeds"] in (0, [0])
        for row in config.get("rows", ()):
            assert row.get("patients", 0) <= 2


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_word_lists_the_known(name):
    with pytest.raises(ValueError, match="'runlokal' is none of: .*runlocal"):
        get_config(name, "runlokal")
