"""What of a volume is patient."""

import numpy as np
import pytest

from jaxsyn.data import foregrounds


def test_any_image_that_is_not_zero_counts():
    first, second = np.zeros((2, 3, 4, 5))
    first[0, 0, 0], second[1, 1, 1] = 7, -1
    found = foregrounds.find((first, second), first.shape)
    assert np.argwhere(found).tolist() == [[0, 0, 0], [1, 1, 1]]
    assert foregrounds.find((first,), first.shape, "all").all()
    for method in foregrounds.FOREGROUNDS:
        assert not foregrounds.find((), (3, 4, 5), method).any()


@pytest.mark.parametrize("air, body", [(-1000, 40), (3, 300)])
def test_a_body_is_found_in_noise_with_its_holes(air, body):
    rng = np.random.default_rng(0)
    inside = np.zeros((20, 24, 6), bool)
    inside[4:14, 5:20] = True
    image = np.where(inside, body, air) + rng.normal(
        0, abs(body - air) / 20, (20, 24, 6)
    )
    image[8:10, 9:12] = air  # As in the nose, or in lungs.
    image[18, 22, 3] = body  # As of a cable.
    np.testing.assert_array_equal(
        foregrounds.find((image,), image.shape, "otsu"), inside
    )


def test_the_threshold_is_otsus():
    # By hand: of 6 zeros, 2 ones and 4 tens the variance between classes is largest
    # between 1 and 10.
    values = np.repeat([0.0, 1.0, 10.0], [6, 2, 4])
    assert 1.0 < foregrounds.otsu(values) < 10.0
    assert (values > foregrounds.otsu(values)).sum() == 4
