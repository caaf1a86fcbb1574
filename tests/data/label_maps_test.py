"""Data sets without images: from files of label maps to batches."""

import jax
import numpy as np
import pytest

from case_files import LPS, SHAPE, segmentation, write_brats
from jaxsyn.data import check, nifti, pipeline, sources
from jaxsyn.data.augment import Augment
from jaxsyn.data.blocks import Blocks
from jaxsyn.data.feed import DataSettings, Feed
from jaxsyn.data.sources import brats_tumour
from jaxsyn.errors import DataError

SOURCE = sources.load("label_maps")


def write(root, name, label):
    nifti.write(root / f"{name}.nii.gz", label, LPS)


@pytest.fixture
def folder(tmp_path):
    """Four segmentations, each in its own place; the last lacks a class."""
    root = tmp_path / "maps"
    write(root, "BraTS2021_00001_seg", segmentation())
    write(root, "BraTS-GLI-00002-000-seg", np.flip(segmentation(enhancing=3), 0))
    write_brats(root / "more", "BraTS2021_00003")
    write(root, "BraTS2021_00004_seg", np.minimum(segmentation(), 2) % 2)
    return root


def test_label_maps_are_found_wherever_they_lie(folder):
    cases = SOURCE.find_cases(folder)
    assert [(case.name, case.patient) for case in cases] == [
        ("BraTS-GLI-00002-000", "BraTS-GLI-00002"),
        ("BraTS2021_00001", "BraTS2021_00001"),
        ("BraTS2021_00004", "BraTS2021_00004"),
        ("BraTS2021_00003", "BraTS2021_00003"),
    ]
    modalities, labels = SOURCE.describe(folder)
    assert modalities == ()
    assert [label.name for label in labels] == [
        "background",
        "necrotic",
        "oedema",
        "enhancing",
    ]


def test_the_foreground_is_what_has_a_label(folder):
    volumes = SOURCE.read_case(SOURCE.find_cases(folder)[1])
    assert volumes.images == () and volumes.notes == ()
    np.testing.assert_array_equal(volumes.label, np.minimum(segmentation(), 3))
    np.testing.assert_array_equal(volumes.foreground, segmentation() > 0)


def test_4_is_no_enhancing_tumour_from_2023_on(tmp_path):
    write(tmp_path, "BraTS-GLI-00002-000-seg", segmentation(enhancing=4))
    (case,) = SOURCE.find_cases(tmp_path)
    with pytest.raises(DataError, match=r"label values \[4\] are outside"):
        SOURCE.read_case(case)


def test_equal_label_maps_are_noted(folder):
    *_, last = check.check_cases(SOURCE.find_cases(folder), brats_tumour.LABELS, jobs=1)
    assert last.name == "BraTS2021_00003" and "BraTS2021_00001" in last.notes[0]


@pytest.fixture
def data(folder):
    return DataSettings.from_config(
        {
            "source": "label_maps",
            "source_dir": str(folder),
            "jobs": 1,
            "prepare": {
                "image_size": 8,
                "min_foreground": 1e-9,
                "fractions": (0.75, 0.25, 0.0),
            },
        }
    )


def test_they_become_batches_without_channels(data, tmp_path):
    prepared = data.open(tmp_path / "out")
    # Slices with a lesion: two of every case but the last, which has one.
    assert sum(prepared.counts.values()) == 7
    assert prepared.spec.modalities == prepared.spec.intensities == ()
    cache = prepared.cache("train")
    assert cache.image.shape == (len(cache), 8, 8, 0)
    for reader in ("tf.data", "thread"):
        raw = next(pipeline.batches(cache, batch_size=4, seed=0, reader=reader))
        assert raw["image"].shape == (4, 8, 8, 0) and raw["label"].max() > 0


@pytest.mark.parametrize("resides", [False, True])
def test_they_are_fed_and_augmented(data, tmp_path, resides):
    prepared = data.open(tmp_path / "out")
    cache = prepared.cache("train")
    augment = Augment(flip=0.5, rotate=5.0)
    feed = Feed(cache, prepared.spec, seed=0, resides=resides, augment=augment)
    raw = next(feed.batches(0, 4))
    batch = jax.jit(feed.prepare)(raw, feed.resident, jax.random.key(0))
    assert batch["image"].shape == (4, 8, 8, 0)
    assert batch["one_hot"].shape == (4, 8, 8, 4) and batch["one_hot"][..., 1:].any()
    blocks = Blocks(cache, 2)
    assert blocks.image[[0]].shape == (1, 2, 8, 8, 0)


def test_a_crop_is_around_what_has_a_label(folder, tmp_path):
    data = DataSettings.from_config(
        {
            "source": "label_maps",
            "source_dir": str(folder),
            "jobs": 1,
            "prepare": {
                "image_size": 4,
                "fit": "resize",
                "crop": "brain",
                "crop_margin": 0,
                "min_foreground": 1e-9,
            },
        }
    )
    grid = data.open(tmp_path / "out").cases["BraTS2021_00001"].grid
    assert grid.shape == SHAPE and grid.side == 2


def test_the_real_ones_are_found(real_data):
    assert len(SOURCE.find_cases(real_data / "brats2021_labels")) == 43
    assert len(SOURCE.find_cases(real_data / "brats2021")) == 5
