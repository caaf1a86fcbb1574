import numpy as np
import pytest

from case_files import NEW, OLD, segmentation, write_brats
from jaxsyn.data import sources
from jaxsyn.data.cases import Case, Problem, read_case
from jaxsyn.data.sources import brats
from jaxsyn.errors import DataError, UsageError

LAYOUTS = {
    "2018": ("HGG", "Brats18_2013_10_1", OLD, ".nii.gz"),
    "2020": ("MICCAI_BraTS2020_TrainingData", "BraTS20_Training_001", OLD, ".nii"),
    "2021": ("", "BraTS2021_00000", OLD, ".nii.gz"),
    "2023": ("", "BraTS-GLI-00000-000", NEW, ".nii.gz"),
    "capitals": ("", "BRATS_1", ("_T1", "_T1CE", "_T2", "_FLAIR", "_SEG"), ".NII.gz"),
    "gd": ("", "case", ("_t1", "_t1Gd", "_t2", "_flair", "_seg"), ".nii.gz"),
    "deep": ("a/b", "case", OLD, ".nii"),
}


def _find(root):
    return list(brats.find_cases(root))


@pytest.mark.parametrize("year", LAYOUTS)
def test_layouts_of_all_years(tmp_path, year):
    above, name, suffixes, ending = LAYOUTS[year]
    write_brats(tmp_path / above, name, suffixes=suffixes, ending=".nii")
    folder = tmp_path / above / name
    if ending != ".nii":  # gzip or not: only names are looked at here.
        for path in folder.iterdir():
            path.rename(path.with_name(path.name.removesuffix(".nii") + ending))
    (case,) = _find(tmp_path)
    assert case.name == name
    assert tuple(case.images) == brats.MODALITIES == ("t1", "t1ce", "t2", "flair")
    files = [*(file.path.name for file in case.images.values()), case.label.path.name]
    assert files == [f"{name}{suffix}{ending}" for suffix in suffixes]
    assert case.files == tuple(folder / file for file in files)


def test_grades_in_folders_of_their_own(tmp_path):
    write_brats(tmp_path / "HGG", "Brats18_1")
    write_brats(tmp_path / "LGG", "Brats18_2")
    (tmp_path / "survival_data.csv").write_text("x")
    assert [case.name for case in _find(tmp_path)] == ["Brats18_1", "Brats18_2"]
    assert [case.name for case in _find(tmp_path / "HGG")] == ["Brats18_1"]


def test_a_single_case_may_be_the_folder(tmp_path):
    assert [case.name for case in _find(write_brats(tmp_path, "one"))] == ["one"]


def test_the_segmentation_of_case_355(tmp_path):
    folder = write_brats(tmp_path, "BraTS20_Training_355", ending=".nii")
    path = folder / "W39_1998.09.19_Segm.nii"
    (folder / "BraTS20_Training_355_seg.nii").rename(path)
    (case,) = _find(tmp_path)
    assert case.label.path == path


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("BraTS-GLI-00000-001", "BraTS-GLI-00000"),
        ("BraTS-MET-00123-000", "BraTS-MET-00123"),
        ("BraTS2021_00000", "BraTS2021_00000"),
        ("BraTS20_Training_001", "BraTS20_Training_001"),
    ],
)
def test_examinations_of_one_patient(tmp_path, name, patient):
    write_brats(tmp_path, name)
    assert _find(tmp_path)[0].patient == patient


def test_a_missing_image_is_a_problem_that_names_it(tmp_path):
    folder = write_brats(tmp_path, "BraTS2021_00000")
    (folder / "BraTS2021_00000_t1ce.nii.gz").unlink()
    (problem,) = _find(tmp_path)
    assert isinstance(problem, Problem) and problem.name == "BraTS2021_00000"
    assert f"{folder} has no t1ce; it has BraTS2021_00000_" in problem.reason


def test_a_missing_segmentation_is_a_problem_unless_it_is_to_be_made(tmp_path):
    folder = write_brats(tmp_path, "BraTS2021_00000")
    (folder / "BraTS2021_00000_seg.nii.gz").unlink()
    source = sources.load("brats")
    (problem,) = source.find_cases(tmp_path)
    assert isinstance(problem, Problem) and problem.name == "BraTS2021_00000"
    assert f"{folder} has no segmentation; it has BraTS2021_00000_" in problem.reason
    (case,) = source.find_cases(tmp_path, labelled=False)
    volumes = source.read_case(case)
    # All of it is brain, and nothing is said of a lesion that is not known.
    assert set(np.unique(volumes.label)) == {0, 4}
    assert volumes.label[volumes.foreground].min() == 4
    assert not any("lesion" in note for note in volumes.notes)


def test_two_files_of_a_modality_are_a_problem(tmp_path):
    folder = write_brats(tmp_path, "a")
    (folder / "a_t1.nii").write_bytes(b"")
    (problem,) = _find(tmp_path)
    assert "has several t1; it has a_t1.nii, a_t1.nii.gz." in problem.reason


def test_many_files_are_not_all_listed(tmp_path):
    for index in range(9):
        (tmp_path / f"{index}_seg.nii").write_bytes(b"")
    (problem,) = _find(tmp_path)
    assert problem.reason.endswith("4_seg.nii, 4 more.")


def test_an_empty_folder_of_a_case_is_a_problem(tmp_path):
    root = tmp_path / "BraTS2021_TrainingData"
    (root / "BraTS2021_00001").mkdir(parents=True)
    (root / "scripts").mkdir()
    (problem,) = _find(root)
    assert problem.name == "BraTS2021_00001" and "no NIfTI file" in problem.reason


def test_hidden_files_are_no_images(tmp_path):
    folder = write_brats(tmp_path, "a")
    (folder / "._a_t1.nii.gz").write_bytes(b"\0")
    assert isinstance(_find(tmp_path)[0], Case)


def test_a_resection_cavity_is_no_enhancing_tumour(tmp_path):
    write_brats(tmp_path, "BraTS-GLI-00005-100", suffixes=NEW, enhancing=4)
    (case,) = _find(tmp_path)
    with pytest.raises(DataError, match=r"-seg.nii.gz: label values \[4\] are outside"):
        read_case(case)
    write_brats(tmp_path / "b", "BraTS-GLI-00000-000", suffixes=NEW, enhancing=3)
    label = read_case(_find(tmp_path / "b")[0]).label
    assert label[3, 2, 2] == 3


def test_tables_agree_on_indices(tmp_path):
    write_brats(tmp_path, "a")
    names = ["background", "necrotic", "oedema", "enhancing", "brain"]
    for table in (brats.LABELS, *_find(tmp_path)[0].label_tables):
        assert [label.name for label in table] == names
        assert [label.values[:1] for label in table[:3]] == [(0,), (1,), (2,)]
        assert table[4].values == ()


def test_a_name_is_given_once(tmp_path):
    write_brats(tmp_path / "HGG", "a")
    write_brats(tmp_path / "LGG", "a")
    first, second = sources.load("brats").find_cases(tmp_path)
    assert first.name == "a" and isinstance(first, Case)
    assert second.name == f"a (in {tmp_path / 'LGG' / 'a'})"
    assert "HGG" in second.reason


def test_a_source_reads_its_cases(tmp_path):
    write_brats(tmp_path, "a")
    source = sources.load("brats")
    (case,) = source.find_cases(tmp_path)
    label = source.read_case(case).label
    np.testing.assert_array_equal(label[2, :, 1], [0, 1, 2, 4, 0])
    assert segmentation()[2, 3, 1] == 0
    assert source.describe(tmp_path) == (brats.MODALITIES, brats.LABELS)


def test_unknown_sources_are_answered_with_those_there_are():
    with pytest.raises(
        UsageError, match=r"'brat'.*\n.*'brats'.*Known are: .*brats, .*msd"
    ):
        sources.load("brat")


def test_no_folder_says_where_to_get_the_data():
    with pytest.raises(DataError, match="No data.source_dir.*\n.*synapse.org") as error:
        sources.load("brats").find_cases("")
    assert "--config.data.phantom.patients=8" in error.value.hint


def test_a_missing_or_empty_folder_is_an_error(tmp_path):
    with pytest.raises(DataError, match="There is no folder .*absent"):
        sources.load("brats").find_cases(tmp_path / "absent")
    with pytest.raises(DataError, match="no brats case in .*\n.*Expected: one folder"):
        sources.load("brats").find_cases(tmp_path)


def test_a_folder_that_may_not_be_listed_is_an_error(tmp_path, monkeypatch):
    def fail(root):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(brats, "find_cases", fail)
    with pytest.raises(DataError, match="cannot be listed.*Permission denied"):
        sources.load("brats").find_cases(tmp_path)
