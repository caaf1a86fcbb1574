import numpy as np
import pytest

from case_files import LPS, brain, segmentation
from jaxsyn.data import nifti, sources
from jaxsyn.data.cases import Case, Problem
from jaxsyn.errors import DataError

SOURCE = sources.load("oasis_tissues")


def write(root, name, labelled=True):
    nifti.write(root / name / f"{name}_t1.nii.gz", brain(), LPS)
    if labelled:
        label = segmentation(enhancing=3)
        nifti.write(root / name / f"{name}_tissues.nii.gz", label, LPS)


def test_a_folder_a_case(tmp_path):
    write(tmp_path, "1000")
    write(tmp_path, "1001", labelled=False)
    case, problem = SOURCE.find_cases(tmp_path)
    assert isinstance(case, Case) and (case.name, case.patient) == ("1000", "1000")
    assert isinstance(problem, Problem) and "no segmentation" in problem.reason
    volumes = SOURCE.read_case(case)
    np.testing.assert_array_equal(volumes.label, segmentation(enhancing=3))
    assert len(volumes.images) == len(SOURCE.describe(tmp_path)[0]) == 1


def test_who_was_scanned_twice_is_one_patient(tmp_path):
    for name in ("1003", "1019", "1023", "1036", "1039"):
        write(tmp_path, name)
    patients = {case.name: case.patient for case in SOURCE.find_cases(tmp_path)}
    assert patients["1003"] == patients["1023"] != patients["1019"]
    assert patients["1019"] == patients["1039"] != patients["1036"]
    assert len(set(patients.values())) == 3


def test_an_empty_folder_says_what_was_expected(tmp_path):
    with pytest.raises(DataError, match="no oasis_tissues case") as error:
        SOURCE.find_cases(tmp_path)
    assert "ID_tissues.nii.gz" in error.value.hint


def test_the_real_ones_are_found(real_data):
    cases = SOURCE.find_cases(real_data / "oasis_t1_tissues")
    assert len(cases) == 24 and all(isinstance(case, Case) for case in cases)
    assert len({case.patient for case in cases}) == 22
    volumes = SOURCE.read_case(cases[0])
    assert set(np.unique(volumes.label)) == {0, 1, 2, 3}
