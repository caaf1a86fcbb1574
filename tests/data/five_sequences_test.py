import numpy as np
import pytest

from case_files import LPS, brain, segmentation
from jaxsyn.data import nifti, sources
from jaxsyn.data.cases import Problem
from jaxsyn.data.sources import five_sequences
from jaxsyn.errors import DataError

SOURCE = sources.load("five_sequences")
WORDS = ("t1", "t1ce", "t2", "flair", "apt")


def labels():
    """Brain is 1, and in it a voxel each of oedema, cavity and tumour: 2, 3, 4."""
    lesion = segmentation(enhancing=3)
    return np.where(lesion > 0, lesion + 1, brain() > 0).astype(np.uint8)


def write(root, name="p1", words=WORDS, label=None):
    for seed, word in enumerate(words):
        nifti.write(root / name / f"{name}_{word}.nii.gz", brain(seed), LPS)
    label = labels() if label is None else label
    nifti.write(root / name / f"{name}_seg.nii.gz", label, LPS)


def test_sequences_and_classes(tmp_path):
    write(tmp_path)
    (case,) = SOURCE.find_cases(tmp_path)
    assert (case.name, case.patient) == ("p1", "p1")
    assert tuple(case.images) == five_sequences.MODALITIES == WORDS
    volumes = SOURCE.read_case(case)
    for seed, image in enumerate(volumes.images):
        np.testing.assert_array_equal(image, brain(seed))
    np.testing.assert_array_equal(volumes.label, labels())
    names = [label.name for label in five_sequences.LABELS]
    assert names == ["background", "brain", "oedema", "cavity", "tumour"]


def test_the_molecular_sequence_is_needed(tmp_path):
    write(tmp_path, words=WORDS[:-1])
    (problem,) = SOURCE.find_cases(tmp_path)
    assert isinstance(problem, Problem) and "p1 has no apt; it has" in problem.reason


def test_a_label_of_none_of_the_classes_is_refused(tmp_path):
    write(tmp_path, label=labels() + (labels() == 4))
    with pytest.raises(DataError, match=r"label values \[5\] are outside"):
        SOURCE.read_case(SOURCE.find_cases(tmp_path)[0])
