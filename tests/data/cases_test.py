from concurrent import futures
import dataclasses
import pickle
import struct

import numpy as np
import pytest

from case_files import LPS, SHAPE, brain, segmentation, write_brats
from jaxsyn.data import nifti
from jaxsyn.data.cases import TISSUE_OFFSET, ImageFile, Problem, read_case
from jaxsyn.data.sources import brats
from jaxsyn.errors import DataError
from jaxsyn.spec import Label


@pytest.fixture
def folder(tmp_path):
    return write_brats(tmp_path, "BraTS20_Training_001")


def _case(folder):
    (case,) = brats.find_cases(folder.parent)
    return case


def _write(folder, suffix, data, affine=LPS):
    nifti.write(folder / f"{folder.name}{suffix}.nii.gz", data, affine)


def test_a_case_is_its_files(folder):
    volumes = read_case(_case(folder))
    assert [image.dtype for image in volumes.images] == [np.int16] * 4
    for index, image in enumerate(volumes.images):
        np.testing.assert_array_equal(image, brain(index))
    np.testing.assert_array_equal(volumes.affine, LPS)
    assert volumes.label.dtype == np.uint8 and volumes.label.shape == SHAPE
    # 12 voxels of brain, three of them lesion; enhancing (4) has index 3.
    assert volumes.label[2, 1, 1] == 1
    assert volumes.label[2, 2, 1] == 2
    assert volumes.label[3, 2, 2] == 3
    assert np.count_nonzero(volumes.label == 4) == 9
    np.testing.assert_array_equal(volumes.foreground, brain() != 0)
    np.testing.assert_array_equal(volumes.label != 0, volumes.foreground)
    assert volumes.notes == ()


def test_brain_is_where_any_image_is_not_zero(folder):
    image = brain(1)
    image[2, 1, 1], image[0, 0, 0] = 0, -1
    _write(folder, "_t1ce", image)
    volumes = read_case(_case(folder))
    assert volumes.foreground[2, 1, 1] and volumes.foreground[0, 0, 0]
    assert volumes.label[0, 0, 0] == 4


def test_lesion_outside_the_brain_is_kept_and_noted(folder):
    label = segmentation()
    label[0, 0, 0] = 2
    _write(folder, "_seg", label)
    volumes = read_case(_case(folder))
    assert volumes.label[0, 0, 0] == 2 and volumes.foreground[0, 0, 0]
    assert volumes.notes == ("1 lesion voxels lie outside the brain",)


def test_a_patient_without_lesion_is_used_and_noted(folder):
    _write(folder, "_seg", np.zeros(SHAPE, np.uint8))
    volumes = read_case(_case(folder))
    assert set(np.unique(volumes.label)) == {0, 4}
    assert volumes.notes == ("there is no lesion",)


def test_notes_of_files_are_passed_on(folder):
    path = folder / f"{folder.name}_t2.nii"
    path.with_suffix(".nii.gz").unlink()
    nifti.write(path, brain(2), LPS)
    content = bytearray(path.read_bytes())
    struct.pack_into("<f", content, 268, 0.5)  # The x of the qform's origin.
    path.write_bytes(content)
    note = "sform and qform are 0.5 mm apart: sform is used"
    assert read_case(_case(folder)).notes == (f"{path.name}: {note}",)


def test_float_labels_that_are_whole_are_taken(folder):
    _write(folder, "_seg", segmentation().astype(np.float32))
    assert read_case(_case(folder)).label[3, 2, 2] == 3


@pytest.mark.parametrize("value", [0.5, 3.2])
def test_interpolated_labels_are_refused(folder, value):
    label = segmentation().astype(np.float32)
    label[3, 2, 2] = value
    _write(folder, "_seg", label)
    with pytest.raises(DataError, match=r"_seg.nii.gz: label values .* not whole"):
        read_case(_case(folder))


def test_labels_outside_the_table_are_named_with_their_file(folder):
    label = segmentation()
    label[0, 0, 0], label[0, 0, 1] = 7, 255
    _write(folder, "_seg", label)
    with pytest.raises(DataError, match=r"_seg.nii.gz: label values \[7, 255\] are"):
        read_case(_case(folder))


def test_enhancing_tumour_is_3_or_4_but_not_both(folder):
    _write(folder, "_seg", segmentation(enhancing=3))
    assert read_case(_case(folder)).label[3, 2, 2] == 3
    label = segmentation(enhancing=3)
    label[0, 0, 0] = 4
    _write(folder, "_seg", label)
    with pytest.raises(DataError, match=r"values \[3\].*\n.*4 enhancing.*3 enhancing"):
        read_case(_case(folder))


def test_another_shape_is_refused(folder):
    _write(folder, "_t2", np.ones((6, 5, 3), np.int16))
    message = r"_t2.nii.gz: its shape is \(6, 5, 3\), that of .*_t1.nii.gz is \(6, 5, 4"
    with pytest.raises(DataError, match=message):
        read_case(_case(folder))


def test_another_affine_is_refused_beyond_the_tolerance(folder):
    moved = LPS.copy()
    moved[0, 3] = 0.0009
    _write(folder, "_seg", segmentation(), moved)
    assert read_case(_case(folder))
    moved[0, 3] = 0.002
    _write(folder, "_seg", segmentation(), moved)
    with pytest.raises(DataError, match=r"_seg.nii.gz: its affine .* up to 0.002 mm"):
        read_case(_case(folder))


@pytest.mark.parametrize("value", [0, 7])
def test_constant_images_are_refused(folder, value):
    _write(folder, "_flair", np.full(SHAPE, value, np.int16))
    message = rf"_flair.nii.gz \(flair\): all of its voxels are {value}\."
    with pytest.raises(DataError, match=message):
        read_case(_case(folder))


def test_a_missing_channel_is_refused(folder):
    path = folder / "four.nii.gz"
    nifti.write(path, np.stack([brain(0), brain(1)], axis=-1), LPS)
    images = {"t1": ImageFile(path=path, channel=2)}
    case = dataclasses.replace(_case(folder), images=images)
    with pytest.raises(DataError, match="four.nii.gz: there is no channel 2, it has 2"):
        read_case(case)


def test_to_read_a_problem_is_an_error():
    problem = Problem(name="a", reason="It has no t1.")
    assert problem.patient == "a" and problem.files == ()
    with pytest.raises(DataError, match="It has no t1"):
        read_case(problem)


def test_cases_travel_to_other_processes(folder):
    case = _case(folder)
    assert pickle.loads(pickle.dumps(case)) == case
    assert len(case.files) == 5
    with futures.ThreadPoolExecutor(2) as pool:
        labels = [v.label for v in pool.map(read_case, [case] * 4)]
    assert all(np.array_equal(label, labels[0]) for label in labels)


def test_a_given_mask_is_the_brain(folder):
    inside = np.zeros(SHAPE, np.uint8)
    inside[0, 0, 0] = inside[2, 1, 1] = 255
    _write(folder, "_mask", inside)
    mask = ImageFile(path=folder / f"{folder.name}_mask.nii.gz")
    case = dataclasses.replace(_case(folder), mask=mask)
    assert mask.path in case.files
    volumes = read_case(case, "all")  # The mask wins.
    np.testing.assert_array_equal(volumes.brain, inside > 0)
    assert volumes.label[0, 0, 0] == 4 and volumes.label[2, 1, 1] == 1
    lesion = np.isin(volumes.label, (1, 2, 3))
    np.testing.assert_array_equal(volumes.foreground, (inside > 0) | lesion)


def test_everything_can_be_foreground(folder):
    volumes = read_case(_case(folder), "all")
    assert volumes.brain.all() and (volumes.label > 0).all()


def test_tissues_of_high_values_stay_what_they_are(folder):
    tissues = np.full(SHAPE, 251, np.uint8)
    _write(folder, "_tissues", tissues)
    table = (
        *brats.LABELS[:4],
        Label(name="callosum", values=(251 + TISSUE_OFFSET,)),
    )
    case = dataclasses.replace(
        _case(folder),
        tissues=ImageFile(path=folder / f"{folder.name}_tissues.nii.gz"),
        label_tables=(table,),
    )
    assert (read_case(case).label[segmentation() == 0] == 4).all()
