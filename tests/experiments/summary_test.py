"""From the files that cells left to a report; numbers by hand."""

import dataclasses
import json
import math

import numpy as np
from PIL import Image
import pytest

from jaxsyn import storage
from jaxsyn.evaluate import tables as judge_tables
from jaxsyn.experiments import comparisons, plan, results, summary, tables
from jaxsyn.experiments.plan import folder_of, slug
from jaxsyn.experiments.runner import Runner
from jaxsyn.experiments.settings import Experiment
from jaxsyn.metrics import statistics
from jaxsyn.report import page

CASES = 12
GAIN = {"none": 0.0, "SPADE": 0.1, "BORDE": 0.2}
CONFIG = {
    "job": "experiment",
    "title": "Does it help?",
    "about": "It is asked.",
    "seeds": [0, 1],
    "datasets": {"brats": {"source": "brats"}},
    "jobs": {
        "spade": {"job": "train", "data": {"set": "brats"}},
        "quality": {"job": "quality", "data": {"set": "brats"}},
        "audit": {"job": "audit", "data": {"set": "brats"}},
    },
    "judges": {"unet": {"job": "judge", "data": {"set": "brats"}}},
    "arms": [
        {"name": "none", "row": {}, "printed": {"ET": {"dice": 0.69}}},
        {"name": "SPADE", "row": {}, "generator": "spade"},
        {"name": "BORDE", "row": {}, "score": -3},
        {"name": "leader", "printed": {"ET": {"dice": 0.93}}},
    ],
    "baseline": "none",
    "quality": [{"name": "SPADE", "job": "quality", "printed": {"fid": 11.84}}],
    "audits": [{"name": "SPADE", "job": "audit"}],
    "curves": {"spade": "swd"},
}


def dice(arm, seed, case, region):
    """Cases differ by more than arms, arms by more than seeds."""
    of_case = 0.3 + 0.03 * ((5 * case) % CASES) + 0.1 * (region == "WT")
    return of_case + GAIN[arm] + 0.004 * seed + 0.001 * ((7 * case) % 5)


def leave_a_judge(folder, arm, seed):
    """What a judge's job leaves in its folder."""
    rows = [
        {
            "row": slug(arm),
            "seed": seed,
            "look": 0,
            "case": f"p{case}",
            "region": region,
            "metric": "dice",
            "value": dice(arm, seed, case, region),
            "by_convention": False,
        }
        for case in range(CASES)
        for region in ("ET", "WT")
    ]
    means = [
        {
            "row": slug(arm),
            "region": region,
            "metric": "dice",
            "mean": float(np.mean([r["value"] for r in rows if r["region"] == region])),
            "undefined": 0,
        }
        for region in ("ET", "WT")
    ]
    # Another row of the judge's is another arm's.
    judge_tables.write_rows(folder, "cases", [*rows, {**rows[0], "row": "other"}])
    judge_tables.write_rows(
        folder, "table", [*means, {**means[0], "row": "other", "mean": 0.0}]
    )
    storage.write_json(folder / "notes.json", ["2 test patients."])
    run = folder / "cells" / f"{slug(arm)}-{seed}"
    run.mkdir(parents=True)
    lines = ({"step": s, "score": 0.1 * s + seed} for s in (1, 2))
    (run / "validation.jsonl").write_text("\n".join(map(json.dumps, lines)))
    line = {"step": 1, "segmenter/ce": 2.0, "segmenter/dice": 1.0}
    line["segmenter/grad_norm"] = 9.0
    (run / "metrics.jsonl").write_text(json.dumps(line))


def leave_a_training(folder):
    line = {"step": 5, "swd": 30.5}
    (folder / "metrics.jsonl").write_text(json.dumps(line))
    (folder / "samples").mkdir()
    for step in (5, 10):
        shade = Image.new("L", (4, 4), step)
        shade.save(folder / "samples" / f"step_{step:07d}.png")
    storage.write_json(folder / "sizes.json", {"generator": 1000, "critic": 234})
    storage.write_json(folder / "config.json", {"train": {"batch_size": 24}})


@pytest.fixture
def finished(tmp_path):
    """An experiment whose cells are all done, but those of BORDE with seed 1."""
    experiment = Experiment.from_config(CONFIG)
    made = plan.make(experiment)
    runner = Runner(made, tmp_path)
    for name, state in runner.states.items():
        state.folder.mkdir(parents=True)
        state.attempt(made.cells[name].config, "done", 60.0)
        folder = folder_of(tmp_path, name)
        folder.mkdir(parents=True)
        about = {"command": [], "python": "3", "devices": ["cpu"]}
        if name.startswith("audit"):
            del about["command"]
        storage.write_json(folder / "environment.json", about)
    for (_, name), cells in made.of_arm.items():
        for cell, seed in cells.items():
            leave_a_judge(folder_of(tmp_path, cell), name, seed)
    leave_a_training(folder_of(tmp_path, "spade-0"))
    quality = [
        {"metric": "fid", "modality": "t1", "value": 20.0, "warning": ""},
        {"metric": "fid", "modality": "t2", "value": 40.0, "warning": ""},
        {"metric": "fid", "modality": "mean", "value": 30.0, "warning": ""},
        {"metric": "kid", "modality": "mean", "value": None, "warning": "no weights"},
    ]
    judge_tables.write_rows(folder_of(tmp_path, "quality-0"), "quality", quality)
    flagged = {"mean": 0.02, "low": 0.0, "high": 0.041, "count": 8}
    auc = {"mean": 0.51, "low": None, "high": None, "count": 4}
    verdict = {"word": "passes", "copies": 0, "flagged": flagged, "auc": auc}
    storage.write_json(folder_of(tmp_path, "audit-0") / "verdict.json", verdict)
    state = runner.states["unet-borde-1"]
    (state.folder / "done.json").unlink()
    state.fail("There is no memory.\n  hint: Buy some.", 5)
    return experiment, made, runner, tmp_path


def arms(finished):
    experiment, made, runner, workdir = finished
    done = {name for name, state in runner.states.items() if state.done}
    return results.of_arms(experiment, made, done, workdir)


def test_an_arm_is_the_mean_over_its_finished_seeds(finished):
    none, spade, borde = arms(finished)
    value = none.values["ET", "dice"]
    of_case = [dice("none", 0.5, case, "ET") for case in range(CASES)]
    assert value.mean == pytest.approx(np.mean(of_case))
    assert value.sd == pytest.approx(0.004 / math.sqrt(2))
    assert (value.count, borde.values["ET", "dice"].count) == (2, 1)
    assert math.isnan(borde.values["ET", "dice"].sd)
    units = spade.units("dice")
    assert units["p3", "WT"] == pytest.approx(dice("SPADE", 0.5, 3, "WT"))
    assert none.curve("score") == ([1, 2], pytest.approx([0.6, 0.7]))
    assert none.curve("loss") == ([1], [3.0])


def test_arms_are_compared_case_by_case(finished):
    experiment = finished[0]
    found = comparisons.with_baseline(experiment, arms(finished))
    assert list(found) == ["ET dice", "WT dice"]
    spade = found["ET dice"]["SPADE"]
    assert spade.difference.mean == pytest.approx(0.1)
    assert spade.p == pytest.approx(2 / 2**CASES)  # All twelve cases are better.
    assert spade.adjusted == pytest.approx(2 * spade.p)


def test_what_was_found_is_said_in_a_sentence():
    def compared(difference, adjusted, count=9):
        interval = statistics.Interval(mean=difference, low=0, high=0, count=count)
        return statistics.Comparison(difference=interval, p=adjusted, adjusted=adjusted)

    arms = {
        "a": compared(0.1, 0.01),
        "b": compared(-0.1, 0.02),
        "c": compared(0.2, 0.06),
    }
    said = comparisons.in_words("ET dice", arms, "none")
    assert said == (
        "ET dice, against “none”: a is better; b is worse; 1 of 3 cannot be told apart"
        " from it."
    )
    said = comparisons.in_words("ET hd95", arms, "none")
    assert "b is better; a is worse" in said
    few = {"a": compared(0.1, math.nan)}
    assert "too few cases" in comparisons.in_words("ET dice", few, "none")
    hopeless = {name: compared(0.1, 0.06, count=5) for name in "abc"}
    said = comparisons.in_words("ET dice", hopeless, "none")
    assert "5 cases are too few to tell 3 arms" in said
    assert "no p is less than 0.062, or 0.19 with Holm" in said


def test_arms_are_ranked_in_regions_of_cases_or_in_cases(finished):
    experiment = finished[0]
    found, why = comparisons.rankings(experiment, arms(finished))
    ranking = found["dice"]
    assert ranking.count == 2 * CASES and not why
    assert ranking.scores == {"none": -2, "SPADE": 0, "BORDE": 2}
    by_volume = dataclasses.replace(experiment, unit="volume")
    found, _ = comparisons.rankings(by_volume, arms(finished))
    assert found["dice"].count == CASES


def test_blocks_without_a_value_for_some_method_are_left_out_and_said(finished):
    experiment, made, _, workdir = finished
    path = folder_of(workdir, "unet-borde-0") / "cases.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0]["value"] = None
    path.write_text("\n".join(map(json.dumps, lines)))
    found, why = comparisons.rankings(experiment, arms(finished))
    assert found["dice"].count == 2 * CASES - 1
    assert why == ["dice: 1 blocks without a value for some method are left out."]


def test_low_values_are_good_where_a_metric_is_a_distance(finished):
    experiment, made, _, workdir = finished
    for cell in made.cells:
        if not cell.startswith("unet"):
            continue
        path = folder_of(workdir, cell) / "cases.jsonl"
        path.write_text(path.read_text().replace('"dice"', '"hd95"'))
    distances = dataclasses.replace(experiment, compared=("hd95",))
    found, _ = comparisons.rankings(distances, arms(finished))
    assert found["hd95"].scores == {"none": 2, "SPADE": 0, "BORDE": -2}


def test_columns_have_their_own_baseline_or_that_of_the_judge():
    config = {**CONFIG, "curves": {}, "quality": []}
    config["judges"] = {name: CONFIG["judges"]["unet"] for name in ("seven", "two")}
    config["arms"] = [
        {"name": name, "column": column, "judge": judge, "row": {}}
        for judge, column, name in (
            ("seven", "real", "none"),
            ("seven", "P2P", "mixed"),
            ("two", "two", "none"),
            ("two", "two", "mixed"),
        )
    ]
    experiment = Experiment.from_config(config)
    found = [results.ArmResults(arm, {}) for arm in experiment.run_arms]
    groups = comparisons._groups(experiment, found)
    assert [(b.arm.column, [a.arm.column for a in own]) for b, own in groups] == [
        ("real", ["P2P"]),
        ("two", ["two"]),
    ]


def test_the_table_has_measured_and_printed_rows_in_the_papers_order(finished):
    experiment = finished[0]
    table = tables.of_results(experiment, arms(finished))
    assert [column.group for column in table.columns] == ["", "ET", "WT"]
    heads = [(row.cells[0], row.printed) for row in table.rows]
    assert heads == [
        ("none", False),
        ("none, printed", True),
        ("SPADE", False),
        ("BORDE", False),
        ("leader, printed", True),
    ]
    assert table.rows[0].cells[1] == "0.4688 ± 0.0028"
    assert table.rows[1].cells[1:] == ("0.69", "")
    assert table.notes == ("2 test patients.",)


def test_quality_takes_the_mean_over_modalities_and_passes_warnings_on(finished):
    experiment, _, _, workdir = finished
    table, warnings = tables.of_quality(
        experiment, {"quality": [folder_of(workdir, "quality-0")]}
    )
    assert [row.cells for row in table.rows] == [
        ("SPADE", "30"),
        ("SPADE, printed", "11.84"),
    ]
    assert warnings == ["SPADE: kid: no weights"]


def test_audits_are_a_table(finished):
    experiment, _, _, workdir = finished
    table = tables.of_audits(experiment, {"audit": [folder_of(workdir, "audit-0")]})
    (row,) = table.rows
    assert row.cells == ("SPADE", "passes", "0.020 [0.000, 0.041]", "0.510", "0")


def test_the_page_has_all_of_it_and_the_failures_first(finished, tmp_path):
    experiment, made, runner, workdir = finished
    path = page.write(summary.page_of(experiment, made, runner, workdir), workdir)
    text = (workdir / "report.md").read_text()
    titles = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert titles == [
        "Failures",
        "In short",
        "Results",
        "Differences",
        "Ranking",
        "Cases",
        "Image quality",
        "Memorisation",
        "Samples",
        "Learning curves",
        "Cost",
        "How to repeat it",
    ]
    assert "unet-borde-1 failed: There is no memory." in text
    assert "| spade-0 | 1,234 | 60 | 2 | cpu |" in text  # 5 steps of 24 in a minute.
    assert "| 3\\. BORDE | 1.00 | 2 | −3 |" in text
    assert "ET dice, against “none”: SPADE, BORDE are better." in text
    assert "Of one U-Net each: BORDE. " in text
    assert "1,234" in text and "step 0000010" in text
    assert path.read_text().count("data:image/svg") >= 5
    made_files = {p.name for p in (workdir / "tables").iterdir()}
    assert {"results.csv", "results.tex", "differences.csv"} <= made_files


def test_of_few_cases_nothing_is_tested(finished):
    experiment, made, _, workdir = finished
    for cell in made.cells:
        if not cell.startswith("unet"):
            continue
        path = folder_of(workdir, cell) / "cases.jsonl"
        few = ('"p1"', '"p2"', '"p3"')  # Whose regions are six blocks.
        lines = [s for s in path.read_text().splitlines() if any(p in s for p in few)]
        path.write_text("\n".join(lines))
    found = comparisons.with_baseline(experiment, arms(finished))
    table = tables.of_comparisons(found, "none")
    assert table.rows[0].cells == ("SPADE", "ET dice", "+0.100", "3", "–", "–")
    assert "fewer than 6 cases" in table.notes[0]
    assert "fewer than 6" in tables.of_cases(arms(finished), ["dice"]).notes[0]
    _, why = comparisons.rankings(experiment, arms(finished))
    assert len(why) == 1 and why[0].startswith("dice: 3 cases are too few to rank")
