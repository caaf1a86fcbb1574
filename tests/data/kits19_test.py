import numpy as np
import pytest

from case_files import brain, segmentation
from jaxsyn.data import nifti, sources
from jaxsyn.data.cases import Problem
from jaxsyn.data.sources import kits19
from jaxsyn.errors import DataError

SOURCE = sources.load("kits19")
# Slices of 3 mm along the first axis, which runs from head to feet.
AFFINE = np.array([[0, 0, -0.75, 0], [0, -0.75, 0, 0], [-3, 0, 0, 0], [0, 0, 0, 1.0]])


def ct():
    """Hounsfield units: air, and soft tissue where `brain` has tissue; float32."""
    return np.where(brain() > 0, brain() - 20, -1000).astype(np.float32)


def kidneys():
    return np.minimum(segmentation(enhancing=2), 2)


def write(root, name="case_00000", label=True):
    nifti.write(root / name / "imaging.nii.gz", ct(), AFFINE)
    if label:
        nifti.write(root / name / "segmentation.nii.gz", kidneys(), AFFINE)


def test_images_and_segmentations(tmp_path):
    write(tmp_path / "data")
    (tmp_path / "data" / "kits.json").write_text("[]")
    (case,) = SOURCE.find_cases(tmp_path)
    assert (case.name, case.patient) == ("case_00000", "case_00000")
    assert tuple(case.images) == kits19.MODALITIES == ("ct",)
    volumes = SOURCE.read_case(case, "otsu")
    np.testing.assert_array_equal(volumes.images[0], ct())
    np.testing.assert_array_equal(volumes.affine, AFFINE)
    # One voxel of kidney, two of tumour, and the body around them.
    names = [label.name for label in kits19.LABELS]
    assert names == ["background", "kidney", "tumour", "body"]
    assert np.bincount(volumes.label.ravel()).tolist() == [108, 1, 2, 9]


def test_cases_of_the_test_have_no_segmentation(tmp_path):
    write(tmp_path, "case_00000")
    write(tmp_path, "case_00210", label=False)
    case, problem = SOURCE.find_cases(tmp_path)
    assert case.name == "case_00000" and isinstance(problem, Problem)
    assert "case_00210 has no segmentation; it has imaging.nii.gz" in problem.reason
    assert SOURCE.find_cases(tmp_path, labelled=False)[1].label is None


def test_images_that_were_not_fetched_are_problems(tmp_path):
    write(tmp_path)
    (tmp_path / "case_00000" / "imaging.nii.gz").unlink()
    (problem,) = SOURCE.find_cases(tmp_path)
    assert "case_00000 has no ct; it has segmentation.nii.gz" in problem.reason


def test_two_segmentations_are_a_problem(tmp_path):
    write(tmp_path)
    path = tmp_path / "case_00000" / "segmentation.nii"
    nifti.write(path, kidneys(), AFFINE)
    (problem,) = SOURCE.find_cases(tmp_path)
    assert "has several seg; it has segmentation.nii, segmentation" in problem.reason


def test_other_labels_are_refused(tmp_path):
    write(tmp_path)
    path = tmp_path / "case_00000" / "segmentation.nii.gz"
    nifti.write(path, segmentation(enhancing=3), AFFINE)  # As a cyst of KiTS21.
    with pytest.raises(DataError, match=r"label values \[3\] are outside"):
        SOURCE.read_case(SOURCE.find_cases(tmp_path)[0])
