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
