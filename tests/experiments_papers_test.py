"""What the papers fix of their tables, by hand."""

from ml_collections import ConfigDict
import pytest

from configs import common, datasets
from configs.experiments import base, pgan_spade_table1, stroke_table2, stylegan_table2
from grids import get_config, planned, spec_of


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


def test_a_small_contest_is_one_of_equal_batches():
    config = get_config("contest", "images=6400,size=64,small")
    trainings = [job.train for job in config.jobs.values() if job.job == "train"]
    assert len(trainings) == 10
    assert {(job.steps, job.batch_size) for job in trainings} == {(1600, 4)}


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
    assert len(without_lesions.jobs) == 3 * 9 and "samr" not in without_lesions.jobs


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
        first, then = (arm for arm in arms if "steps" in arm.row)
        assert then.row["start_from"] == first.name
        whole = experiment.judges[judge]["train"]["steps"]
        assert first.row["steps"] + then.row["steps"] == whole


def test_lesions_of_others_come_from_where_the_words_say():
    def masks(words):
        jobs = get_config("few_patients", words).jobs
        return {name: job.masks for name, job in jobs.items() if "masks" in job}

    assert masks("patients=1")["others_1"].kind == "real"
    both = masks("patients=1,lesions,healthy,size=64")
    for job in both.values():
        assert job.donors.to_dict() == {"set": "lesions"}
    assert both["healthy_1"].brains.to_dict() == {"set": "healthy"}
    data = get_config("few_patients", "lesions,healthy,size=64").datasets
    prepare = {
        name: (one.prepare.image_size, one.prepare.fit) for name, one in data.items()
    }
    assert prepare == {
        "brats": (64, "resize"),
        "healthy": (64, "resize"),
        "lesions": (256, "pad"),  # Images of BraTS have 240 pixels a side.
    }


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
