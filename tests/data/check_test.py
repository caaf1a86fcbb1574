import os
import subprocess
import sys

import numpy as np
from PIL import Image
import pytest

from case_files import LPS, SHAPE, write_brats
from jaxsyn.data import check, nifti, sources, survey
from jaxsyn.data.cases import Problem
from jaxsyn.data.sources import brats
from jaxsyn.errors import ResourceError


@pytest.fixture
def mixed(tmp_path):
    """Four cases: fine, damaged, without t2, without lesion."""
    write_brats(tmp_path, "BraTS-GLI-00001-000")
    damaged = write_brats(tmp_path, "BraTS-GLI-00001-001", seed=1)
    path = damaged / "BraTS-GLI-00001-001_t1.nii.gz"
    path.write_bytes(path.read_bytes()[:-9])
    incomplete = write_brats(tmp_path, "BraTS-GLI-00002-000", seed=2)
    (incomplete / "BraTS-GLI-00002-000_t2.nii.gz").unlink()
    healthy = write_brats(tmp_path, "BraTS-GLI-00003-000", seed=3)
    path = healthy / "BraTS-GLI-00003-000_seg.nii.gz"
    nifti.write(path, np.zeros(SHAPE, np.uint8), LPS)
    return tmp_path


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_every_case_is_reported_and_the_summary_adds_up(mixed, capsys, jobs):
    assert check.main([str(mixed), "--jobs", jobs]) == 3
    out, _ = capsys.readouterr()
    first, *lines, summary = out.splitlines()
    assert first == "used     BraTS-GLI-00001-000"
    assert lines[0].startswith("refused  BraTS-GLI-00001-001: ")
    assert "BraTS-GLI-00001-001_t1.nii.gz: Compressed file ended" in lines[0]
    assert lines[1].startswith("         hint: The file is damaged or incomplete")
    assert "refused  BraTS-GLI-00002-000: " in lines[2] and "has no t2" in lines[2]
    assert lines[4:6] == [
        "used     BraTS-GLI-00003-000",
        "         note: there is no lesion",
    ]
    assert lines[6:9] == [
        "grids        6×5×4 (2)",
        "spacing, mm  1×1×1 (2)",
        "orientation  LPS (2)",
    ]
    assert lines[9].startswith("t1           ") and "in the brain" in lines[9]
    # One voxel each of 2·120, in the case with a lesion; 9 and 12 of brain.
    assert lines[14:] == [
        "necrotic     0.417% of voxels, in 1 cases",
        "oedema       0.417% of voxels, in 1 cases",
        "enhancing    0.417% of voxels, in 1 cases",
        "brain        8.750% of voxels, in 2 cases",
    ]
    # The refused one without t2 is counted with no patient: it is no case.
    assert summary == "cases: 4, used: 2, refused: 2; patients: 2"


def test_all_used_exits_with_0(tmp_path, capsys):
    write_brats(tmp_path, "a")
    assert check.main([str(tmp_path)]) == 0
    assert "cases: 1, used: 1, refused: 0; patients: 1" in capsys.readouterr().out


def test_equal_images_are_noted(tmp_path):
    for name, seed in (("a", 0), ("b", 1), ("c", 0)):
        write_brats(tmp_path, name, seed=seed)
    cases = sources.load("brats").find_cases(tmp_path)
    notes = [
        verdict.notes for verdict in check.check_cases(cases, brats.LABELS, jobs=1)
    ]
    assert notes == [(), (), ("its images are those of a",)]


def test_a_sheet_shows_the_slice_with_the_lesion(tmp_path, capsys):
    write_brats(tmp_path / "in", "a")
    sheet = tmp_path / "out" / "sheet.png"
    assert check.main([str(tmp_path / "in"), "--sheet", str(sheet)]) == 0
    assert f"sheet        {sheet}" in capsys.readouterr().out
    picture = np.asarray(Image.open(sheet))
    assert picture.shape[1] > 5 * survey.THUMBNAIL
    for label in brats.LABELS:  # Enhancing tumour lies in the other slice.
        seen = (picture == label.colour).all(axis=-1).any()
        assert seen == (label.name != "enhancing")


def test_problems_are_refused():
    (verdict,) = check.check_cases([Problem(name="a", reason="No t1.")], brats.LABELS)
    assert verdict.refused == "No t1.\n  hint: Complete the case, or move it away."


def _die(labels, foreground, case):
    os._exit(9)


def test_a_killed_process_is_an_error_not_a_hang(tmp_path, monkeypatch):
    for name in "ab":
        write_brats(tmp_path, name)
    monkeypatch.setattr(check, "_verdict", _die)
    cases = sources.load("brats").find_cases(tmp_path)
    with pytest.raises(ResourceError, match="process died.*\n.*fewer than 2 jobs"):
        list(check.check_cases(cases, brats.LABELS, jobs=2))


def test_errors_are_one_line_and_a_hint(tmp_path, capsys):
    assert check.main([str(tmp_path / "absent")]) == 3
    assert check.main([str(tmp_path)]) == 3
    assert check.main([str(tmp_path), "--source=bra"]) == 2
    _, err = capsys.readouterr()
    lines = err.splitlines()
    assert [line.startswith("jaxsyn: ") for line in lines] == [True, False] * 3
    assert [line.startswith("  hint: ") for line in lines] == [False, True] * 3


@pytest.mark.parametrize(
    "argv", [[], ["a", "--jobs=-1"], ["a", "--jobs=x"], ["a", "b"]]
)
def test_a_wrong_command_exits_with_2(argv, capsys):
    with pytest.raises(SystemExit) as caught:
        check.main(argv)
    assert caught.value.code == 2
    assert "usage: python -m jaxsyn.data.check" in capsys.readouterr().err


def test_an_interrupt_exits_with_130(mixed, monkeypatch):
    def interrupt(labels, foreground, case):
        raise KeyboardInterrupt

    monkeypatch.setattr(check, "_verdict", interrupt)
    assert check.main([str(mixed), "--jobs=1"]) == 130


def test_the_command_uses_all_real_cases(real_data):
    command = [sys.executable, "-m", "jaxsyn.data.check", str(real_data / "brats2021")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("used     BraTS2021_016") == 5
    assert "cases: 5, used: 5, refused: 0; patients: 5" in done.stdout
    assert done.stderr == ""  # No progress bar where nobody looks.


def test_reading_imports_neither_jax_nor_tensorflow():
    code = (
        "import sys, jaxsyn.data.check; print({'jax', 'tensorflow'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
