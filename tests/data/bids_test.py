import json

import numpy as np
import pytest

from case_files import LPS, brain, segmentation
from jaxsyn.data import nifti, sources
from jaxsyn.data.cases import Problem
from jaxsyn.errors import DataError

SOURCE = sources.load("bids")
BINARY = np.minimum(segmentation(), 1)


def write(root, *names, data=None):
    """Images of seeds 0, 1, ... or files of some other data."""
    for seed, name in enumerate(names):
        nifti.write(root / name, brain(seed) if data is None else data, LPS)


def say(root, **choices):
    (root / "jaxsyn.json").write_text(json.dumps(choices))


def values(root):
    return {label.name: label.values for label in SOURCE.describe(root)[1]}


def refusal(root):
    problems = [p for p in SOURCE.find_cases(root) if isinstance(p, Problem)]
    (problem,) = problems
    return f"{problem.name} | {problem.reason}"


@pytest.fixture
def folder(tmp_path):
    """T1w and FLAIR of three subjects, dseg in derivatives."""
    for subject in "123":
        stem = f"sub-{subject}/anat/sub-{subject}"
        write(tmp_path, f"{stem}_T1w.nii.gz", f"{stem}_FLAIR.nii.gz")
        mask = f"derivatives/hand/{stem}_dseg.nii.gz"
        write(tmp_path, mask, data=segmentation())
    (tmp_path / "dataset_description.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize("deep", [True, False])
def test_isles_2022(tmp_path, deep):
    for subject in ("sub-strokecase0001", "sub-strokecase0002"):
        above, stem = f"{subject}/ses-0001", f"{subject}_ses-0001"
        dwi, anat = ("/dwi", "/anat") if deep else ("", "")
        write(
            tmp_path,
            f"{above}{dwi}/{stem}_adc.nii.gz",
            f"{above}{dwi}/{stem}_dwi.nii.gz",
            f"{above}{anat}/{stem}_FLAIR.nii.gz",
        )
        write(tmp_path / "derivatives", f"{above}/{stem}_msk.nii.gz", data=BINARY)
    assert SOURCE.describe(tmp_path)[0] == ("FLAIR", "adc", "dwi")
    assert values(tmp_path) == {"background": (0,), "mask": (1,), "foreground": ()}
    first, second = SOURCE.find_cases(tmp_path)
    assert first.name == "sub-strokecase0001_ses-0001"
    assert (first.patient, second.patient) == (
        "sub-strokecase0001",
        "sub-strokecase0002",
    )
    volumes = SOURCE.read_case(first)
    for image, seed in zip(volumes.images, (2, 0, 1), strict=True):
        np.testing.assert_array_equal(image, brain(seed))
    assert np.count_nonzero(volumes.label == 1) == 3
    assert np.count_nonzero(volumes.label == 2) == 9


def test_a_folder_of_derivatives_that_holds_both(tmp_path):
    for session in "12":
        stem = f"sub-1/ses-{session}/anat/sub-1_ses-{session}_space-MNI"
        write(tmp_path, f"{stem}_T1w.nii.gz")
        write(tmp_path, f"{stem}_label-L_desc-T1lesion_mask.nii.gz", data=BINARY)
    cases = SOURCE.find_cases(tmp_path)
    assert [(case.name, case.patient) for case in cases] == [
        ("sub-1_ses-1", "sub-1"),
        ("sub-1_ses-2", "sub-1"),
    ]
    assert SOURCE.describe(tmp_path)[0] == ("T1w_space-MNI",)
    assert list(values(tmp_path)) == ["background", "L", "foreground"]


def test_runs_are_cases(tmp_path):
    names = [f"sub-1/anat/sub-1_run-{run}_T1w.nii.gz" for run in "12"]
    write(tmp_path, *names)
    cases = SOURCE.find_cases(tmp_path, labelled=False)
    assert [case.name for case in cases] == ["sub-1_run-1", "sub-1_run-2"]
    assert SOURCE.describe(tmp_path)[0] == ("T1w",)


def test_entities_tell_modalities_apart(folder):
    for subject in "12":
        stem = f"sub-{subject}/anat/sub-{subject}_ce-gadolinium"
        write(folder, f"{stem}_T1w.nii.gz")
    assert SOURCE.describe(folder)[0] == ("FLAIR", "T1w", "T1w_ce-gadolinium")
    assert "sub-3 | sub-3 has no T1w_ce-gadolinium; it has" in refusal(folder)


def test_a_rare_modality_is_not_used_and_that_is_said(folder, caplog):
    write(folder, "sub-1/perf/sub-1_cbf.nii.gz")
    for _ in range(2):
        assert SOURCE.describe(folder)[0] == ("FLAIR", "T1w")
    (message,) = {r.getMessage() for r in caplog.records if "not used" in r.message}
    assert "not used are cbf (in 1 of 3 cases)" in message
    assert '{"modalities": ["FLAIR", "T1w"]}' in message
    assert tuple(SOURCE.find_cases(folder)[0].images) == ("FLAIR", "T1w")


def test_half_of_the_labelled_cases_decide(folder):
    for subject in "456":
        write(folder, f"sub-{subject}/anat/sub-{subject}_PDw.nii.gz")
    assert SOURCE.describe(folder)[0] == ("FLAIR", "T1w")
    (folder / "sub-3/anat/sub-3_FLAIR.nii.gz").unlink()
    (folder / "sub-2/anat/sub-2_FLAIR.nii.gz").unlink()
    assert SOURCE.describe(folder)[0] == ("T1w",)


def test_modalities_may_be_chosen(folder):
    write(folder, "sub-1/perf/sub-1_cbf.nii.gz")
    say(folder, modalities=["cbf", "T1w"])
    assert SOURCE.describe(folder)[0] == ("cbf", "T1w")
    kinds = [type(case) is Problem for case in SOURCE.find_cases(folder)]
    assert kinds == [False, True, True]
    say(folder, modalities=["T2w"])
    with pytest.raises(DataError, match="'T2w'.\n.*There are: FLAIR, T1w, cbf"):
        SOURCE.describe(folder)


def test_a_missing_modality(folder):
    (folder / "sub-2/anat/sub-2_T1w.nii.gz").unlink()
    expected = "sub-2 has no T1w; it has sub-2_FLAIR.nii.gz, sub-2_dseg.nii.gz."
    assert refusal(folder) == f"sub-2 | {expected}"


def test_two_files_of_a_modality(folder):
    write(folder, "derivatives/x/sub-2/anat/sub-2_T1w.nii")
    assert "sub-2 has several T1w; it has" in refusal(folder)


def test_two_label_maps(folder):
    write(folder, "derivatives/x/sub-2/anat/sub-2_dseg.nii", data=BINARY)
    assert "sub-2 has several dseg; it has" in refusal(folder)


def test_no_label_map(folder):
    (folder / "derivatives/hand/sub-2/anat/sub-2_dseg.nii.gz").unlink()
    assert "no segmentation" in refusal(folder)
    assert SOURCE.find_cases(folder, labelled=False)[1].label is None


def test_a_label_map_without_images(folder):
    mask = "derivatives/hand/sub-9/anat/sub-9_dseg.nii.gz"
    write(folder, mask, data=segmentation())
    assert refusal(folder) == "sub-9 | sub-9 has no FLAIR; it has sub-9_dseg.nii.gz."


def test_dseg_wins_over_masks_and_a_brain_is_no_label(folder):
    for kind in ("desc-brain_mask", "label-lesion_mask"):
        mask = f"derivatives/hand/sub-1/anat/sub-1_{kind}.nii.gz"
        write(folder, mask, data=BINARY)
    assert SOURCE.find_cases(folder)[0].label.path.name == "sub-1_dseg.nii.gz"
    assert SOURCE.find_cases(folder)[0].mask is None
    for path in folder.glob("derivatives/hand/*/anat/*_dseg.nii.gz"):
        path.unlink()
    case = SOURCE.find_cases(folder)[0]
    assert case.label.path.name == "sub-1_label-lesion_mask.nii.gz"
    assert values(folder)["lesion"] == (1,)


def test_suffixes_of_two_words(tmp_path):
    write(tmp_path, "sub-1/anat/sub-1_T1w.nii")
    write(tmp_path, "derivatives/sub-1/sub-1_lvo-dseg.nii", data=segmentation())
    write(tmp_path, "derivatives/sub-1/sub-1_lesion-msk.nii", data=BINARY)
    assert SOURCE.describe(tmp_path)[0] == ("T1w",)
    assert "label_4" in values(tmp_path)
    say(tmp_path, label="lesion-msk")
    assert list(values(tmp_path)) == ["background", "mask", "foreground"]


def test_several_kinds_of_label_maps_are_to_be_chosen_from(folder):
    for subject in "123":
        stem = f"derivatives/fast/sub-{subject}/anat/sub-{subject}"
        write(folder, f"{stem}_desc-fast_dseg.nii.gz", data=BINARY)
        write(folder, f"{stem}_desc-brain_mask.nii.gz", data=BINARY)
    there = r"dseg \(3 cases\), dseg_desc-fast \(3 cases\)"
    with pytest.raises(DataError, match=f'{there}.\n.*{{"label": "dseg"}}'):
        SOURCE.find_cases(folder)
    say(folder, label="dseg_desc-fast", mask="mask_desc-brain")
    case = SOURCE.find_cases(folder)[0]
    assert case.label.path.name == "sub-1_desc-fast_dseg.nii.gz"
    assert case.mask.path.name == "sub-1_desc-brain_mask.nii.gz"
    assert list(values(folder)) == ["background", "label_1", "foreground"]
    say(folder, label="dseg_desc-slow")
    with pytest.raises(DataError, match="'dseg_desc-slow'.*\n.*are: dseg, dseg_desc-f"):
        SOURCE.find_cases(folder)


@pytest.mark.parametrize(
    "place",
    [
        "dseg.tsv",
        "derivatives/hand/dseg.tsv",
        "derivatives/hand/sub-2/anat/sub-2_dseg.tsv",
    ],
)
def test_a_table_of_labels(folder, place):
    (folder / place).write_text("index\tname\tcolor\n4\ttumour\tx\n1\tcore\n2\tedema\n")
    assert values(folder) == {
        "background": (0,),
        "core": (1,),
        "edema": (2,),
        "tumour": (4,),
        "foreground": (),
    }
    assert SOURCE.read_case(SOURCE.find_cases(folder)[0]).label[3, 2, 2] == 3


def test_the_values_found_are_labels_without_a_table(folder):
    names = ["background", "label_1", "label_2", "label_4", "foreground"]
    assert list(values(folder)) == names
    say(folder, labels={"background": 0, "a": 1, "b": 2, "c": 4}, foreground=None)
    assert list(values(folder)) == ["background", "a", "b", "c"]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("index\tlabel\n1\ta\n", "no column 'name'; it has index, label"),
        ("index\tname\n1.5\ta\n", "line 2: index '1.5', name 'a'"),
        ("index\tname\n-1\ta\n", "line 2: index '-1'"),
        ("index\tname\n1\ta\n2\ta\n", "line 3: index '2', name 'a'"),
        ("", "dseg.tsv is empty"),
    ],
)
def test_a_table_that_is_wrong(folder, table, expected):
    (folder / "dseg.tsv").write_text(table)
    with pytest.raises(DataError, match=expected):
        SOURCE.describe(folder)


def test_a_table_of_values_too_high(folder):
    (folder / "dseg.tsv").write_text("index\tname\n40001\ta\n")
    with pytest.raises(DataError, match="dseg.tsv: 'a' is 40001.\n.*from 0 to 32767"):
        SOURCE.describe(folder)


def test_tables_that_differ(folder):
    (folder / "dseg.tsv").write_text("index\tname\n1\ta\n")
    near = folder / "derivatives/hand/sub-2/anat/sub-2_dseg.tsv"
    near.write_text("index\tname\n1\tb\n")
    with pytest.raises(DataError, match="sub-2_dseg.tsv.* name labels differently"):
        SOURCE.describe(folder)


def test_a_mask_holds_0_and_1(tmp_path):
    write(tmp_path, "sub-1/anat/sub-1_T1w.nii")
    write(tmp_path, "derivatives/x/sub-1/sub-1_mask.nii", data=segmentation())
    (case,) = SOURCE.find_cases(tmp_path)
    with pytest.raises(
        DataError, match=r"\[2, 4\] are outside .*\n.*0 background, 1 ma"
    ):
        SOURCE.read_case(case)


def test_a_name_that_is_not_of_bids_is_a_problem(folder):
    write(folder, "sub-1/anat/sub-1_T1w_brain.nii.gz")
    assert refusal(folder).startswith("sub-1_T1w_brain | ")
    assert "is not named sub-X" in refusal(folder)


@pytest.mark.parametrize(
    "name",
    [
        "sub-{0}/func/sub-{0}_task-rest_bold.nii.gz",
        "sub-{0}/fmap/sub-{0}_epi.nii.gz",
        "sourcedata/sub-{0}/sub-{0}_T2w.nii.gz",
        ".git/sub-{0}_T2w.nii.gz",
        "templates/{0}_T2w.nii.gz",
        "derivatives/seg/sub-{0}/anat/sub-{0}_label-GM_probseg.nii.gz",
    ],
)
def test_what_is_no_image_of_a_case_is_passed_over(folder, name):
    write(folder, *(name.format(subject) for subject in "123"))
    assert SOURCE.describe(folder)[0] == ("FLAIR", "T1w")
    assert len(SOURCE.find_cases(folder)) == 3


def test_patients_may_be_told(folder):
    say(folder, patients={"sub-1": "anna", "sub-2": "anna", "sub-3": "bo"})
    patients = [case.patient for case in SOURCE.find_cases(folder)]
    assert patients == ["anna", "anna", "bo"]


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no bids case .*\n.*sub-X"):
        SOURCE.find_cases(tmp_path)
