"""Slices in a volume: which way up, where the window lies, and the way back."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from jaxsyn.data.grid import Grid, resize
from jaxsyn.errors import DataError, UsageError

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
RAS = np.eye(4)


def everywhere(shape):
    return np.ones(shape, bool)


RIGHT, ANTERIOR, SUPERIOR = range(3)


@pytest.mark.parametrize("affine", [LPS, RAS, np.diag([2.0, -2.0, -2.0, 1.0])])
@pytest.mark.parametrize(
    "plane, slices, rows, columns",
    [
        ("axial", (SUPERIOR, 1), (ANTERIOR, -1), (RIGHT, -1)),
        ("coronal", (ANTERIOR, 1), (SUPERIOR, -1), (RIGHT, -1)),
        ("sagittal", (RIGHT, 1), (SUPERIOR, -1), (ANTERIOR, -1)),
    ],
)
def test_slices_are_shown_upright_with_the_patients_right_on_the_left(
    affine, plane, slices, rows, columns
):
    shape = (4, 5, 3)
    world = affine[:3, :3] @ np.indices(shape).reshape(3, -1)
    grid = Grid.lay(affine, everywhere(shape), size=5, plane=plane)
    for axis, (direction, sign) in enumerate((slices, rows, columns)):
        volume = world[direction].reshape(shape)
        steps = np.diff(grid.orient(volume), axis=axis)
        assert (np.sign(steps) == sign).all()


@pytest.mark.parametrize("plane", ["coronal", "sagittal"])
def test_oblong_pixels_are_refused_and_those_of_other_planes_are_none(plane):
    thick = np.diag([1.0, 1.0, 5.0, 1.0])
    Grid.lay(thick, everywhere((4, 5, 3)), size=5)
    with pytest.raises(DataError, match=f"{plane} slices are 5 by 1.*\n.*resample"):
        Grid.lay(thick, everywhere((4, 5, 3)), size=5, plane=plane)


def test_axes_that_are_stored_in_another_order_are_found():
    sagittal = np.array([[0, 0, -1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])
    grid = Grid.lay(sagittal, everywhere((2, 3, 4)), size=4)
    # The file runs posterior, inferior, left.
    assert (grid.axes, grid.flips) == ((1, 0, 2), (True, False, False))
    assert grid.orient(np.zeros((2, 3, 4))).shape == (3, 2, 4)


def test_padding_is_centred():
    volume = np.arange(1, 13).reshape(3, 4, 1)  # 3 columns, 4 rows.
    grid = Grid.lay(LPS, everywhere(volume.shape), size=6)
    expected = np.zeros((6, 6), int)
    expected[1:5, 1:4] = volume[:, :, 0].T
    # An odd rest: one pixel more is added on the right.
    np.testing.assert_array_equal(grid.slices(volume, [0])[0], expected)


def test_the_box_around_the_brain_is_square_and_holds_all_slices():
    foreground = np.zeros((10, 10, 2), bool)
    foreground[3, 2:8, 0] = True  # Column 3, rows 2 to 7.
    foreground[5, 4, 1] = True  # Column 5.
    grid = Grid.lay(LPS, foreground, size=8, fit="resize", crop="brain", margin=1)
    # Rows 1 to 8 make the side 8; 3 columns are added to 2-6, the odd one after.
    assert (grid.top, grid.left, grid.side) == (1, 1, 8)
    grid = Grid.lay(LPS, foreground, size=4, fit="resize", crop="brain", margin=0)
    assert (grid.side, grid.size) == (6, 4)


def test_a_box_may_reach_beyond_the_image():
    foreground = np.zeros((4, 4, 1), bool)
    foreground[0, 0] = True
    grid = Grid.lay(LPS, foreground, size=3, fit="resize", crop="brain", margin=1)
    window = grid.slices(np.arange(16).reshape(4, 4, 1), [0], fill=-1)
    np.testing.assert_array_equal(window[0], [[-1, -1, -1], [-1, 0, 4], [-1, 1, 5]])


@pytest.mark.parametrize("crop", ["none", "brain"])
@pytest.mark.parametrize("affine", [LPS, RAS])
def test_slices_go_back_to_where_they_came_from(affine, crop):
    rng = np.random.default_rng(0)
    volume = np.zeros((9, 7, 5), np.int16)
    volume[2:7, 1:6] = rng.integers(1, 99, (5, 5, 5))
    grid = Grid.lay(affine, volume > 0, size=12, crop=crop, margin=2)
    kept = [1, 3]
    slices = grid.shrink(grid.slices(volume, kept), "nearest")
    assert slices.shape == (2, 12, 12)
    back = grid.volume(slices, kept, order="nearest", fill=-1)
    expected = np.full_like(volume, -1)
    grid.orient(expected)[kept] = grid.orient(volume)[kept]
    np.testing.assert_array_equal(back, expected)


def test_a_shrunken_slice_goes_back_to_its_place():
    volume = np.zeros((8, 8, 1), np.uint8)
    volume[2:6, 4:8] = 1  # Columns 2 to 5, rows 4 to 7: whole blocks of two.
    grid = Grid.lay(LPS, everywhere(volume.shape), size=4, fit="resize")
    small = grid.shrink(grid.slices(volume, [0]), "nearest")
    np.testing.assert_array_equal(
        small[0], [[0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0]]
    )
    back = grid.volume(small, [0], order="nearest")
    np.testing.assert_array_equal(back, volume)


def test_a_grid_survives_json():
    grid = Grid.lay(LPS, everywhere((4, 5, 3)), size=8)
    assert Grid.from_json(json.loads(json.dumps(dataclasses.asdict(grid)))) == grid


def test_an_image_too_large_to_pad_is_refused():
    with pytest.raises(UsageError, match=r"image of 7 pixels cannot be padded to 6"):
        Grid.lay(LPS, everywhere((7, 5, 3)), size=6)
    with pytest.raises(DataError, match=r"brain of 9 pixels.*\n.*at least 9, or fit"):
        Grid.lay(LPS, everywhere((7, 5, 3)), size=8, crop="brain", margin=1)


def test_a_volume_without_brain_or_space_is_refused():
    with pytest.raises(DataError, match="no brain"):
        Grid.lay(LPS, np.zeros((3, 3, 3), bool), size=8, crop="brain")
    with pytest.raises(DataError, match="does not span space"):
        Grid.lay(np.diag([1.0, 0, 1, 1]), everywhere((3, 3, 3)), size=8)


def test_shrinking_by_two_averages_as_a_triangle_does():
    row = np.array([0, 0, 8, 0, 0, 0, 0, 0], np.float32)
    images = np.broadcast_to(row, (1, 8, 8))
    # Weights of the second pixel, centred between columns 2 and 3: 1/8, 3/8, 3/8, 1/8.
    inner = resize(images, 4, "linear")[0, 1]
    np.testing.assert_allclose(inner, [8 / 7, 3, 0, 0], rtol=1e-6)


@pytest.mark.parametrize(
    "side, size", [(10, 9), (9, 20), (240, 64), (7, 1), (2, 3), (240, 256)]
)
def test_resizing_agrees_with_jax(side, size):
    images = np.random.default_rng(side).normal(size=(2, side, side))
    images = images.astype(np.float32)
    ours = resize(images, size, "linear")
    theirs = jax.image.resize(images, (2, size, size), "linear", antialias=True)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_nearest_keeps_values_and_dtype():
    labels = np.array([[[1, 2], [3, 4]]], np.uint8)
    large = resize(labels, 4, "nearest")
    assert large.dtype == np.uint8
    np.testing.assert_array_equal(large[0, ::3, ::3], labels[0])
    np.testing.assert_array_equal(resize(large, 2, "nearest"), labels)
