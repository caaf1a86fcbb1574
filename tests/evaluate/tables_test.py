import json
import math

import numpy as np
import pytest

from jaxsyn.evaluate.tables import Comparison, write_rows
from jaxsyn.metrics.segmentation import SegmentationMetrics

MEASURE = SegmentationMetrics(regions={"A": (1,), "B": (2,)}, metrics=("dice",))


def units(*hits, empty=False):
    """A case for each number of right pixels, of four in the reference."""
    found = []
    for i, hit in enumerate(hits):
        reference, prediction = (np.zeros((1, 4, 4), np.uint8) for _ in range(2))
        reference[0, 0] = 0 if empty else 1
        prediction[0, 0, :hit] = 1
        spacing = (1.0, 1.0, 1.0)
        found += MEASURE.case(prediction, reference, spacing=spacing, name=f"case{i}")
    return found


@pytest.fixture
def table():
    # Dice 1 and 2/3 with one seed, 1 and 1 with the other; B is nowhere.
    results = {
        "row": {3: [units(4, 2)], 5: [units(4, 4)]},
        "other": {3: [units(4, 4)], 5: [units(4, 4)]},
    }
    return Comparison.of(results, MEASURE, {"row": {"A": {"dice": 0.5}}})


def test_means_are_taken_over_cases_then_over_seeds(table):
    entry = table.entries["row"]["A"]["dice"]
    np.testing.assert_allclose(entry.mean, (5 / 6 + 1) / 2)
    np.testing.assert_allclose(entry.sd, (1 - 5 / 6) / math.sqrt(2))
    assert (entry.n, entry.undefined) == (2, 0)
    assert str(entry) == "0.9167 ± 0.118"


def test_what_is_undefined_is_no_number_and_is_counted(table):
    entry = table.entries["row"]["B"]["dice"]
    assert math.isnan(entry.mean) and (entry.n, entry.undefined) == (0, 2)
    assert str(entry) == "–"


def test_looks_are_averaged_before_seeds():
    results = {"row": {0: [units(4), units(2)]}}
    entry = Comparison.of(results, MEASURE, {}).entries["row"]["A"]["dice"]
    np.testing.assert_allclose(entry.mean, (1 + 2 / 3) / 2)
    assert math.isnan(entry.sd)


def test_n_is_printed_where_cases_are_left_out():
    results = {"row": {0: [[*units(4), *units(0, empty=True)]]}}
    entry = Comparison.of(results, MEASURE, {}).entries["row"]["A"]["dice"]
    assert str(entry) == "1 (n = 1)"


def test_the_paper_stands_below_its_row(table):
    lines = table.format(["About."]).splitlines()
    assert lines[0] == "| trained on | A dice | B dice |"
    assert lines[2].startswith("| row | 0.9167")
    assert lines[3] == "| *row, in the paper* | 0.5 |  |"
    assert lines[4].startswith("| other |")
    assert "convention 'nan'" in lines[-1] and "About." in lines


def test_a_loss_is_a_column_of_no_region(tmp_path):
    results = {"row": {3: [units(4), units(2)], 5: [units(4), units(4)]}}
    losses = {"row": {3: [0.2, 0.4], 5: [0.5, 0.7]}}
    made = Comparison.of(results, MEASURE, {"row": {"": {"loss": 0.4}}}, losses)
    lines = made.format().splitlines()
    assert lines[0] == "| trained on | A dice | B dice | loss |"
    # Of looks 0.3 and 0.6; 0.3 / sqrt(2) between seeds.
    assert lines[2].endswith("| 0.45 ± 0.212 |")
    assert lines[3] == "| *row, in the paper* |  |  | 0.4 |"
    made.save(tmp_path)
    *_, last = [json.loads(x) for x in (tmp_path / "table.jsonl").open()]
    assert (last["region"], last["metric"], last["n"]) == ("", "loss", 1)
    np.testing.assert_allclose(last["mean"], 0.45)


def test_files_hold_no_nan(table, tmp_path):
    table.save(tmp_path)
    for line in (tmp_path / "cases.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)
    cases = [json.loads(x) for x in (tmp_path / "cases.jsonl").open()]
    assert {r["seed"] for r in cases} == {3, 5}
    rows = [json.loads(x) for x in (tmp_path / "table.jsonl").open()]
    assert {r["paper"] for r in rows if r["region"] == "A"} == {0.5, None}


def test_no_rows_are_a_file_too(tmp_path):
    write_rows(tmp_path, "none", [])
    assert (tmp_path / "none.jsonl").read_text() == ""
