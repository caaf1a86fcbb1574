import numpy as np
import pytest

from jaxsyn.data.blocks import Blocks, block_slices
from jaxsyn.data.cache import Cache


def cache(**counts):
    """Cases of that many slices; slice i of the set holds i + 1 everywhere."""
    rows = tuple((case, 10 + i) for case, n in counts.items() for i in range(n))
    values = np.arange(1, len(rows) + 1)
    image = np.broadcast_to(values[:, None, None, None], (len(rows), 2, 2, 3))
    return Cache(
        image=image.astype(np.uint16),
        label=image[..., 0].astype(np.uint8),
        rows=rows,
    )


@pytest.mark.parametrize(
    ("count", "depth", "expected"),
    [
        (4, 4, [[0, 1, 2, 3]]),
        (2, 4, [[0, 1, -1, -1]]),
        (7, 4, [[0, 1, 2, 3], [2, 3, 4, 5], [3, 4, 5, 6]]),
        (2, 1, [[0], [1]]),
    ],
)
def test_which_slices_are_in_which_block(count, depth, expected):
    np.testing.assert_array_equal(block_slices(count, depth), expected)


@pytest.mark.parametrize("count", range(1, 20))
def test_every_slice_is_in_a_block(count):
    blocks = block_slices(count, 6)
    assert set(blocks[blocks >= 0]) == set(range(count))


def test_blocks_do_not_mix_cases_and_are_filled_with_background():
    blocks = Blocks(cache(a=5, b=2), 4)
    assert blocks.rows == (("a", 10), ("a", 11), ("b", 10))
    assert len(blocks) == 3
    image, label = blocks.image[np.array([1, 2])], blocks.label[np.array([1, 2])]
    assert image.shape == (2, 4, 2, 2, 3) and image.dtype == np.uint16
    np.testing.assert_array_equal(image[:, :, 0, 0, 0], [[2, 3, 4, 5], [6, 7, 0, 0]])
    np.testing.assert_array_equal(label[:, :, 1, 1], [[2, 3, 4, 5], [6, 7, 0, 0]])
