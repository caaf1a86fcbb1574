"""Every experiment can be planned, and its jobs be read by those that run them."""

import importlib
from pathlib import Path

from ml_collections import ConfigDict
import pytest

from configs import common, datasets
from configs.experiments import base, pgan_spade_table1, stroke_table2, stylegan_table2
from fixtures import brats_spec
from jaxsyn import settings, systems, train
from jaxsyn.data import sources, splits
from jaxsyn.data.feed import DataSettings
from jaxsyn.engine.optimizers import Adam
from jaxsyn.evaluate.image_quality import QualityConfig
from jaxsyn.evaluate.judge import Judge
from jaxsyn.experiments import plan
from jaxsyn.experiments.settings import Experiment
from jaxsyn.metrics import quality
from jaxsyn.spec import DataSpec
from jaxsyn.synthesis.lesions import Injection, Manipulation, Transplantation
from jaxsyn.synthesis.masks import MaskSettings
from jaxsyn.synthesis.sieve import FilterSettings
from jaxsyn.synthesis.synthesize import ExportSettings, SynthesisConfig

FOLDER = Path(__file__).parent.parent / "configs" / "experiments"
NAMES = sorted(
    p.stem for p in FOLDER.glob("*.py") if p.stem not in ("__init__", "base")
)
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
    "contest": (20, 12, 0),
    "few_patients": (6, 24, 0),
    "pgan_spade_table1": (6, 21, 0),
    "pgan_swd": (2, 0, 0),
    "samr_table2": (16, 13, 0),
    "stroke_table1": (7, 15, 0),
    "stroke_table2": (4, 18, 0),
    "stylegan_table2": (8, 26, 0),
}


def get_config(name, words=""):
    return importlib.import_module(f"configs.experiments.{name}").get_config(words)


def planned(name, words=""):
    experiment = Experiment.from_config(get_config(name, words).to_dict())
    return experiment, plan.make(experiment)


def cells_of(made, *jobs):
    return [cell for cell in made.cells.values() if cell.config["job"] in jobs]


def spec_of(data):
    """What is in a data set, as far as it is known without the files."""
    labels = getattr(sources.load(data["source"]).module, "LABELS", brats_spec().labels)
    size = data["prepare"]["image_size"]
    return DataSpec(image_size=size, modalities=("a", "b"), labels=labels)


@pytest.mark.parametrize(("name", "words"), VARIANTS)
def test_jobs_are_read_by_those_that_run_them(name, words, tmp_path):
    _, made = planned(name, words)
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
    shown |= {job for curve in experiment.curves for job in made.of_job[curve]}
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


def test_the_mixtures_of_paper_001():
    experiment, _ = planned("pgan_spade_table1")
    assert experiment.judges["two"]["merge"] == {
        "background": ("white", "grey", "csf"),
        "tumour": common.TUMOUR,
    }
    assert experiment.judges["seven"]["merge"] == {}
    seven = [arm for arm in experiment.arms if arm.judge == "seven"]
    assert [
        (arm.row["patients"], arm.row["synthetic_cases"], arm.export) for arm in seven
    ] == [  # Slices divided by 155; a fifth of 168 patients.
        (-1, 0, ""),
        (-1, 58, "cases_all"),
        (-1, 155, "cases_all"),
        (0, 168, "cases_all"),
        (34, 0, ""),
        (34, 31, "cases_fifth"),
        (34, 134, "cases_fifth"),
    ]
    assert [arm.printed[""]["loss"] for arm in seven][3] == 0.4276
    steps = experiment.judges["four"]["train"]["steps"]
    assert steps == 150 * 26040 // 8
    fifth = experiment.jobs["spade_fifth"]
    assert fifth["data"]["patients"] == 34 and fifth["train"]["epochs"] == 250
    assert "patients" not in experiment.jobs["pgan_all"]["data"]
    slices = get_config("pgan_spade_table1", "split=slice")
    for job in ("pgan", "spade", "cases"):
        assert slices.jobs[f"{job}_fifth"].data.patients == 42
    assert slices.datasets.brats18_001.prepare.split == "slice"


def test_the_methods_of_paper_003():
    experiment, _ = planned("stylegan_table2", "patients=12")
    names = [arm.name for arm in experiment.arms]
    assert names[:3] == ["BL w.o.", "B-SG w.o. + 20", "B-SG w.o. + 50"]
    assert names[13:15] + names[-1:] == ["BL w.", "B-SG w. + 20", "MC-SG w. + 500"]
    assert {arm.row["augment"] for arm in experiment.arms[:13]} == {"none"}
    assert {arm.row["augment"] for arm in experiment.arms[13:]} == {"003"}
    assert experiment.jobs["b_sg"]["data"] == {"set": "brats20_003", "patients": 12}
    assert {arm.row["patients"] for arm in experiment.arms} == {12}
    made = experiment.jobs["cases_b_sg"], experiment.jobs["cases_mc_sg"]
    assert [job["generator"] for job in made] == ["", "cell:c_sg"]
    assert [job["masks"]["generator"] for job in made] == ["cell:b_sg", "cell:m_sg"]
    assert set(stylegan_table2.SIZES) <= set(datasets.DATA)


def test_the_lesions_and_anatomies_of_paper_004():
    experiment, _ = planned("stroke_table2")
    lesions = experiment.jobs["lesions"]
    assert lesions["data"] == {"set": "stroke", "holding": ("lesion",)}
    cases = {name: experiment.jobs[f"cases_{name}"] for name in ("normal", "negative")}
    assert {name: job["data"]["set"] for name, job in cases.items()} == {
        "normal": "normal",
        "negative": "negative",
    }
    assert [job["cases"] for job in cases.values()] == [2067, 1746]  # 2 % to spare
    arms = {arm.name: arm for arm in experiment.arms}
    assert arms["10 % + negative"].row == {
        "augment": "004-geometric",
        "patients": 31,
        "synthetic_cases": 428,
    }
    assert arms["100 % + 4 x negative"].export == "cases_negative"
    assert arms["100 %, noise"].row["augment"] == "004-noise"
    assert arms["100 % + normal"].printed["lesion"] == {
        "dice": 0.673,
        "relative_volume": 15.5,
        "hd": 32.2,
        "assd": 4.1,
        "precision": 0.818,
        "sensitivity": 0.618,
    }
    augments = {arm.row["augment"] for arm in experiment.arms}
    assert augments == {"004-geometric", *stroke_table2.AUGMENT.values()}


def test_fine_tuning_starts_from_the_generators_own_column():
    _, made = planned("stroke_table1")
    rows = made.cells["unet-spade-clinical-synthetic-0"].config["rows"]
    assert [row["name"] for row in rows] == ["clinical-synthetic"]
    cell = made.cells["unet-spade-synthetic-0"]
    assert cell.config["synthetic"]["export"] == "cell:cases_SPADE-0"
    assert [(r["name"], r.get("start_from")) for r in cell.config["rows"]] == [
        ("synthetic", None),
        ("synthetic-then-10-clinical", "synthetic"),
        ("synthetic-then-50-clinical", "synthetic"),
    ]


def test_the_ablations_of_papers_000_and_002_differ_in_what_they_leave_out():
    regions = get_config("borde_table4").jobs
    assert {len(job.system.regions) for job in regions.values()} == {1, 2, 3, 4, 5}
    parts = [
        (job.system.multi_task, job.system.residual, job.system.noise)
        for job in get_config("borde_table5").jobs.values()
    ]
    assert sorted(map(sum, parts)) == [0, 1, 2, 3]
    samr = get_config("samr_table2").jobs
    assert not samr.without_atlas.system.get("atlas", True)
    assert not samr.without_stretch_out.system.get("stretch_out", True)
    assert not samr.without_label_wise_d.system.get("label_wise", True)
    assert samr.without_consistency.system.consistency == 0
    assert samr.cases_samr.masks.manipulation.lesion == ("oedema", "cavity", "tumour")


def test_the_contest_is_fair():
    config = get_config("contest", "images=64000,size=128")
    trainings = [job for job in config.jobs.values() if job.job == "train"]
    assert len(trainings) == 10
    for job in trainings:
        assert job.train.steps * job.train.batch_size == 64_000
        assert not job.train.epochs and set(job.data) <= {"set", "augment"}
    assert config.jobs.pix2pix.data.augment.zoom[0] > 1.1  # Its own jitter.
    assert config.datasets.brats.prepare.image_size == 128
    without_lesions = get_config("contest", "data=oasis_tissues")
    assert len(without_lesions.jobs) == 18 and "samr" not in without_lesions.jobs


def test_few_patients_are_the_same_for_generator_and_u_nets():
    experiment, made = planned("few_patients", "lesions")
    for few in (1, 2, 3):
        job = experiment.jobs[f"others_{few}"]
        assert experiment.jobs[f"generator_{few}"]["data"]["patients"] == few
        assert job["masks"]["brains"] == {"set": "brats", "patients": few}
        assert job["generator"] == f"cell:generator_{few}"
        judge = f"patients_{few}"
        assert experiment.judges[judge]["data"]["patients"] == few
        arms = [arm for arm in experiment.arms if arm.judge == judge]
        assert {arm.row["patients"] for arm in arms} == {0, few}
        assert {arm.generator for arm in arms} == {"", f"generator_{few}"}
        assert {arm.export for arm in arms} == {"", f"others_{few}"}


def test_lesions_of_others_come_from_where_the_words_say():
    def masks(words):
        jobs = get_config("few_patients", words).jobs
        return {name: job.masks for name, job in jobs.items() if "masks" in job}

    assert masks("patients=1")["others_1"].kind == "real"
    both = masks("patients=1,lesions,healthy,size=64")
    for job in both.values():
        assert job.donors.to_dict() == {"set": "lesions"}
    assert both["healthy_1"].brains.to_dict() == {"set": "healthy"}
    sizes = {
        data.prepare.image_size
        for data in get_config(
            "few_patients", "lesions,healthy,size=64"
        ).datasets.values()
    }
    assert sizes == {64}


def test_shrunk_the_few_are_one():
    config = get_config("few_patients", "patients=3,lesions,runlocal")
    assert config.jobs.generator_3.data.patients == 1
    assert config.jobs.others_3.masks.brains.patients == 1
    assert config.judges.patients_3.data.patients == 1
    assert {arm["row"]["patients"] for arm in config.arms} == {0, 1}


def test_a_difference_is_what_is_laid_over():
    plain = ConfigDict({"a": 1, "b": {"c": (1, 2), "d": 3}, "e": {"f": 0}})
    values = ConfigDict({"a": 2, "b": {"c": (1, 2), "d": 4}, "e": {"f": 0}, "g": 5})
    assert base.difference(values, plain) == {"a": 2, "b": {"d": 4}, "g": 5}


def test_printed_values_are_sorted_by_region():
    found = base.printed(("ET", "WT"), dice=(0.1, 0.2), hd95=(3, 4))
    assert found == {"ET": {"dice": 0.1, "hd95": 3}, "WT": {"dice": 0.2, "hd95": 4}}
    with pytest.raises(ValueError, match="zip"):
        base.printed(("ET", "WT"), dice=(0.1,))


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_word_lists_the_known(name):
    with pytest.raises(ValueError, match="'runlokal' is none of: .*runlocal"):
        get_config(name, "runlokal")


def test_tissues_are_background_where_the_tumour_is_asked_for():
    spec = spec_of({"source": "brats_tissues", "prepare": {"image_size": 256}})
    views = pgan_spade_table1.get_config().judges
    sizes = [len(spec.merge(views[view].merge.to_dict()).classes) for view in views]
    assert dict(zip(views, sizes, strict=True)) == {"seven": 7, "four": 4, "two": 2}


def test_scores_of_paper_003_add_up():
    for data in ("brats20_003", "ibsr18"):
        arms = get_config("stylegan_table2", f"data={data}").arms
        scores = {arm["name"]: arm["score"] for arm in arms}
        assert len(scores) == 26 and sum(scores.values()) == 0
    assert scores["BL w.o."] == 10 and scores["B-SG w.o. + 500"] == -20
    assert scores["MC-SG w. + 20"] == 6
    few = get_config("stylegan_table2", "patients=12").arms
    assert not any("score" in arm for arm in few)


def test_stroke_is_trained_on_for_as_many_epochs_as_in_the_paper():
    arms = {arm["name"]: arm["row"] for arm in get_config("stroke_table1").arms}
    assert arms["clinical"]["steps"] == 31_000
    assert arms["10 clinical"]["steps"] == 1000
    assert arms["synthetic, then 50 clinical"]["steps"] == 1500
    assert "steps" not in arms["synthetic"]
    shrunk = get_config("stroke_table1", "runlocal").arms
    assert max(arm["row"].get("steps", 0) for arm in shrunk) == 4
