import json

import numpy as np
from PIL import Image
import pytest

from jaxsyn.data import sources
from jaxsyn.data.cases import Problem
from jaxsyn.errors import DataError

SOURCE = sources.load("pairs")
IMAGE = np.arange(20, dtype=np.uint8).reshape(4, 5)
LABEL = np.uint8(255) * (IMAGE > 17)


def write(root, *names, data=IMAGE):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".npy":
            np.save(path, data)
        else:
            Image.fromarray(data).save(path)


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, "images/anna_slice01.png", "images/anna_slice02.png")
    write(tmp_path, "images/bo-z7.png")
    names = ("anna_slice01", "anna_slice02", "bo-z7")
    write(tmp_path, *(f"labels/{name}.png" for name in names), data=LABEL)
    return tmp_path


def names(root):
    return [case.name for case in SOURCE.find_cases(root)]


def problem(root, index=0):
    found = SOURCE.find_cases(root)[index]
    assert isinstance(found, Problem)
    return found.reason


def test_images_and_labels_in_two_folders(folder):
    (folder / "README.txt").write_text("x")
    (folder / "labels/.DS_Store").write_text("x")
    (folder / "images/bo-z7.img").write_text("of a pair, for which its .hdr stands")
    modalities, labels = SOURCE.describe(folder)
    assert modalities == ("image",)
    assert [(label.name, label.values) for label in labels] == [
        ("background", (0,)),
        ("label_255", (255,)),
        ("foreground", ()),
    ]
    cases = SOURCE.find_cases(folder)
    assert [(case.name, case.patient) for case in cases] == [
        ("anna_slice01", "anna"),
        ("anna_slice02", "anna"),
        ("bo-z7", "bo"),
    ]
    volumes = SOURCE.read_case(cases[0])
    assert volumes.images[0].shape == (5, 4, 1)
    assert sorted(volumes.images[0][volumes.label == 1]) == [18, 19]
    # What is 0 is not in the foreground.
    assert np.count_nonzero(volumes.label == 2) == 17


@pytest.mark.parametrize("word", ["_mask", "_label", "-seg"])
def test_label_maps_beside_images(tmp_path, word):
    write(tmp_path, "a_1.png", "b_1.png")
    write(tmp_path, f"a_1{word}.png", f"b_1{word}.png", data=LABEL)
    first, second = SOURCE.find_cases(tmp_path)
    assert (first.name, first.patient, second.patient) == ("a_1", "a", "b")
    assert first.images["image"].path == tmp_path / "a_1.png"
    assert first.label.path == tmp_path / f"a_1{word}.png"


def test_modalities_in_folders(tmp_path):
    write(tmp_path, "images/t2/a.png", "images/t1/a.npy", "images/.x/a.png")
    write(tmp_path, "masks/a.png", data=LABEL)
    assert SOURCE.describe(tmp_path)[0] == ("t1", "t2")
    (case,) = SOURCE.find_cases(tmp_path)
    assert case.images["t1"].path == tmp_path / "images/t1/a.npy"
    assert SOURCE.read_case(case).images[1].shape == (5, 4, 1)
    (tmp_path / "images/t2/a.png").unlink()
    assert "a has no t2; it has images/t1/a.npy, masks/a.png." in problem(tmp_path)


def test_16_bits_are_kept(folder):
    write(folder, "images/bo-z7.png", data=IMAGE.astype(np.uint16) * 3000)
    assert SOURCE.read_case(SOURCE.find_cases(folder)[2]).images[0].max() == 57000


def test_label_maps_alone(tmp_path):
    write(tmp_path, "labels/a_1.png", "labels/b_1.png", data=LABEL)
    assert SOURCE.describe(tmp_path)[0] == ()
    assert names(tmp_path) == ["a_1", "b_1"]
    volumes = SOURCE.read_case(SOURCE.find_cases(tmp_path)[0])
    assert np.count_nonzero(volumes.foreground) == 2


def test_an_image_without_label_is_a_problem_unless_it_is_to_be_segmented(folder):
    (folder / "labels/bo-z7.png").unlink()
    assert "no segmentation" in problem(folder, 2)
    assert SOURCE.find_cases(folder, labelled=False)[2].label is None


def test_a_label_without_image_is_a_problem(folder):
    (folder / "images/bo-z7.png").unlink()
    assert "bo-z7 has no image; it has labels/bo-z7.png." in problem(folder, 2)


def test_two_files_of_one_name_are_a_problem(folder):
    write(folder, "images/bo-z7.npy")
    expected = "bo-z7 has several image; it has images/bo-z7.npy, images/bo-z7.png"
    assert expected in problem(folder, 2)
    write(folder, "labels/anna_slice01.npy")
    assert "anna_slice01 has several label map; it has" in problem(folder)


def test_an_image_of_another_kind_is_not_passed_over(folder):
    write(folder, "images/eve_1.jpg")
    write(folder, "labels/eve_1.png", data=LABEL)
    with pytest.raises(DataError, match="eve_1.jpg: only files in"):
        SOURCE.read_case(SOURCE.find_cases(folder)[3])


def test_a_label_map_in_colours_is_refused(folder):
    write(folder, "labels/bo-z7.png", data=np.stack([LABEL, IMAGE, IMAGE], -1))
    with pytest.raises(DataError, match="bo-z7.png: is in colour"):
        SOURCE.read_case(SOURCE.find_cases(folder)[2])


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("anna_slice012", "anna"),
        ("anna-Slice12", "anna"),
        ("anna_s3", "anna"),
        ("anna-z3", "anna"),
        ("anna_7", "anna"),
        ("study_12_7", "study_12"),
        ("anna", "anna"),
        ("anna7", "anna7"),
        ("anna_7_flair", "anna_7_flair"),
    ],
)
def test_patients_by_name(tmp_path, name, patient):
    write(tmp_path, f"images/{name}.png")
    (case,) = SOURCE.find_cases(tmp_path, labelled=False)
    assert case.patient == patient


def test_images_that_would_all_be_of_one_patient(tmp_path):
    write(tmp_path, "images/img_1.png", "images/img_2.png")
    with pytest.raises(DataError, match="all 2 images are of one patient, 'img'"):
        SOURCE.find_cases(tmp_path, labelled=False)
    for said, expected in (
        ("cases", ["img_1", "img_2"]),
        ({"img_1": "eve", "img_2": "eve"}, ["eve", "eve"]),
    ):
        (tmp_path / "jaxsyn.json").write_text(json.dumps({"patients": said}))
        cases = SOURCE.find_cases(tmp_path, labelled=False)
        assert [case.patient for case in cases] == expected


def test_folders_that_leave_it_open_are_refused(folder):
    write(folder, "images/t1/a.png")
    with pytest.raises(DataError, match="holds both images and folders .t1."):
        SOURCE.describe(folder)
    (folder / "masks").mkdir()
    with pytest.raises(DataError, match="label maps in labels and in masks"):
        SOURCE.describe(folder)


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no pairs case .*\n.*NAME_mask.png"):
        SOURCE.find_cases(tmp_path)
