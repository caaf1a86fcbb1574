"""Where pixels lie in millimetres, and label maps carried from one case to another."""

import numpy as np

from jaxsyn.data.grid import Grid
from jaxsyn.data.preprocess import CaseInfo
from jaxsyn.synthesis.places import carry, middle, places_of


def info_of(shape, *, kept, side, size, top=0, left=0, spacing=(1.0, 1.0, 1.0)):
    """A case whose volume's axes are column, row and slice."""
    return CaseInfo(
        case="a",
        patient="a",
        kept=kept,
        intensities=(),
        grid=Grid(
            shape=shape,
            axes=(2, 1, 0),
            flips=(False, False, False),
            top=top,
            left=left,
            side=side,
            size=size,
        ),
        affine=tuple(map(tuple, np.diag([*spacing, 1.0]).tolist())),
    )


def test_places_are_counted_from_the_middle_of_the_image():
    # Columns 8 of 2 mm, rows 6 of 3 mm, slices 5 of 4 mm; a window of 4 beyond the top.
    info = info_of(
        (8, 6, 5), kept=(1, 4), side=4, size=4, top=-1, left=2, spacing=(2, 3, 4)
    )
    slices, rows, columns = places_of(info)
    np.testing.assert_allclose(slices, [-4, 8])
    np.testing.assert_allclose(rows, [-10.5, -7.5, -4.5, -1.5])
    np.testing.assert_allclose(columns, [-3, -1, 1, 3])


def test_places_of_pixels_that_were_resized():
    info = info_of((4, 4, 1), kept=(0,), side=4, size=2)
    slices, rows, columns = places_of(info)
    np.testing.assert_allclose(rows, [-1, 1])  # Each is two voxels wide.
    np.testing.assert_allclose(columns, rows)
    np.testing.assert_allclose(info.spacing_mm, (1, 2, 2))


def test_the_middle_of_a_mask():
    mask = np.zeros((3, 4, 5), bool)
    mask[1, 2, 0] = mask[2, 2, 3] = True
    places = np.array([0.0, 4.0, 8.0]), np.arange(4.0), np.array([0.0, 1, 2, 3, 9])
    np.testing.assert_allclose(middle(mask, places), [6.0, 2.0, 1.5])
    np.testing.assert_allclose(middle(np.zeros((3, 4, 5), bool), places), [0, 0, 0])


def test_labels_keep_their_place_whatever_the_grid():
    # A volume of 3 mm slices and 1 mm pixels, and one of 1 mm slices, 2 mm pixels,
    # whose window is cut out at another place.
    ours = info_of((6, 6, 3), kept=(0, 1, 2), side=6, size=6, spacing=(1, 1, 3))
    theirs = info_of((6, 6, 9), kept=(2, 3, 5), side=4, size=2, top=2, left=2)
    label = np.arange(1, 109, dtype=np.uint8).reshape(3, 6, 6)
    made = carry(label, places_of(ours), places_of(theirs), ours.spacing_mm)
    # Slices at -2, -1 and 1 mm are nearest to those at -3, 0 and 0; rows and columns
    # at 0 and 2 mm lie half between 2 and 3, and 4 and 5: the first is taken.
    expected = label[[0, 1, 1]][:, [2, 4]][:, :, [2, 4]]
    np.testing.assert_array_equal(made, expected)
    assert made.dtype == np.uint8


def test_there_is_nothing_beyond_an_image_and_in_its_gaps():
    label = np.ones((2, 2, 2), np.uint8)
    places = np.array([0.0, 3.0]), np.array([0.0, 1.0]), np.array([0.0, 1.0])
    onto = np.arange(5.0), np.array([-0.5, 1.6]), np.array([-1.0, 0.0, 1.0, 2.0])
    made = carry(label, places, onto, (1.0, 1.0, 1.0))
    np.testing.assert_array_equal(made[:, 0, 1], [1, 0, 0, 1, 0])
    np.testing.assert_array_equal(made[0], [[0, 1, 1, 0], [0, 0, 0, 0]])
