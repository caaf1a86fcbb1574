import numpy as np
import pytest

from case_files import LPS, brain, segmentation
from jaxsyn.data import nifti, sources
from jaxsyn.data.sources import ibsr18, oasis_tissues

SOURCE = sources.load("ibsr18")


def tissues():
    return segmentation(enhancing=3)


def head():
    """The image before its skull was taken off: there is none that is 0."""
    return brain() + np.int16(100)


def write(root, name="IBSR_01", ending=".nii.gz", **files):
    for end, data in files.items():
        nifti.write(root / name / f"{name}_{end}{ending}", data, LPS)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_without_skull(tmp_path, ending):
    files = {"ana_strip": brain(), "segTRI_ana": tissues()}
    others = {"ana": head(), "ana_brainmask": tissues(), "segTRI_fill_ana": tissues()}
    write(tmp_path, ending=ending, **files, **others)
    (case,) = SOURCE.find_cases(tmp_path)
    assert (case.name, case.patient, case.mask) == ("IBSR_01", "IBSR_01", None)
    volumes = SOURCE.read_case(case)
    np.testing.assert_array_equal(volumes.images[0], brain())
    np.testing.assert_array_equal(volumes.label, tissues())


def test_with_skull_and_a_mask(tmp_path):
    mask = (brain() > 0).astype(np.uint8)
    write(tmp_path, ana=head(), ana_brainmask=mask, segTRI_ana=tissues())
    (case,) = SOURCE.find_cases(tmp_path)
    volumes = SOURCE.read_case(case)
    np.testing.assert_array_equal(volumes.images[0], head())
    np.testing.assert_array_equal(volumes.foreground, brain() > 0)


def test_with_skull_a_mask_is_needed(tmp_path):
    write(tmp_path, ana=head(), segTRI_ana=tissues())
    (problem,) = SOURCE.find_cases(tmp_path)
    assert "IBSR_01 has no mask; it has IBSR_01_ana.nii.gz" in problem.reason


def test_an_empty_folder_of_a_case_is_a_problem(tmp_path):
    write(tmp_path, ana_strip=brain(), segTRI_ana=tissues())
    (tmp_path / "IBSR_02").mkdir()
    _, problem = SOURCE.find_cases(tmp_path)
    assert "IBSR_02 has no t1; it has no image file" in problem.reason


def test_it_can_be_exchanged_with_oasis():
    assert ibsr18.MODALITIES == oasis_tissues.MODALITIES
    names = [label.name for label in ibsr18.LABELS]
    assert names == ["background", "csf", "grey", "white"]
    assert [label.values for label in ibsr18.LABELS] == [(0,), (1,), (2,), (3,)]
