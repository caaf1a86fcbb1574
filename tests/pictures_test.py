import numpy as np
from PIL import Image

from jaxsyn import pictures
from jaxsyn.spec import Label

LABELS = (Label(name="a", colour=(0, 0, 0)), Label(name="b", colour=(255, 0, 9)))


def test_labels_take_their_colours():
    painted = pictures.colour_labels(np.array([[0, 1]]), LABELS)
    np.testing.assert_array_equal(painted, [[[0, 0, 0], [255, 0, 9]]])


def test_grey_levels():
    level = pictures.grey(np.array([[-1.0, 0.0, 1.0, 2.0]]))
    np.testing.assert_array_equal(level[0, :, 0], [0, 128, 255, 255])
    assert level.shape == (1, 4, 3)


def test_a_grid_enlarges_by_whole_factors_and_keeps_cells(tmp_path):
    cells = [[np.full((4, 4, 3), 10 * i + j, np.uint8) for j in (1, 2)] for i in (1, 2)]
    sheet = pictures.grid(cells, ["one", "two"], min_cell=10)
    path = pictures.save(sheet, tmp_path / "deep" / "sheet.png")
    pixels = np.asarray(Image.open(path))
    side, gap, top = 12, pictures.GAP, 22 + pictures.GAP
    for i in (0, 1):
        for j in (0, 1):
            row, column = top + i * (side + gap), gap + j * (side + gap)
            cell = pixels[row : row + side, column : column + side]
            assert (cell == 10 * (i + 1) + j + 1).all()
    assert [p.name for p in path.parent.iterdir()] == ["sheet.png"]


def test_cuts_go_through_the_middle_of_what_is_shown():
    volume = np.zeros((4, 8, 8), np.uint8)
    volume[2:4, 5, 1] = 7  # The two uppermost slices.
    centre = pictures.busiest(volume > 0)
    assert centre == (2, 5, 1)
    axial, coronal, sagittal = pictures.cuts(volume, centre, 8)
    assert np.argwhere(axial).tolist() == [[5, 1]]
    # Half as many slices as columns: they lie in the middle, the uppermost on top.
    assert np.argwhere(coronal).tolist() == [[2, 1], [3, 1]]
    assert np.argwhere(sagittal).tolist() == [[2, 5], [3, 5]]
    thick = pictures.cuts(volume, centre, 8, spacing_mm=(2, 1, 1))[1]
    assert np.argwhere(thick).tolist() == [[0, 1], [1, 1], [2, 1], [3, 1]]
