import json

import numpy as np
import pytest

from case_files import LPS, brain, segmentation
from jaxsyn.data import nifti, sources
from jaxsyn.data.cases import Problem
from jaxsyn.errors import DataError

SOURCE = sources.load("nnunet_raw")
CONTENT = {
    "channel_names": {"0": "T1", "1": "FLAIR"},
    "labels": {"background": 0, "oedema": 2, "core": 1, "tumour": 4},
    "numTraining": 2,
    "file_ending": ".nii.gz",
}


@pytest.fixture
def folder(tmp_path):
    """Cases a_1 (images 0 and 1) and b (2 and 3)."""
    root = tmp_path / "Dataset501_Mine"
    for index, name in enumerate(("a_1", "b")):
        for channel in range(2):
            path = root / f"imagesTr/{name}_{channel:04d}.nii.gz"
            nifti.write(path, brain(2 * index + channel), LPS)
        nifti.write(root / f"labelsTr/{name}.nii.gz", segmentation(), LPS)
    write(root)
    return root


def write(folder, **changes):
    """Writes dataset.json; what is changed to None is left out."""
    content = {k: v for k, v in (CONTENT | changes).items() if v is not None}
    (folder / "dataset.json").write_text(json.dumps(content))


def values(folder):
    return {label.name: label.values for label in SOURCE.describe(folder)[1]}


def refusal(folder):
    """Why the only problem is one."""
    problems = [p for p in SOURCE.find_cases(folder) if isinstance(p, Problem)]
    (problem,) = problems
    return f"{problem.name} | {problem.reason}"


def test_cases_of_a_data_set(folder):
    for root in (folder, folder.parent):
        modalities, labels = SOURCE.describe(root)
        assert modalities == ("T1", "FLAIR")
        assert [(label.name, label.values) for label in labels] == [
            ("background", (0,)),
            ("core", (1,)),
            ("oedema", (2,)),
            ("tumour", (4,)),
            ("foreground", ()),
        ]
        cases = SOURCE.find_cases(root)
        assert [(c.name, c.patient) for c in cases] == [("a_1", "a_1"), ("b", "b")]
        assert cases[0].label_tables == (labels,)
    volumes = SOURCE.read_case(cases[1])
    np.testing.assert_array_equal(volumes.images[0], brain(2))
    np.testing.assert_array_equal(volumes.images[1], brain(3))
    assert volumes.label[3, 2, 2] == 3
    assert np.count_nonzero(volumes.label == 4) == 9


def test_there_is_one_data_set(folder):
    with pytest.raises(DataError, match="with a dataset.json; in it are: none"):
        SOURCE.describe(folder / "imagesTr")
    other = folder.parent / "Dataset502_Other"
    other.mkdir()
    write(other)
    with pytest.raises(DataError, match="in it are: Dataset501_Mine, Dataset502_Other"):
        SOURCE.find_cases(folder.parent)


def test_version_1_of_the_format(folder):
    write(
        folder,
        channel_names=None,
        file_ending=None,
        modality={"0": "T1", "1": "FLAIR"},
        labels={"0": "background", "1": "core", "2": "oedema", "4": "tumour"},
    )
    assert SOURCE.describe(folder)[0] == ("T1", "FLAIR")
    assert values(folder)["tumour"] == (4,) and len(values(folder)) == 5
    assert len(SOURCE.find_cases(folder)) == 2


def test_a_value_is_named_after_the_smallest_region_that_holds_it(folder):
    regions = {"background": 0, "whole": [1, 2, 4], "core": [1, 4], "enhancing": 4}
    write(folder, labels=regions, regions_class_order=[2, 1, 4])
    assert values(folder) == {
        "background": (0,),
        "core": (1,),
        "whole": (2,),
        "enhancing": (4,),
        "foreground": (),
    }
    write(folder, labels={"background": 0, "whole": [1, 2, 4], "enhancing": [4]})
    assert list(values(folder))[1:4] == ["whole_1", "whole_2", "enhancing"]


def test_channels_of_one_name_are_numbered(folder):
    write(folder, channel_names={"0": "zscore", "1": "zscore"})
    assert SOURCE.describe(folder)[0] == ("zscore_0", "zscore_1")


def test_choices_win_over_dataset_json(folder):
    write(folder, labels={"background": 0, "ignore": 3})
    content = {
        "modalities": ["FLAIR"],
        "labels": {"background": 0, "one": 1, "two": 2, "four": 4},
        "patients": {"a_1": "anna", "b": "anna"},
    }
    (folder / "jaxsyn.json").write_text(json.dumps(content))
    assert SOURCE.describe(folder)[0] == ("FLAIR",)
    assert "four" in values(folder)
    for case, seed in zip(SOURCE.find_cases(folder), (1, 3), strict=True):
        assert case.patient == "anna"
        (image,) = SOURCE.read_case(case).images
        np.testing.assert_array_equal(image, brain(seed))


def test_a_missing_channel(folder):
    (folder / "imagesTr/b_0001.nii.gz").unlink()
    assert refusal(folder) == "b | b: it lacks b_0001.nii.gz (FLAIR)."


def test_a_channel_too_many(folder):
    nifti.write(folder / "imagesTr/b_0004.nii.gz", brain(), LPS)
    assert refusal(folder) == "b | b: it has b_0004.nii.gz beyond 2 channels."


def test_a_label_without_images(folder):
    for channel in range(2):
        (folder / f"imagesTr/b_000{channel}.nii.gz").unlink()
    assert "b.nii.gz is there, but no image of it in imagesTr" in refusal(folder)


def test_images_without_label(folder):
    (folder / "labelsTr/b.nii.gz").unlink()
    assert "labelsTr" not in refusal(folder) and "no segmentation" in refusal(folder)
    assert SOURCE.find_cases(folder, labelled=False)[1].label is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("imagesTr/c_0000.nii", "CASE_0000.nii.gz"),
        ("imagesTr/c_0000.nrrd", "CASE_0000.nii.gz"),
        ("imagesTr/c.nii.gz", "CASE_0000.nii.gz"),
        ("imagesTr/c_00000.nii.gz", "CASE_0000.nii.gz"),
        ("labelsTr/c.mha", "CASE.nii.gz"),
    ],
)
def test_a_misnamed_file(folder, name, expected):
    (folder / name).write_bytes(b"")
    assert refusal(folder) == f"{name} | {folder / name} is not named {expected}."


def test_what_is_no_image_is_passed_over(folder):
    for name in ("imagesTr/README.md", "imagesTr/.c_0000.nii.gz", "labelsTr/x.json"):
        (folder / name).write_bytes(b"")
    assert len(SOURCE.find_cases(folder)) == 2


def test_another_ending(folder):
    write(folder, file_ending=".nii")
    assert len(SOURCE.find_cases(folder)) == 6
    for path in [*folder.glob("*Tr/*")]:
        data = nifti.read(path).data
        nifti.write(path.with_name(path.name.removesuffix(".gz")), data, LPS)
        path.unlink()
    assert SOURCE.read_case(SOURCE.find_cases(folder)[0]).label.max() == 4


LISTED = {
    "images": ["./labelsTr/b.nii.gz", "imagesTr/b_0001.nii.gz"],
    "label": "labelsTr/b.nii.gz",
}


def test_cases_may_be_listed(folder):
    write(folder, dataset={"mine": LISTED})
    (case,) = SOURCE.find_cases(folder)
    assert case.name == "mine"
    assert case.images["T1"].path == case.label.path == folder / "labelsTr/b.nii.gz"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (LISTED | {"label": "../b.nii.gz"}, "../b.nii.gz is outside"),
        (LISTED | {"label": "/etc/b.nii.gz"}, "/etc/b.nii.gz is outside"),
        (LISTED | {"label": "labelsTr/c.nii.gz"}, "c.nii.gz is listed, but not there"),
        (LISTED | {"images": LISTED["images"][:1]}, "lacks mine_0001.nii.gz (FLAIR)"),
        (LISTED | {"images": LISTED["images"] * 2}, "beyond 2 channels"),
        (LISTED | {"label": None}, "lists mine wrongly"),
        ({"images": []}, "lists mine wrongly: KeyError('label')"),
        ([], "lists mine wrongly"),
    ],
)
def test_a_case_that_is_listed_wrongly(folder, entry, expected):
    write(folder, dataset={"mine": entry})
    assert expected in refusal(folder)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"channel_names": None}, '"channel_names" is missing.\n.*"0": "t1"'),
        ({"channel_names": {}}, '"channel_names" is {}'),
        ({"channel_names": ["T1"]}, r'"channel_names" is \[.T1.\]'),
        ({"channel_names": {"0": "T1", "2": "T2"}}, "from 0 on"),
        ({"channel_names": {"0": "T1/T2"}}, '"channel_names" is .*T1/T2'),
        ({"channel_names": {"0": 1}}, '"channel_names" is {.0.: 1}'),
        ({"channel_names": {"0": "a", "1": "a", "2": "a_1"}}, "each is there once"),
        ({"file_ending": None}, '"file_ending" is missing.\n.*one of .nii, .nii.gz'),
        ({"file_ending": ".tif"}, '"file_ending" is ..tif.'),
        ({"labels": None}, '"labels" is missing'),
        ({"labels": ["a"]}, r'"labels" is \[.a.\]'),
        ({"labels": {"0": "a", "1": "a"}}, '"labels" is .*\n.*"background": 0'),
        ({"labels": {"a": 1}}, "dataset.json: .labels.: no label has the value 0"),
        ({"labels": {"a": 0, "b": "1"}}, "'b' is '1'"),
        ({"labels": {"a": 0, "b": 40000}}, "'b' is 40000"),
        ({"labels": {"a": 0, "b": 1, "c": 1}}, "'b' and 'c' are both 1"),
        ({"labels": {"a": 0, "b": ["x"]}}, "a list of whole numbers for each region"),
        ({"labels": {"a": 0, "ignore": 5}}, '"ignore".*\n.*complete label maps'),
        ({"dataset": ["a"]}, r'"dataset" is \[.a.\]'),
    ],
)
def test_a_dataset_json_that_is_wrong(folder, changes, expected):
    write(folder, **changes)
    with pytest.raises(DataError, match=expected):
        SOURCE.describe(folder)


def test_an_empty_data_set(tmp_path):
    write(tmp_path)
    with pytest.raises(DataError, match="no nnunet_raw case .*\n.*imagesTr"):
        SOURCE.find_cases(tmp_path)
