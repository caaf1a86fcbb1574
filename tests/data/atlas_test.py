import types

import numpy as np
import pytest

from fixtures import brats_spec
from jaxsyn.data import atlas, nifti
from jaxsyn.errors import DataError

SPEC = brats_spec(8, modalities=("t1", "t2"))
UPRIGHT = np.diag([-1.0, -1.0, 1.0, 1.0])  # Voxel axes are column, row and slice.


def volume(height=5):
    """Grey 100 in the first slice, 200 in the next, ...; 0 along the first row."""
    data = np.ones((8, 8, height), np.float32) * 100 * np.arange(1, height + 1)
    data[:, 0] = 0
    return data.astype(np.float32)


def test_means_are_of_the_nearest_images():
    images = np.array([1, 3, 10, 20], np.uint16)[:, None, None]
    heights = np.array([0.0, 0.12, 0.5, 1.0])  # Centres are 0, 1/4, ..., 1.
    means = atlas.mean_by_height(images, heights, 5)
    assert means.dtype == np.float32
    # Bins 1 and 3 have none: each takes after the lower of its neighbours.
    np.testing.assert_array_equal(means[:, 0, 0], [2, 2, 10, 10, 20])


def test_a_case_of_as_many_slices_is_the_atlas():
    images = np.arange(15)[:, None] * [1, 100]
    heights = np.linspace(0, 1, 15, dtype=np.float32)
    np.testing.assert_array_equal(atlas.mean_by_height(images, heights, 15), images)


def test_sums_of_many_large_values_are_exact():
    images = (np.full((1, 1), 65535, np.uint16) for _ in range(1000))
    means = atlas.mean_by_height(images, np.zeros(1000), 1)
    assert means[0, 0, 0] == 65535


def test_stored_slices_become_intensities():
    stored = types.SimpleNamespace(
        image=np.array([0, 65535, 65535], np.uint16).reshape(3, 1, 1, 1),
        position=np.array([0.0, 0.0, 1.0], np.float32),
    )
    np.testing.assert_allclose(atlas.of_slices(stored, 2).ravel(), [0, 1], atol=1e-6)


def test_a_file_lies_as_slices_do(tmp_path):
    data = volume()
    channels = np.stack([data, data[:, :, ::-1]], axis=-1)
    nifti.write(tmp_path / "a.nii", channels, UPRIGHT)
    found = atlas.of_file(str(tmp_path / "a.nii"), SPEC, 5)
    assert found.shape == (5, 8, 8, 2)
    # 100 to 500 of at most 500, so 1/5 to 5/5 of the way from -1 to 1.
    rising = np.array([0.2, 0.4, 0.6, 0.8, 1.0]) * 2 - 1
    np.testing.assert_allclose(found[:, 4, 4, 0], rising, atol=0.01)
    np.testing.assert_allclose(found[:, 4, 4, 1], rising[::-1], atol=0.01)
    np.testing.assert_array_equal(found[:, 0], -1)
    # The same brain, stored upside down.
    upside_down = UPRIGHT @ np.diag([1.0, 1.0, -1.0, 1.0])
    nifti.write(tmp_path / "b.nii", channels[:, :, ::-1], upside_down)
    again = atlas.of_file(str(tmp_path / "b.nii"), SPEC, 5)
    np.testing.assert_array_equal(again, found)


def test_fewer_heights_are_means_and_more_are_repeated(tmp_path):
    nifti.write(tmp_path / "a.nii", np.stack([volume()] * 2, axis=-1), UPRIGHT)
    few, many = (
        atlas.of_file(str(tmp_path / "a.nii"), SPEC, bins)[:, 4, 4, 0]
        for bins in (2, 9)
    )
    # Half of the way rounds to the even bin, the lower.
    np.testing.assert_allclose(few, [2 * 0.4 - 1, 2 * 0.9 - 1], atol=0.01)
    expected = np.array([1, 1, 2, 2, 3, 3, 4, 4, 5]) / 5 * 2 - 1
    np.testing.assert_allclose(many, expected, atol=0.01)


def test_a_file_for_each_modality(tmp_path):
    path = str(tmp_path / "atlas_{modality}.nii.gz")
    nifti.write(path.replace("{modality}", "t1"), volume(), UPRIGHT)
    nifti.write(path.replace("{modality}", "t2"), 7 * volume(), UPRIGHT)
    found = atlas.of_file(path, SPEC, 5)
    np.testing.assert_allclose(found[..., 0], found[..., 1], atol=1e-5)
    nifti.write(path.replace("{modality}", "t2"), volume(4), UPRIGHT)
    with pytest.raises(DataError, match=r"t2.*\(8, 8, 4\).*grid of .*t1.*\(8, 8, 5\)"):
        atlas.of_file(path, SPEC, 5)
    moved = UPRIGHT.copy()
    moved[0, 3] = 3
    nifti.write(path.replace("{modality}", "t2"), volume(), moved)
    with pytest.raises(DataError, match="does not lie on the grid"):
        atlas.of_file(path, SPEC, 5)


def test_files_of_other_data(tmp_path):
    path = tmp_path / "a.nii"
    nifti.write(path, np.stack([volume()] * 3, axis=-1), UPRIGHT)
    with pytest.raises(DataError, match="a.nii has 3 channels, the data have 2: t1"):
        atlas.of_file(str(path), SPEC, 5)
    nifti.write(path, np.stack([volume()] * 2, axis=-1)[:6], UPRIGHT)
    with pytest.raises(DataError, match="have 8x6 pixels, those of the data 8x8"):
        atlas.of_file(str(path), SPEC, 5)
    with pytest.raises(DataError, match="there is no such file"):
        atlas.of_file(str(tmp_path / "{modality}.nii"), SPEC, 5)
