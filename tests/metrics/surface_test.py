"""Surface distances by hand, and what must not change them."""

import math

import numpy as np
import pytest
from scipy import ndimage

from jaxsyn.errors import DataError, UsageError
from jaxsyn.metrics.surface import SurfaceSettings, border, surface_distances

MEANS = SurfaceSettings(hd="mean", hd95="max", assd="mean")


def measures(distances, settings):
    return [getattr(distances, name)(settings) for name in ("hd", "hd95", "assd")]


def points(shape, *indices):
    """A mask of single voxels."""
    mask = np.zeros(shape, bool)
    mask[tuple(np.transpose(indices))] = True
    return mask


@pytest.fixture
def blobs():
    """Two irregular masks [X, Y, Z] of several parts that overlap."""
    noise = np.random.default_rng(1).standard_normal((2, 14, 17, 15))
    first, second = ndimage.gaussian_filter(noise, (0, 2, 2, 2))
    return first > 0.02, first + 0.5 * second > 0.03


def test_two_voxels_three_mm_apart():
    distances = surface_distances(
        points((4, 9, 5), (1, 2, 2)),
        points((4, 9, 5), (1, 4, 2)),
        spacing=(9.0, 1.5, 9.0),
    )
    for settings in (SurfaceSettings(), MEANS):
        assert measures(distances, settings) == [3.0, 3.0, 3.0]
    assert distances.nsd(SurfaceSettings(tolerance_mm=2.99)) == 0.0
    assert distances.nsd(SurfaceSettings(tolerance_mm=3.0)) == 1.0


def test_directions_that_differ_by_hand():
    # One voxel against itself and another, 4 mm away: 0 there, 0 and 4 back.
    distances = surface_distances(
        points((3, 8), (1, 1)), points((3, 8), (1, 1), (1, 5)), spacing=(1.0, 1.0)
    )
    np.testing.assert_array_equal(distances.to_reference, [0.0])
    np.testing.assert_array_equal(distances.to_prediction, [0.0, 4.0])
    # Ranks of 0, 0, 4 at 95 %: 1.9, so 0.9 of the way to 4; of 0, 4: 0.95 of it.
    np.testing.assert_allclose(
        measures(distances, SurfaceSettings()), [4.0, 3.6, 4.0 / 3]
    )
    np.testing.assert_allclose(measures(distances, MEANS), [2.0, 3.8, 1.0])
    assert distances.nsd() == 2 / 3


def test_a_border_is_what_touches_the_outside_by_a_face():
    square = np.zeros((6, 6), bool)
    square[1:5, 1:5] = True
    inner = np.zeros_like(square)
    inner[2:4, 2:4] = True
    np.testing.assert_array_equal(border(square), square & ~inner)
    full = np.ones((3, 3, 3), bool)  # Beyond the array is outside.
    assert np.flatnonzero(~border(full)).tolist() == [13]


def test_borders_and_distances_are_those_of_erosion_and_a_distance_transform(blobs):
    mm = (2.5, 1.0, 0.7)
    prediction, reference = (mask & ~ndimage.binary_erosion(mask) for mask in blobs)
    distances = surface_distances(*blobs, spacing=mm)
    for found, here, there in (
        (distances.to_reference, prediction, reference),
        (distances.to_prediction, reference, prediction),
    ):
        expected = ndimage.distance_transform_edt(~there, sampling=mm)[here]
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_neither_order_nor_axes_nor_padding_matter_and_spacing_scales(blobs):
    mm = np.array([2.5, 1.0, 0.7])
    given = surface_distances(*blobs, spacing=mm)
    back = surface_distances(*blobs[::-1], spacing=mm)
    turned = surface_distances(*(mask.T for mask in blobs), spacing=mm[::-1])
    padded = surface_distances(*(np.pad(mask, 3) for mask in blobs), spacing=mm)
    larger = surface_distances(*blobs, spacing=3 * mm)
    for settings in (SurfaceSettings(), MEANS):
        expected = np.array(measures(given, settings))
        assert (expected > 0).all()
        for same in (back, turned, padded):
            np.testing.assert_allclose(measures(same, settings), expected)
        np.testing.assert_allclose(measures(larger, settings), 3 * expected)


def test_a_mask_has_no_distance_from_itself(blobs):
    distances = surface_distances(blobs[0], blobs[0], spacing=(1.0, 1.0, 1.0))
    assert measures(distances, SurfaceSettings()) == [0.0, 0.0, 0.0]
    assert distances.nsd(SurfaceSettings(tolerance_mm=0.0)) == 1.0


def test_empty_masks_have_no_distances():
    empty, one = np.zeros((4, 4), bool), points((4, 4), (1, 1), (1, 2))
    for pair in ((empty, empty), (one, empty), (empty, one)):
        distances = surface_distances(*pair, spacing=(1.0, 1.0))
        for settings in (SurfaceSettings(), MEANS):
            assert np.isnan(measures(distances, settings)).all()
    assert distances.nsd() == 0.0  # All of a border is off.
    assert math.isnan(surface_distances(empty, empty, spacing=(1.0, 1.0)).nsd())


@pytest.mark.parametrize("spacing", [(1.0,), (1.0, 1.0, 1.0), (1.0, 0.0), (1, np.nan)])
def test_spacing_that_does_not_fit_is_refused(spacing):
    mask = points((4, 4), (1, 1))
    with pytest.raises(DataError, match="does not fit 2 axes"):
        surface_distances(mask, mask, spacing=spacing)


@pytest.mark.parametrize(
    "settings", [{"hd": "pooled"}, {"hd95": "mean"}, {"assd": "max"}]
)
def test_unknown_definitions_are_refused(settings):
    with pytest.raises(UsageError, match="is no definition of it"):
        SurfaceSettings(**settings)
    with pytest.raises(UsageError, match="tolerance of -1 mm"):
        SurfaceSettings(tolerance_mm=-1)
