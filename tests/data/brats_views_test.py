"""The label maps of BraTS with seven, four and two classes."""

import numpy as np
import pytest

from case_files import LPS, SHAPE, brain, segmentation, write_brats
from jaxsyn.data import nifti, sources
from jaxsyn.data.cases import Problem
from jaxsyn.errors import DataError
from jaxsyn.spec import DataSpec

NAMES = {
    "brats_tissues": (
        "background",
        "necrotic",
        "oedema",
        "enhancing",
        "white",
        "grey",
        "csf",
    ),
    "brats_tumour": ("background", "necrotic", "oedema", "enhancing"),
    "brats_whole": ("background", "tumour"),
}
CSF, GREY, WHITE = 1, 2, 3


def tissue_map():
    """All of the brain, its lesion too: one column fluid, one grey, one white."""
    tissues = np.zeros(SHAPE, np.uint8)
    for column, tissue in ((1, CSF), (2, GREY), (3, WHITE)):
        tissues[2:4, column, 1:3] = tissue
    return tissues


def write(root, tissues=None, **options):
    folder = write_brats(root, "BraTS2021_00001", **options)
    if tissues is not None:
        nifti.write(folder / "BraTS2021_00001_tissues.nii.gz", tissues, LPS)


def read(root, name):
    source = sources.load(name)
    (case,) = source.find_cases(root)
    return source.read_case(case)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("enhancing", [3, 4])
def test_a_label_is_its_place_in_the_table(tmp_path, name, enhancing):
    write(tmp_path, tissue_map(), enhancing=enhancing)
    source = sources.load(name)
    modalities, labels = source.describe(tmp_path)
    spec = DataSpec(image_size=8, modalities=modalities, labels=labels)
    assert spec.label_names == NAMES[name]
    assert spec.classes == tuple(range(len(NAMES[name])))  # All can be segmented.
    values = [value for label in labels for value in label.values]
    assert len(set(values)) == len(values)
    label = read(tmp_path, name).label
    lesion = segmentation() > 0
    expected = segmentation(enhancing=3)[lesion]
    if name == "brats_whole":
        expected = np.ones_like(expected)
    np.testing.assert_array_equal(label[lesion], expected)


def test_the_tumour_wins_over_tissue(tmp_path):
    write(tmp_path, tissue_map())
    volumes = read(tmp_path, "brats_tissues")
    around = (brain() > 0) & (segmentation() == 0)
    table = np.array([0, 6, 5, 4])  # Fluid, grey and white are labels 6, 5 and 4.
    np.testing.assert_array_equal(volumes.label[around], table[tissue_map()[around]])
    np.testing.assert_array_equal(volumes.foreground, brain() > 0)
    assert volumes.notes == ()


@pytest.mark.parametrize("name", ["brats_tumour", "brats_whole"])
def test_brain_is_background_but_in_the_foreground(tmp_path, name):
    write(tmp_path)
    volumes = read(tmp_path, name)
    np.testing.assert_array_equal(volumes.label > 0, segmentation() > 0)
    np.testing.assert_array_equal(volumes.foreground, brain() > 0)


def test_brain_without_tissue_gets_the_nearest(tmp_path):
    tissues = tissue_map()
    tissues[:, 1] = tissues[:, :, 1] = 0
    tissues[:, 3] = 0
    tissues[3, 3, 2] = WHITE
    write(tmp_path, tissues)
    label = read(tmp_path, "brats_tissues").label
    assert label[3, 3, 1] == label[3, 3, 2] == 4
    assert label[3, 1, 2] == label[2, 1, 2] == 5


def test_without_a_tissue_map_there_is_a_problem_with_the_command(tmp_path):
    write(tmp_path)
    (problem,) = sources.load("brats_tissues").find_cases(tmp_path)
    assert isinstance(problem, Problem) and "_tissues.nii.gz" in problem.reason
    assert "python -m jaxsyn.data.tissues" in problem.hint
    (case,) = sources.load("brats").find_cases(tmp_path)
    assert len(case.files) == 5


def test_a_case_to_segment_needs_no_tissue_map(tmp_path):
    write(tmp_path)
    (tmp_path / "BraTS2021_00001" / "BraTS2021_00001_seg.nii.gz").unlink()
    source = sources.load("brats_tissues")
    (case,) = source.find_cases(tmp_path, labelled=False)
    assert not source.read_case(case).label.any()


def test_a_tissue_map_of_another_kind_is_refused(tmp_path):
    write(tmp_path, 4 * tissue_map())
    with pytest.raises(
        DataError, match=r"_tissues.nii.gz: label values \[14, 18, 22\]"
    ):
        read(tmp_path, "brats_tissues")


def test_an_empty_tissue_map_is_refused(tmp_path):
    write(tmp_path, np.zeros(SHAPE, np.uint8))
    with pytest.raises(DataError, match="_tissues.nii.gz: there is no tissue"):
        read(tmp_path, "brats_tissues")
