import numpy as np
import pytest

from case_files import LPS, SHAPE, brain, segmentation
from jaxsyn.data import nifti, sources
from jaxsyn.data.cases import Problem, read_case
from jaxsyn.data.sources import dwi_stroke
from jaxsyn.errors import DataError
from jaxsyn.spec import DataSpec

SOURCE = sources.load("dwi_stroke")
SPEC = DataSpec(
    image_size=8, modalities=dwi_stroke.MODALITIES, labels=dwi_stroke.LABELS
)
FLUID = (
    "lateral_ventricle",
    "inferior_lateral_ventricle",
    "third_ventricle",
    "fourth_ventricle",
    "csf",
)


def parcellation():
    """White matter on the left and the right, and a column of ventricle; int16."""
    values = np.zeros(SHAPE, np.int16)
    values[2, 1:4, 1:3], values[3, 1:4, 1:3], values[2:4, 3, 1:3] = 2, 41, 4
    return values


def lesion(value=1):
    return (segmentation() > 0).astype(np.uint8) * np.uint8(value)


def write(root, group, name, **files):
    for word, data in files.items():
        nifti.write(root / group / name / f"{name}_{word}.nii.gz", data, LPS)


def write_pair(root, value=1):
    write(
        root,
        "stroke",
        "1",
        dwi=brain(1),
        parcellation=parcellation(),
        lesion=lesion(value),
    )
    write(root, "normal", "1", dwi=brain(2), parcellation=parcellation())


def find(root):
    return list(dwi_stroke.find_cases(root))


@pytest.mark.parametrize("value", [1, 255])
def test_a_lesion_lies_over_anatomy(tmp_path, value):
    write_pair(tmp_path, value)
    stroke, normal = find(tmp_path)
    assert (stroke.name, stroke.patient) == ("stroke-1", "stroke-1")
    assert (normal.name, normal.patient) == ("normal-1", "normal-1")
    volumes = read_case(stroke)
    np.testing.assert_array_equal(volumes.images[0], brain(1))
    white, fluid = SPEC.label_index("white"), SPEC.label_index("lateral_ventricle")
    expected = np.select([parcellation() == 4, parcellation() > 0], [fluid, white])
    np.testing.assert_array_equal(read_case(normal).label, expected)
    expected[lesion() > 0] = len(SPEC.labels) - 1
    np.testing.assert_array_equal(volumes.label, expected)


def test_a_group_may_be_the_folder(tmp_path):
    write_pair(tmp_path)
    assert [case.name for case in find(tmp_path / "normal")] == ["normal-1"]
    assert [case.name for case in find(tmp_path / "stroke")] == ["stroke-1"]


def test_a_stroke_patient_without_lesion(tmp_path):
    files = {"dwi": brain(), "parcellation": parcellation()}
    write(tmp_path, "stroke", "1", **files, lesion=lesion(0))
    volumes = read_case(find(tmp_path)[0])
    assert volumes.notes == ("there is no lesion",)
    assert volumes.label.max() < len(SPEC.labels) - 1


def test_a_stroke_patient_yet_to_be_segmented(tmp_path):
    write(tmp_path, "stroke", "1", dwi=brain(), parcellation=parcellation())
    (problem,) = SOURCE.find_cases(tmp_path)
    assert isinstance(problem, Problem) and "has no segmentation" in problem.reason
    (case,) = SOURCE.find_cases(tmp_path, labelled=False)
    assert not SOURCE.read_case(case).label.any()


def test_a_lesion_of_a_normal_case_is_a_problem(tmp_path):
    write_pair(tmp_path)
    write(tmp_path, "normal", "1", lesion=lesion())
    _, problem = find(tmp_path)
    assert isinstance(problem, Problem) and problem.name == "normal-1"
    assert "1_lesion.nii.gz is the lesion of a case that has none" in problem.reason


def test_a_case_without_parcellation_is_a_problem(tmp_path):
    write(tmp_path, "normal", "1", dwi=brain())
    (tmp_path / "normal" / "2").mkdir()
    first, second = find(tmp_path)
    assert "1 has no tissues; it has 1_dwi.nii.gz" in first.reason
    assert "2 has no dwi; it has no image file" in second.reason


def test_a_structure_that_is_not_known_is_refused(tmp_path):
    values = np.where(parcellation() == 41, 1002, parcellation()).astype(np.int16)
    write(tmp_path, "normal", "1", dwi=brain(), parcellation=values)
    with pytest.raises(DataError, match=r"parcellation.nii.gz: label values \[1012\]"):
        read_case(find(tmp_path)[0])


def test_classes_are_named_once_and_lesions_avoid_fluid():
    names, values = SPEC.label_names, [v for x in SPEC.labels for v in x.values]
    assert len(set(names)) == len(names) and len(set(values)) == len(values)
    assert names == ("background", *dwi_stroke.PARENCHYMA, *FLUID, "lesion")
    assert len({label.colour for label in SPEC.labels}) == len(names)


def test_a_person_without_stroke_is_found_by_those_who_want_label_maps(tmp_path):
    write(tmp_path, "normal", "1", dwi=brain(), parcellation=parcellation())
    (case,) = SOURCE.find_cases(tmp_path)
    assert case.label is None and SOURCE.read_case(case).label.any()
