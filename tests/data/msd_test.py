import json

import numpy as np
import pytest

from case_files import LPS, brain, segmentation
from jaxsyn.data import nifti, sources
from jaxsyn.data.cases import Problem, read_case
from jaxsyn.errors import DataError
from jaxsyn.spec import DataSpec

SOURCE = sources.load("msd")
CT = {"0": "CT"}
SPLEEN = {"0": "background", "1": "spleen"}


def pair(name):
    return {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"}


def write(folder, name, image=None, label=None):
    image = brain() if image is None else image
    label = np.minimum(segmentation(), 1) if label is None else label
    nifti.write(folder / "imagesTr" / f"{name}.nii.gz", image, LPS)
    nifti.write(folder / "labelsTr" / f"{name}.nii.gz", label, LPS)


def describe(folder, **changed):
    """Writes dataset.json of a task with the case spleen_2; a key of None is absent."""
    content = {"modality": CT, "labels": SPLEEN, "training": [pair("spleen_2")]}
    content = {k: v for k, v in (content | changed).items() if v is not None}
    (folder / "dataset.json").write_text(json.dumps(content))


@pytest.fixture
def spleen(tmp_path):
    folder = tmp_path / "Task09_Spleen"
    write(folder, "spleen_2")
    describe(folder)
    return folder


def test_a_task_of_one_modality(spleen):
    nifti.write(spleen / "imagesTs/spleen_1.nii.gz", brain(), LPS)
    (spleen / "imagesTr" / "._spleen_2.nii.gz").write_bytes(b"\0")
    for root in (spleen, spleen.parent):
        (case,) = SOURCE.find_cases(root)
        assert case.name == case.patient == "spleen_2"
        modalities, labels = SOURCE.describe(root)
        assert tuple(case.images) == modalities == ("ct",)
        assert [(label.name, label.values) for label in labels] == [
            ("background", (0,)),
            ("spleen", (1,)),
            ("foreground", ()),
        ]
        label = SOURCE.read_case(case).label
        # 3 voxels of spleen in a foreground of 12.
        assert np.bincount(label.ravel()).tolist() == [108, 3, 9]


def test_a_task_of_several_modalities(tmp_path):
    images = np.stack([brain(0), brain(1)], axis=-1)
    write(tmp_path, "prostate_00", image=images, label=np.minimum(segmentation(), 2))
    describe(
        tmp_path,
        modality={"1": "ADC", "0": "T2"},
        labels={"2": "TZ", "0": "background", "1": "PZ"},
        training=[pair("prostate_00")],
    )
    modalities, labels = SOURCE.describe(tmp_path)
    assert modalities == ("t2", "adc")
    names = [label.name for label in labels]
    assert names == ["background", "pz", "tz", "foreground"]
    volumes = read_case(SOURCE.find_cases(tmp_path)[0])
    for seed, image in enumerate(volumes.images):
        np.testing.assert_array_equal(image, brain(seed))
    assert volumes.label[3, 2, 2] == 2


def test_names_become_words(spleen):
    labels = {"0": "background", "1": "Colon cancer primaries", "2": "non-enhancing"}
    describe(spleen, modality={"0": " T1w (Gd)"}, labels=labels)
    modalities, labels = SOURCE.describe(spleen)
    assert modalities == ("t1w_gd",)
    names = [label.name for label in labels]
    assert names[1:3] == ["colon_cancer_primaries", "non_enhancing"]


def test_a_dimension_more_or_less_is_refused(spleen):
    images = np.stack([brain(0), brain(1)], axis=-1)
    write(spleen, "spleen_2", image=images)
    with pytest.raises(DataError, match="is 4-D .*, expected 3-D"):
        read_case(SOURCE.find_cases(spleen)[0])
    write(spleen, "spleen_2")
    describe(spleen, modality={"0": "T2", "1": "ADC"})
    with pytest.raises(DataError, match="is 3-D .*, expected 4-D"):
        read_case(SOURCE.find_cases(spleen)[0])


@pytest.mark.parametrize("place", ["imagesTr", "labelsTr"])
def test_what_is_missing_or_not_listed_is_a_problem(spleen, place):
    describe(spleen, training=[pair("spleen_2"), pair("spleen_3")])
    write(spleen, "spleen_3")
    (spleen / place / "spleen_3.nii.gz").rename(spleen / place / "spleen_4.nii.gz")
    case, missing, unlisted = SOURCE.find_cases(spleen)
    assert case.name == "spleen_2"
    assert isinstance(missing, Problem) and missing.name == "spleen_3"
    assert missing.reason.endswith(f"There is no {spleen / place / 'spleen_3.nii.gz'}.")
    assert isinstance(unlisted, Problem) and unlisted.name == f"{place}/spleen_4.nii.gz"
    assert "is not listed in dataset.json" in unlisted.reason


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"modality": None}, '"modality" is missing'),
        ({"modality": "CT"}, "\"modality\" is 'CT'"),
        ({"modality": {"1": "CT"}}, r'"modality" numbers the channels \[1\]'),
        ({"modality": {"0": 7}}, "\"modality\" has '0': 7, not a number and a name"),
        ({"modality": {"0": "CT", "1": "ct"}}, '"modality" has a name or a number twi'),
        ({"labels": None}, '"labels" is missing'),
        ({"labels": {}}, '"labels" is {}'),
        ({"labels": {"1": "spleen"}}, '"labels" has no 0, which is the background'),
        ({"labels": {"background": 0}}, "\"labels\" has 'background': 0, not a number"),
        (
            {"labels": {"0": "background", "9" * 5000: "a"}},
            '"labels" has .*, not a num',
        ),
        ({"labels": {"0": "a", "00": "b"}}, '"labels" has a name or a number twice'),
        ({"training": None}, '"training" is missing'),
        ({"training": {}}, '"training" is {}'),
        ({"training": ["a.nii.gz"]}, "\"training\" has 'a.nii.gz': its 'image' is no"),
        ({"training": [{"image": "a.nii"}]}, "its 'label' is no image file"),
        ({"training": [{"image": "a", "label": "a.nii"}]}, "its 'image' is no image f"),
    ],
)
def test_what_dataset_json_lacks_is_named(spleen, changed, message):
    describe(spleen, **changed)
    (key,) = changed
    with pytest.raises(DataError, match=f"dataset.json: .*{message}") as error:
        SOURCE.describe(spleen)
    assert f'Expected, for instance: "{key}": ' in error.value.hint


@pytest.mark.parametrize("path", ["../x.nii.gz", "imagesTr/../../x.nii", "/x.nii.gz"])
@pytest.mark.parametrize("role", ["image", "label"])
def test_files_outside_the_folder_are_refused(spleen, path, role):
    describe(spleen, training=[pair("spleen_2") | {role: path}])
    with pytest.raises(DataError, match=f"'{path}', which is not in the task's folder"):
        SOURCE.find_cases(spleen)


def test_foreground_may_be_a_label(spleen):
    describe(spleen, labels={"0": "background", "1": "foreground"})
    _, labels = SOURCE.describe(spleen)
    assert [label.values for label in labels] == [(0,), (1,)]


@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_what_is_no_json_object_is_refused(spleen, content):
    (spleen / "dataset.json").write_text(content)
    with pytest.raises(DataError, match="dataset.json cannot be understood"):
        SOURCE.describe(spleen)


def test_one_task_at_a_time(tmp_path):
    with pytest.raises(DataError, match="there is no task in it.*\n.*dataset.json"):
        SOURCE.describe(tmp_path)
    for name in ("Task02_Heart", "Task09_Spleen"):
        write(tmp_path / name, "a_1")
    with pytest.raises(DataError, match="there is .*Heart and .*Spleen in it"):
        SOURCE.describe(tmp_path)


def test_a_known_task_without_a_json(tmp_path):
    write(tmp_path, "hippocampus_001", label=np.minimum(segmentation(), 2))
    write(tmp_path, "hippocampus_004")
    (tmp_path / "labelsTr" / "hippocampus_004.nii.gz").unlink()
    modalities, labels = SOURCE.describe(tmp_path)
    assert modalities == ("mri",)
    names = [label.name for label in labels]
    assert names == ["background", "anterior", "posterior", "foreground"]
    case, problem = SOURCE.find_cases(tmp_path)
    assert np.bincount(read_case(case).label.ravel()).tolist() == [108, 1, 2, 9]
    assert "There is no" in problem.reason and problem.name == "hippocampus_004"


def test_an_unknown_task_without_a_json_says_what_to_write(tmp_path):
    write(tmp_path, "kidney_001")
    with pytest.raises(DataError, match="names tell no task") as error:
        SOURCE.describe(tmp_path)
    example = json.loads(error.value.hint.removeprefix("Write one: "))
    assert example["labels"] == SPLEEN and example["modality"] == CT
    for name in ("spleen_1", "la_1"):
        write(tmp_path / "both", name)
    with pytest.raises(DataError, match="names tell no task"):
        SOURCE.describe(tmp_path / "both")


def test_real_hippocampi(real_data):
    root = real_data / "msd_hippocampus"
    modalities, labels = SOURCE.describe(root)
    spec = DataSpec(image_size=64, modalities=modalities, labels=labels)
    assert spec.label_names == ("background", "anterior", "posterior", "foreground")
    cases = SOURCE.find_cases(root)
    assert len(cases) == 131 and not any(isinstance(case, Problem) for case in cases)
    assert len({case.patient for case in cases}) == 131
    volumes = read_case(cases[0])
    assert volumes.label.shape == (35, 51, 35)
    assert np.bincount(volumes.label.ravel()).tolist() == [0, 1324, 1624, 59527]
