"""From an experiment's configuration to its cells."""

from pathlib import Path

import pytest

from jaxsyn.errors import UsageError
from jaxsyn.experiments import plan
from jaxsyn.experiments.settings import Experiment

DATA = {"source": "brats", "augment": {"flip": 0.5}, "prepare": {"image_size": 64}}
JUDGE = {"job": "judge", "data": {"set": "brats"}, "synthetic": {"warp": "none"}}


def train(**changes):
    return {"job": "train", "data": {"set": "brats", **changes}}


def arm(name, **others):
    return {"name": name, "row": {"augment": "none"}, **others}


def experiment(**changes):
    config = {
        "job": "experiment",
        "title": "A title",
        "seeds": [3, 4],
        "datasets": {"brats": DATA},
        "jobs": {"spade": train()},
        "judges": {"unet": JUDGE},
        "arms": [arm("none"), arm("SPADE", generator="spade")],
    }
    return Experiment.from_config({**config, **changes})


def cells_of(**changes):
    return plan.make(experiment(**changes)).cells


def test_arms_have_a_cell_for_each_seed_and_jobs_for_each_generator_seed():
    made = plan.make(experiment())
    assert list(made.cells) == [
        "spade-0",
        *("unet-none-3", "unet-none-4"),
        *("unet-spade-3", "unet-spade-4"),
    ]
    assert made.cells["unet-spade-4"].needs == ("spade-0",)
    assert made.cells["unet-none-3"].needs == ()
    assert made.of_arm["", "SPADE"] == {"unet-spade-3": 3, "unet-spade-4": 4}
    assert made.of_job["spade"] == ["spade-0"]


def test_u_nets_take_the_generators_in_turn():
    cells = cells_of(seeds=[0, 1, 2], generator_seeds=[7, 9])
    needs = [cells[f"unet-spade-{seed}"].needs for seed in (0, 1, 2)]
    assert needs == [("spade-7",), ("spade-9",), ("spade-7",)]
    assert cells["spade-9"].config["seed"] == 9


def test_divisions_repeat_everything_on_data_divided_otherwise():
    made = plan.make(experiment(seeds=[0], divisions=[5, 6]))
    cell = made.cells["unet-spade-0-split6"]
    assert cell.needs == ("spade-0-split6",)
    assert cell.config["data"]["prepare"] == {"image_size": 64, "split_seed": 6}
    assert made.cells["spade-0-split5"].config["data"]["prepare"]["split_seed"] == 5
    assert list(made.of_arm["", "none"]) == ["unet-none-0-split5", "unet-none-0-split6"]
    assert made.of_job["spade"] == ["spade-0-split5", "spade-0-split6"]


def test_a_judge_is_given_its_row_seed_and_generator():
    cell = cells_of()["unet-spade-4"]
    assert cell.config["rows"] == [{"augment": "none", "name": "spade"}]
    assert cell.config["seeds"] == [4]
    located = cell.located(Path("w"))
    assert located["generator"] == "w/cells/spade-0"
    assert located["synthetic"] == {"warp": "none", "dir": "w/rendered"}
    assert located["data"]["prepared_dir"] == "w/prepared"


def test_folders_that_are_given_are_kept():
    datasets = {"brats": {**DATA, "prepared_dir": "mine"}}
    cell = cells_of(datasets=datasets)["unet-spade-4"]
    assert cell.located(Path("w"))["data"]["prepared_dir"] == "mine"


def test_an_export_takes_the_place_of_a_generator():
    jobs = {"spade": train(), "syn": {**train(), "job": "synthesize"}}
    jobs["syn"]["generator"] = "cell:spade"
    arms = [arm("synthetic", export="syn")]
    cells = cells_of(jobs=jobs, arms=arms, seeds=[0])
    assert list(cells) == ["spade-0", "syn-0", "unet-synthetic-0"]
    assert cells["unet-synthetic-0"].config["synthetic"]["export"] == "cell:syn-0"
    assert "generator" not in cells["unet-synthetic-0"].config


def test_data_sets_are_laid_under_what_jobs_change():
    jobs = {"spade": train(patients=2, prepare={"fit": "pad"}, augment={"zoom": 1})}
    cells = cells_of(jobs=jobs)
    assert cells["spade-0"].config["data"] == {
        "source": "brats",
        "patients": 2,
        "prepare": {"image_size": 64, "fit": "pad"},
        "augment": {"flip": 0.5, "zoom": 1},
    }
    # Judges augment by row.
    assert "augment" not in cells["unet-none-3"].config["data"]


def test_data_sets_of_label_maps_are_laid_in_too():
    donors = {"set": "brats", "source": "label_maps"}
    synthesis = {**train(), "job": "synthesize", "masks": {"donors": donors}}
    cell = cells_of(jobs={"spade": train(), "syn": synthesis})["syn-0"]
    masks = cell.located(Path("w"))["masks"]
    assert masks["donors"]["source"] == "label_maps"
    assert masks["donors"]["prepared_dir"] == "w/prepared"


def test_arms_that_start_from_each_other_share_a_cell():
    arms = [
        arm("All synthetic", generator="spade"),
        arm("other"),
        {"name": "tuned", "row": {"patients": 10, "start_from": "All synthetic"}},
    ]
    made = plan.make(experiment(arms=arms, seeds=[0]))
    rows = made.cells["unet-all-synthetic-0"].config["rows"]
    assert [row["name"] for row in rows] == ["all-synthetic", "tuned"]
    assert rows[1]["start_from"] == "all-synthetic"
    assert made.of_arm["", "tuned"] == {"unet-all-synthetic-0": 0}


def test_columns_default_to_judges_where_there_are_several():
    judges = {"seven": JUDGE, "two": JUDGE}
    arms = [arm("none", judge="seven"), arm("none", judge="two")]
    cells = cells_of(judges=judges, arms=arms, seeds=[0])
    assert {"unet-seven-none-0", "unet-two-none-0"} <= set(cells)


def test_an_arm_without_a_row_is_not_run():
    assert len(cells_of(arms=[arm("none"), {"name": "leader"}], seeds=[0])) == 2


def test_jobs_that_need_others_come_after_them():
    jobs = {
        "quality": {**train(), "job": "quality", "generator": "cell:spade"},
        "spade": train(),
    }
    assert list(cells_of(jobs=jobs))[:2] == ["spade-0", "quality-0"]


WRONG = [
    ({"arms": [arm("none"), arm("none")]}, "share column and name"),
    ({"arms": [arm("no ne"), arm("No-ne")]}, "differ too little"),
    ({"arms": [arm("SPADE", generator="spde")]}, "Did you mean 'spade'"),
    ({"arms": [arm("none", judge="other")]}, "judge='other'"),
    ({"baseline": "nothing"}, "config.baseline='nothing'"),
    ({"jobs": {"spade": train(), "a": {**train(), "x": "cell:b"}}}, "names no job"),
    ({"datasets": {"isles": DATA}}, "no data set 'brats'"),
    ({"seeds": []}, "seeds"),
    ({"unit": "pixel"}, "unit='pixel'"),
    ({"quality": [{"name": "SPADE", "job": "fid"}]}, "'fid'"),
    ({"audits": [{"name": "SPADE", "job": "audit"}]}, "'audit'"),
    ({"curves": {"pgan": "swd"}}, "'pgan'"),
    ({"titel": ""}, "Did you mean 'title'"),
    (
        {"arms": [{"name": "tuned", "row": {"start_from": "synthetic"}}]},
        "starts from 'synthetic', which is no arm above it",
    ),
    (
        {
            "jobs": {
                "a": {**train(), "x": "cell:b"},
                "b": {**train(), "x": "cell:a"},
            },
            "arms": [],
        },
        "need one another: a-0, b-0",
    ),
    (
        {
            "jobs": {"spade": train(), "sean": train()},
            "arms": [
                arm("first", generator="spade"),
                arm("second", generator="sean", row={"start_from": "first"}),
            ],
        },
        "take synthetic cases from 2 jobs",
    ),
]


@pytest.mark.parametrize(("changes", "message"), WRONG, ids=[m for _, m in WRONG])
def test_what_makes_no_sense_is_refused(changes, message):
    with pytest.raises(UsageError) as error:
        plan.make(experiment(**changes))
    assert message in str(error.value)
