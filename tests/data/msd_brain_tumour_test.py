import json

import numpy as np
import pytest

from case_files import LPS, brain, segmentation
from jaxsyn.data import nifti, sources
from jaxsyn.data.cases import Problem, read_case
from jaxsyn.data.sources import brats, msd_brain_tumour
from jaxsyn.errors import DataError

SOURCE = sources.load("msd_brain_tumour")
MODALITY = {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"}
LABELS = {
    "0": "background",
    "1": "edema",
    "2": "non-enhancing tumor",
    "3": "enhancing tumour",
}


@pytest.fixture
def task(tmp_path):
    """The task with one case: channels FLAIR, T1w, t1gd, T2w are brain(0) to (3)."""
    folder = tmp_path / "Task01_BrainTumour"
    images = np.stack([brain(seed) for seed in range(4)], axis=-1)
    nifti.write(folder / "imagesTr/BRATS_457.nii.gz", images.astype(np.float32), LPS)
    label = segmentation(enhancing=3)
    nifti.write(folder / "labelsTr/BRATS_457.nii.gz", label, LPS)
    describe(folder, "BRATS_457")
    return folder


def describe(folder, *names, modality=MODALITY):
    training = [
        {"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"}
        for n in names
    ]
    content = {"modality": modality, "labels": LABELS, "training": training}
    (folder / "dataset.json").write_text(json.dumps(content))


def test_channels_and_labels_become_those_of_brats(task):
    for root in (task, task.parent):
        (case,) = SOURCE.find_cases(root)
        assert case.name == case.patient == "BRATS_457"
        assert tuple(case.images) == msd_brain_tumour.MODALITIES
        assert tuple(case.images) == ("t1", "t1ce", "t2", "flair")
        volumes = read_case(case)
        for image, seed in zip(volumes.images, (1, 2, 3, 0), strict=True):
            np.testing.assert_array_equal(image, brain(seed))
        # The file's 1 is oedema, 2 necrotic, 3 enhancing.
        assert volumes.label[2, 1, 1] == 2
        assert volumes.label[2, 2, 1] == 1
        assert volumes.label[3, 2, 2] == 3
        assert np.count_nonzero(volumes.label == 4) == 9


def test_the_tables_agree_on_indices():
    labels = msd_brain_tumour.LABELS
    assert [a.name for a in labels] == [b.name for b in brats.LABELS]
    assert [label.values for label in labels] == [(0,), (2,), (1,), (3,), ()]


def test_channels_are_those_of_the_json(task):
    modality = {"1": "FLAIR", "0": "T1w", "2": "T1gd", "3": "T2w"}
    describe(task, "BRATS_457", modality=modality)
    images = read_case(SOURCE.find_cases(task)[0]).images
    np.testing.assert_array_equal(images[0], brain(0))
    np.testing.assert_array_equal(images[3], brain(1))


def test_the_file_is_read_once(task, monkeypatch):
    read, paths = nifti.read, []
    monkeypatch.setattr(nifti, "read", lambda p, **k: paths.append(p) or read(p, **k))
    read_case(SOURCE.find_cases(task)[0])
    assert len(paths) == 2


def test_a_listed_file_that_is_not_there_is_a_problem(task):
    describe(task, "BRATS_457", "BRATS_001")
    case, problem = SOURCE.find_cases(task)
    assert case.name == "BRATS_457" and isinstance(problem, Problem)
    assert problem.name == "BRATS_001"
    assert "There is no" in problem.reason
    assert "imagesTr/BRATS_001.nii.gz" in problem.reason


def test_a_case_listed_twice_is_a_problem(task):
    describe(task, "BRATS_457", "BRATS_457")
    found = SOURCE.find_cases(task)
    assert [type(case) is Problem for case in found] == [False, True]


def test_a_label_of_brats_is_refused(task):
    nifti.write(task / "labelsTr/BRATS_457.nii.gz", segmentation(enhancing=4), LPS)
    with pytest.raises(DataError, match=r"label values \[4\] .*\n.*2 necrotic, 1 oede"):
        read_case(SOURCE.find_cases(task)[0])


def test_another_task_is_refused(task):
    describe(task, "BRATS_457", modality={"0": "MRI"})
    with pytest.raises(DataError, match="lists no flair, t1, t1ce, t2.*\n.*`msd`"):
        SOURCE.find_cases(task)


def test_without_a_json_there_is_no_task(tmp_path):
    with pytest.raises(DataError, match="there is no task in it.*\n.*dataset.json"):
        SOURCE.find_cases(tmp_path)
