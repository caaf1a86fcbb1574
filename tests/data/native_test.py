"""From one voxel grid to another, and back."""

import numpy as np
import pytest

from jaxsyn.data.native import Native, resample

AFFINE = np.diag([-1.0, -1.0, 1.0, 1.0])


def ramp(shape, affine):
    """A volume whose values are linear in millimetres."""
    index = np.stack([*np.indices(shape), np.ones(shape)])
    x, y, z, _ = np.einsum("ij,j...->i...", affine, index)
    return x + 2 * y - z


@pytest.mark.parametrize(
    "to_affine",
    [
        np.array([[0, 0.5, 0, -6], [-0.5, 0, 0, -2], [0, 0, 0.5, 2], [0, 0, 0, 1.0]]),
        np.array([[-1, 0.1, 0, -3], [0, -1, 0, -2], [0, 0, 1, 2], [0, 0, 0, 1.0]]),
    ],
    ids=["turned", "sheared"],
)
def test_what_is_linear_in_space_stays_so(to_affine):
    shape = (6, 5, 4)
    found = resample(
        ramp((12, 11, 10), AFFINE), AFFINE, shape, to_affine, order="linear", fill=99
    )
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, ramp(shape, to_affine), atol=1e-4)


def test_labels_stay_labels_and_beyond_the_volume_there_is_the_fill():
    label = np.random.default_rng(0).integers(2, 5, (4, 4, 4)).astype(np.uint8)
    to_affine = AFFINE @ np.diag([0.5, 0.5, 0.5, 1.0])
    found = resample(label, AFFINE, (10, 8, 8), to_affine, order="nearest", fill=7)
    assert found.dtype == np.uint8 and set(np.unique(found)) == {2, 3, 4, 7}
    np.testing.assert_array_equal(found[:8:2, ::2, ::2], label)
    assert (found[8:] == 7).all()


def test_a_coarser_grid_holds_means():
    # The mean of 4 voxels in turn 0 and 4 is 2; single ones would be 0 or 4.
    stripes = np.tile([0.0, 4.0], 12)[:, None, None] * np.ones((1, 6, 6))
    to_affine = AFFINE @ np.diag([4.0, 1.0, 1.0, 1.0])
    found = resample(stripes, AFFINE, (6, 6, 6), to_affine, order="linear")
    np.testing.assert_allclose(found[1:-1], 2.0, atol=0.05)


def test_a_volume_goes_back_to_the_files_grid_by_the_transform():
    move = np.eye(4)
    move[:3, 3] = 2.0, -1.0, 1.0
    native = Native(
        shape=(8, 8, 8),
        affine=tuple(map(tuple, AFFINE.tolist())),
        transform=tuple(map(tuple, move.tolist())),
    )
    volume = np.zeros((8, 8, 8), np.uint8)
    volume[4, 4, 4] = 3  # At (-4, -4, 4) mm, in the files at (-2, -5, 5) mm.
    found = native.carry(volume, AFFINE, order="nearest")
    assert np.argwhere(found).tolist() == [[2, 5, 5]]
