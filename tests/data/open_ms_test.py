import numpy as np

from case_files import LPS, brain, segmentation
from jaxsyn.data import nifti, sources
from jaxsyn.data.sources import open_ms

SOURCE = sources.load("open_ms")
END = "_N4_noneck_reduced_winsor_regtoFLAIR_brain_N4_regtoMNI.nii.gz"
# In the order of the source's modalities.
WORDS = ("T1", "T1POST", "T2", "FLAIR")


def lesion():
    return (segmentation() > 0).astype(np.uint8)


def write(root, words=WORDS):
    for seed, word in enumerate(words):
        # Interpolation has left small negative values.
        image = brain(seed) - np.float32(0.5) * (brain(seed) > 0)
        image[2, 1, 1] *= -1
        nifti.write(root / f"patient07/{word}{END}", image, LPS)
    label = "GOLD_STANDARD_N4_noneck_reduced_winsor_regtoFLAIR_regtoMNI.nii.gz"
    nifti.write(root / "patient07" / label, lesion(), LPS)


def test_files_are_told_apart_by_their_first_word(tmp_path):
    write(tmp_path)
    (tmp_path / "LICENSE.txt").write_text("CC BY")
    (tmp_path / "patient07" / "T1_screenshot.png").write_bytes(b"")
    (case,) = SOURCE.find_cases(tmp_path)
    assert (case.name, case.patient) == ("patient07", "patient07")
    assert tuple(case.images) == open_ms.MODALITIES == ("t1", "t1ce", "t2", "flair")
    volumes = SOURCE.read_case(case)
    for seed, image in enumerate(volumes.images):
        assert image[3, 2, 2] == brain(seed)[3, 2, 2] - 0.5 and image[2, 1, 1] < 0
    expected = np.where(lesion() > 0, 1, np.where(brain() > 0, 2, 0))
    np.testing.assert_array_equal(volumes.label, expected)


def test_a_missing_sequence_is_a_problem(tmp_path):
    write(tmp_path, words=[word for word in WORDS if word != "T2"])
    (tmp_path / "patient08").mkdir()
    first, second = SOURCE.find_cases(tmp_path)
    assert "patient07 has no t2; it has FLAIR_N4" in first.reason
    assert "patient08 has no t1; it has no image file" in second.reason


def test_the_real_one_is_read(real_data):
    (case,) = SOURCE.find_cases(real_data / "open_ms")
    volumes = SOURCE.read_case(case)
    assert volumes.label.shape == (182, 218, 182)
    assert np.count_nonzero(volumes.label == 1) == 1300
    assert 0.15 < volumes.foreground.mean() < 0.16
    assert volumes.notes == ()
