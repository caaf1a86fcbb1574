import numpy as np

from jaxsyn.samples import telling_slices


def maps(*areas):
    """A label map for each dictionary of pixels by label; the rest is background."""
    made = np.zeros((len(areas), 10, 10), np.uint8)
    for label_map, area in zip(made, areas, strict=True):
        start = 0
        for label, pixels in area.items():
            label_map.ravel()[start : start + pixels] = label
            start += pixels
    return made


def test_more_classes_and_larger_lesions_come_first():
    labels = maps({4: 50}, {4: 50, 2: 5}, {4: 50, 2: 9}, {4: 40, 2: 5, 1: 2})
    chosen = telling_slices(labels, ["a"] * 4, 2)
    np.testing.assert_array_equal(chosen, [2, 3])


def test_every_case_has_its_turn():
    labels = maps({4: 50, 2: 9}, {4: 50, 2: 8}, {4: 50})
    chosen = telling_slices(labels, ["a", "a", "b"], 2)
    np.testing.assert_array_equal(chosen, [0, 2])


def test_all_if_there_are_few():
    chosen = telling_slices(maps({}, {4: 1}), ["a", "b"], 6)
    np.testing.assert_array_equal(chosen, [0, 1])
