"""An experiment as a user runs it."""

import json
from pathlib import Path
import subprocess
import sys

import pytest

ROOT = Path(__file__).parents[2]


def run(workdir, *options):
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "jaxsyn.main",
            "--config=configs/experiments/borde_table1.py:runlocal",
            f"--workdir={workdir}",
            *options,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Table I of BORDE at its smallest, planned and then run."""
    workdir = tmp_path_factory.mktemp("experiment") / "table1"
    return workdir, run(workdir, "--config.dry_run"), run(workdir)


def test_a_dry_run_prints_the_cells_and_what_they_cost(done):
    workdir, dry, _ = done
    assert dry.returncode == 0, dry.stderr
    cells = [line for line in dry.stdout.splitlines() if line.startswith("| unet-")]
    assert len(cells) == 3 and "spade-0" in cells[-1]
    assert "4 cells; about" in dry.stdout


def test_it_fills_the_table_beside_what_was_printed(done):
    workdir, _, ran = done
    assert ran.returncode == 0, ran.stderr
    assert "4 of 4 cells are done" in ran.stdout
    table = (workdir / "tables" / "results.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in table[1:6]] == [
        "no augmentation",
        '"no augmentation',  # What the paper printed.
        "classical",
        '"classical',
        "SPADE",
    ]
    assert (workdir / "report.html").stat().st_size > 50_000


def test_cells_share_what_is_prepared_and_rendered(done):
    workdir, *_ = done
    assert len(list((workdir / "prepared").glob("*/manifest.json"))) == 1
    assert len(list((workdir / "rendered").glob("synthetic-*"))) == 1


def test_a_finished_experiment_makes_its_report_alone(done):
    workdir, *_ = done
    before = (workdir / "states" / "spade-0" / "attempts.jsonl").read_text()
    again = run(workdir)
    assert again.returncode == 0, again.stderr
    assert (workdir / "states" / "spade-0" / "attempts.jsonl").read_text() == before


def test_a_report_alone_is_of_what_there_is(tmp_path):
    made = run(tmp_path / "run", "--config.report_only")
    assert made.returncode == 0, made.stderr
    assert "0 of 4 cells are done" in made.stdout
    report = (tmp_path / "run" / "report.md").read_text()
    assert "4 of 4 cells are not finished" in report and "0.93" in report


def test_another_configuration_of_a_finished_cell_is_refused(done):
    workdir, *_ = done
    refused = run(workdir, "--config.jobs.spade.train.steps=6")
    assert refused.returncode == 4
    assert "train.steps: 4 -> 6" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_cell_that_fails_ends_the_command_with_its_code(done, tmp_path):
    missing = tmp_path / "nothing"
    failed = run(tmp_path / "run", f"--config.datasets.brats.source_dir={missing}")
    assert failed.returncode == 3
    assert "3 cells failed, 1 others need them" in failed.stderr
    report = (tmp_path / "run" / "report.md").read_text()
    assert "unet-spade-0 was not run" in report and str(missing) in report
    saved = json.loads((tmp_path / "run" / "states/spade-0/failed.json").read_text())
    assert saved["code"] == 3
