"""Tissue maps of made-up brains, whose tissues are known."""

import sys

import numpy as np
import pytest

from jaxsyn.data import hmrf, nifti, sources, tissues
from jaxsyn.data.sources import brats_tissues
from jaxsyn.errors import DataError, UsageError

CSF, GREY, WHITE = 1, 2, 3
SHAPE = (40, 44, 36)
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture
def dipy():
    pytest.importorskip("dipy", reason="the extra `prep` is not installed")


def truth():
    """White matter in grey matter in fluid, and outside nothing."""
    centre = np.array(SHAPE).reshape(3, 1, 1, 1) / 2
    radius = np.sqrt((((np.indices(SHAPE) - centre) / centre) ** 2).sum(axis=0))
    return np.select([radius < 0.6, radius < 0.8, radius < 0.95], [WHITE, GREY, CSF], 0)


def t1(noise=30.0, field=0.0, seed=0):
    """Intensities of 300, 600 and 900, in a field that rises from front to back."""
    rng = np.random.default_rng(seed)
    image = 300.0 * truth() + noise * rng.standard_normal(SHAPE)
    image *= 1 + field * np.linspace(-1, 1, SHAPE[1])[:, None]
    return np.where(truth() > 0, image.clip(1, None), 0).astype(np.int16)


def dice(found, tissue):
    one, other = found == tissue, truth() == tissue
    return 2 * np.sum(one & other) / (one.sum() + other.sum())


@pytest.mark.parametrize(
    ("noise", "field", "least"),
    [
        (30.0, 0.0, 0.99),
        (90.0, 0.0, 0.92),  # 0.91 voxel by voxel.
        (30.0, 0.4, 0.95),  # 0.89 as if the field were even.
    ],
)
def test_tissues_are_found_in_noise_and_an_uneven_field(dipy, noise, field, least):
    found = hmrf.find_tissues(t1(noise, field), truth() > 0)
    np.testing.assert_array_equal(found > 0, truth() > 0)
    assert found.dtype == np.uint8
    assert min(dice(found, tissue) for tissue in (CSF, GREY, WHITE)) > least


def test_what_is_not_brain_plays_no_part(dipy):
    brain = truth() > 0
    brain[15:25, 15:25, 15:25] = False
    dark, bright = t1(), t1()
    bright[~brain] = 9000
    found = hmrf.find_tissues(dark, brain)
    assert not found[~brain].any()
    np.testing.assert_array_equal(hmrf.find_tissues(bright, brain), found)


def test_a_brain_that_is_empty_or_of_one_tissue_is_refused(dipy):
    with pytest.raises(DataError, match="no brain without lesion"):
        hmrf.find_tissues(t1(), np.zeros(SHAPE, bool))
    with pytest.raises(DataError, match="fewer than three tissues"):
        hmrf.find_tissues(np.full(SHAPE, 7), truth() > 0)


def test_without_dipy_the_command_that_installs_it_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "dipy.segment", None)
    with pytest.raises(UsageError, match="dipy") as error:
        hmrf.find_tissues(t1(), truth() > 0)
    assert "pip install" in error.value.hint
    assert tissues.main(["nowhere"]) == 2
    assert "pip install" in capsys.readouterr().err


@pytest.fixture
def folder(tmp_path):
    """A case in a folder of its grade, and one without T1."""
    lesion = np.zeros(SHAPE, np.uint8)
    lesion[12:18, 20:26, 14:20] = 4
    for name, words in (("one", ("t1", "t1ce", "t2", "flair")), ("two", ("t2",))):
        for word in words:
            path = tmp_path / "cases" / "HGG" / name / f"{name}_{word}.nii.gz"
            nifti.write(path, t1(), LPS)
        nifti.write(path.with_name(f"{name}_seg.nii.gz"), lesion, LPS)
    return tmp_path / "cases"


def test_maps_beside_links_make_a_data_set(dipy, folder, tmp_path, capsys):
    out = tmp_path / "out"
    assert tissues.main([str(folder), "--out", str(out), "--jobs", "1"]) == 3
    printed = capsys.readouterr().out
    assert "refused  two: " in printed and "cases: 2, refused: 1" in printed
    (case,) = sources.load("brats_tissues").find_cases(out)
    assert len(case.files) == 6
    volumes = sources.load("brats_tissues").read_case(case)
    lesion = nifti.read(case.label.path).data > 0
    assert (volumes.label[lesion] == 3).all()
    names = [label.name for label in brats_tissues.LABELS]
    for name, tissue in (("csf", CSF), ("grey", GREY), ("white", WHITE)):
        share = (volumes.label == names.index(name))[(truth() == tissue) & ~lesion]
        assert share.mean() > 0.96
    assert not nifti.read(case.tissues.path).data[lesion].any()


def test_maps_that_are_there_are_left_alone(dipy, folder):
    path = folder / "HGG" / "one" / "one_tissues.nii.gz"
    assert tissues.main([str(folder), "--jobs", "1"]) == 3
    assert (
        path.is_file() and not (folder / "HGG" / "one" / "one_t1.nii.gz").is_symlink()
    )
    path.write_bytes(b"mine")
    assert tissues.main([str(folder), "--jobs", "1"]) == 3
    assert path.read_bytes() == b"mine"


@pytest.mark.parametrize("labelled", [True, False])
def test_maps_of_any_cases_make_a_table(dipy, tmp_path, labelled):
    lesion = np.zeros(SHAPE, np.uint8)
    lesion[12:18, 20:26, 14:20] = 7
    nifti.write(tmp_path / "in" / "t1.nii.gz", t1(), LPS)
    nifti.write(tmp_path / "in" / "lesion.nii.gz", lesion, LPS)
    text = "case,patient,T1w,label\nx,anna,t1.nii.gz,lesion.nii.gz\n"
    if not labelled:
        text = "case,patient,T1w\nx,anna,t1.nii.gz\n"
    (tmp_path / "in" / "all.csv").write_text(text)
    where = ["--source", "table", "--image", "T1w", "--jobs", "1"]
    assert tissues.main([str(tmp_path / "in"), *where]) == 2  # No --out.
    out = tmp_path / "out"
    assert tissues.main([str(tmp_path / "in"), *where, "--out", str(out)]) == 0
    source = sources.load("table")
    modalities, labels = source.describe(out)
    assert modalities == ("T1w",)
    names = [label.name for label in labels]
    assert names == ["background", *["label_7"] * labelled, "white", "grey", "csf"]
    (case,) = source.find_cases(out)
    assert (case.name, case.patient) == ("x", "anna")
    found = source.read_case(case).label
    inside = lesion > 0 if labelled else np.zeros(SHAPE, bool)
    assert (found[inside] == 1).all()
    for name, tissue in (("csf", CSF), ("grey", GREY), ("white", WHITE)):
        share = (found == names.index(name))[(truth() == tissue) & ~inside]
        assert share.mean() > 0.96


def test_an_image_that_is_not_there_is_answered_with_those_that_are(folder, capsys):
    pytest.importorskip("dipy")
    assert tissues.main([str(folder), "--image", "T1w"]) == 2
    assert "t1, t1ce, t2, flair" in capsys.readouterr().err
