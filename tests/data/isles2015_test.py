import numpy as np
import pytest

from case_files import LPS, SHAPE, brain, segmentation
from jaxsyn.data import nifti, sources
from jaxsyn.data.cases import Problem
from jaxsyn.data.sources import isles2015

SOURCE = sources.load("isles2015")
KINDS = ("MR_DWI", "MR_Flair", "MR_T1", "MR_T2", "OT")
# https://itk.org/Wiki/ITK/MetaIO/Documentation: an axis of 1 runs to the left.
META_IMAGE = """ObjectType = Image
NDims = 3
BinaryData = True
BinaryDataByteOrderMSB = False
CompressedData = False
TransformMatrix = 1 0 0 0 1 0 0 0 1
Offset = 0 0 0
ElementSpacing = 1 1 1
DimSize = 6 5 4
ElementType = MET_SHORT
ElementDataFile = LOCAL
"""


def lesion():
    return (segmentation() > 0).astype(np.int16)


def write(root, name="1", ending=".nii", kinds=KINDS):
    """A case whose images are brain(0), brain(1) … in the order of `kinds`."""
    for seed, kind in enumerate(kinds):
        # Segmentations have a name of their own in some copies.
        study = (
            "Brain_3more.XX.XX" if kind == "OT" and ending == ".mha" else "Brain.XX.O"
        )
        stem = f"VSD.{study}.{kind}.{70610 + seed}"
        path = root / name / stem / f"{stem}{ending}"
        path.parent.mkdir(parents=True)
        data = lesion() if kind == "OT" else brain(seed)
        if ending == ".mha":
            path.write_bytes(META_IMAGE.encode() + data.tobytes(order="F"))
        else:
            nifti.write(path, data, LPS)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".mha"])
def test_sequences_of_every_kind_of_file(tmp_path, ending):
    write(tmp_path / "SISS2015_Training", ending=ending)
    (case,) = SOURCE.find_cases(tmp_path)
    assert (case.name, case.patient) == ("1", "1")
    assert tuple(case.images) == isles2015.MODALITIES == ("flair", "dwi", "t1", "t2")
    volumes = SOURCE.read_case(case)
    for image, seed in zip(volumes.images, (1, 0, 2, 3), strict=True):
        np.testing.assert_array_equal(image, brain(seed))
    expected = np.where(lesion() > 0, 1, np.where(brain() > 0, 2, 0))
    np.testing.assert_array_equal(volumes.label, expected)
    assert volumes.label.shape == SHAPE


def test_a_folder_may_be_called_as_the_year(tmp_path):
    write(tmp_path / "2015", "1")
    write(tmp_path / "2015", "12")
    assert [case.name for case in SOURCE.find_cases(tmp_path / "2015")] == ["1", "12"]
    assert [case.name for case in SOURCE.find_cases(tmp_path / "2015/12")] == ["12"]


def test_a_test_case_is_a_problem_unless_it_is_to_be_segmented(tmp_path):
    write(tmp_path, kinds=KINDS[:-1])
    (problem,) = SOURCE.find_cases(tmp_path)
    assert isinstance(problem, Problem) and "no segmentation" in problem.reason
    (case,) = SOURCE.find_cases(tmp_path, labelled=False)
    assert set(np.unique(SOURCE.read_case(case).label)) == {0, 2}


def test_the_other_task_lacks_a_sequence(tmp_path):
    write(tmp_path, kinds=("MR_CBF", "MR_CBV", "MR_DWI", "MR_T1c", "MR_T2", "OT"))
    (problem,) = SOURCE.find_cases(tmp_path)
    assert "1 has no flair; it has VSD.Brain.XX.O.MR_CBF.70610.nii" in problem.reason
