import numpy as np
import pytest

from case_files import LPS, brain, segmentation
from jaxsyn.data import nifti, sources
from jaxsyn.data.cases import Case, Problem
from jaxsyn.data.sources import isles2018
from jaxsyn.errors import DataError

SOURCE = sources.load("isles2018")
# In the order of the alphabet, as files are found; CT and its series are not read.
KINDS = ("CT", "CT_4DPWI", "CT_CBF", "CT_CBV", "CT_MTT", "CT_Tmax", "OT")


def lesion(value=1):
    return (segmentation() > 0).astype(np.uint8) * np.uint8(value)


def write(root, name="case_1", kinds=KINDS, value=1, flat=False):
    """A case of `kinds`, whose maps are brain(0), brain(1) … in their order."""
    case = root / name
    case.mkdir(parents=True)
    for seed, kind in enumerate(kinds):
        stem = f"SMIR.Brain.XX.O.{kind}" + (not flat) * f".{345560 + seed}"
        data = lesion(value) if kind == "OT" else brain(seed)
        nifti.write((case if flat else case / stem) / f"{stem}.nii", data, LPS)
    return case


@pytest.mark.parametrize("flat", [False, True])
def test_maps_are_told_apart_by_their_names(tmp_path, flat):
    write(tmp_path / "TRAINING", flat=flat)
    (tmp_path / "TRAINING" / ".DS_Store").write_text("x")
    (case,) = SOURCE.find_cases(tmp_path)
    assert (case.name, case.patient) == ("case_1", "case_1")
    assert tuple(case.images) == isles2018.MODALITIES == ("cbv", "cbf", "tmax", "mtt")
    volumes = SOURCE.read_case(case)
    for image, seed in zip(volumes.images, (3, 2, 5, 4), strict=True):
        np.testing.assert_array_equal(image, brain(seed))
    assert [label.name for label in isles2018.LABELS] == [
        "background",
        "lesion",
        "brain",
    ]
    expected = np.where(lesion() > 0, 1, np.where(brain() > 0, 2, 0))
    np.testing.assert_array_equal(volumes.label, expected)


def test_names_in_capitals_and_masks_of_255(tmp_path):
    kinds = ("CT_CBF", "CT_CBV", "CT_MTT", "CT_TMAX", "OT")
    write(tmp_path, kinds=kinds, value=255)
    (case,) = SOURCE.find_cases(tmp_path)
    label = SOURCE.read_case(case).label
    np.testing.assert_array_equal(label == 1, lesion() > 0)


def test_a_grey_mask_is_refused(tmp_path):
    write(tmp_path, value=128)
    with pytest.raises(DataError, match=r"label values \[128\] are outside"):
        SOURCE.read_case(SOURCE.find_cases(tmp_path)[0])


def test_the_test_set_is_not_mixed_with_training(tmp_path):
    write(tmp_path / "TRAINING", "case_1")
    write(tmp_path / "TESTING", "case_1", kinds=KINDS[:-1])
    (case,) = SOURCE.find_cases(tmp_path)
    assert case.label.path.is_relative_to(tmp_path / "TRAINING")
    (problem,) = SOURCE.find_cases(tmp_path / "TESTING")
    assert isinstance(problem, Problem) and "no segmentation" in problem.reason
    assert SOURCE.find_cases(tmp_path / "TESTING", labelled=False)[0].label is None


def test_a_missing_map_and_an_empty_folder_are_problems(tmp_path):
    write(tmp_path, "case_1", kinds=[kind for kind in KINDS if kind != "CT_MTT"])
    (tmp_path / "case_2").mkdir()
    first, second = SOURCE.find_cases(tmp_path)
    assert "case_1 has no mtt; it has SMIR.Brain.XX.O.CT.345560.nii" in first.reason
    assert "case_2 has no cbv; it has no image file" in second.reason


def test_two_files_of_a_map_are_a_problem(tmp_path):
    case = write(tmp_path)
    nifti.write(case / "copy of SMIR.Brain.XX.O.CT_CBF.7.nii", brain(), LPS)
    (problem,) = SOURCE.find_cases(tmp_path)
    assert "has several cbf; it has copy of SMIR" in problem.reason


def test_a_case_of_one_slice(tmp_path):
    case = write(tmp_path, flat=True)
    for path in case.iterdir():
        nifti.write(path, np.array(nifti.read(path).data[:, :, 1:2]), LPS)
    volumes = SOURCE.read_case(SOURCE.find_cases(tmp_path)[0])
    assert volumes.label.shape == (6, 5, 1) and np.count_nonzero(volumes.label) == 6


@pytest.mark.parametrize("place", ["", "TRAINING"])
@pytest.mark.parametrize(
    "table", ["Case_ID;Patient_ID\ncase_1;7\ncase_2;7\n", "patient,case\n7,1\n7,2\n"]
)
def test_a_table_says_whose_cases_are(tmp_path, place, table):
    for name in ("case_1", "case_2", "case_3"):
        write(tmp_path / "TRAINING", name)
    (tmp_path / place / "patients.csv").write_text(table)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    first, second, third = SOURCE.find_cases(tmp_path)
    assert [first.patient, second.patient] == ["7", "7"]
    assert isinstance(first, Case) and isinstance(third, Problem)
    assert "does not say whose case_3 is" in third.reason


def test_a_table_that_is_no_text_is_refused(tmp_path):
    write(tmp_path)
    (tmp_path / "patients.csv").write_bytes(b"case,patient\n\xff\xfe")
    with pytest.raises(DataError, match=r"patients\.csv"):
        SOURCE.find_cases(tmp_path)


def test_an_empty_folder_says_what_was_expected(tmp_path):
    with pytest.raises(DataError, match="no isles2018 case") as error:
        SOURCE.find_cases(tmp_path)
    assert "TRAINING/case_N" in error.value.hint
