"""Normalisation, the choice of slices, and what is written down about them."""

import dataclasses
import json

import numpy as np
import pytest

from jaxsyn.data import preprocess
from jaxsyn.data.preprocess import CaseInfo, PrepareSettings
from jaxsyn.errors import DataError, UsageError
from toy_cases import volumes

SMALL = PrepareSettings(image_size=16, low_percentile=0.0, high_percentile=100.0)


def prepare(made, settings=SMALL):
    return preprocess.prepare_case(made, settings, case="c1", patient="p1")


def intensity_map(image, foreground, **settings):
    return preprocess.intensity_map(image, foreground, PrepareSettings(**settings))


def test_the_range_is_from_zero_to_a_percentile_of_the_brain():
    image = np.zeros((4, 5, 6), np.int16)
    foreground = np.zeros(image.shape, bool)
    foreground[:2, :5, :2] = True
    image[foreground] = np.arange(1, 21)
    found = intensity_map(image, foreground, low_percentile=10.0, high_percentile=50.0)
    assert (found.low, found.high) == (0.0, 10.5)
    # Where the background is not 0, the low end is a percentile as well.
    image[~foreground] = -7
    found = intensity_map(image, foreground, low_percentile=50.0, high_percentile=100.0)
    assert (found.low, found.high) == (10.5, 20.0)


def test_voxels_outside_the_brain_do_not_count():
    image = np.full((3, 3, 3), 1000, np.int16)
    foreground = np.zeros(image.shape, bool)
    foreground[0] = True
    image[0] = np.arange(9).reshape(3, 3)
    found = intensity_map(image, foreground, low_percentile=0.0, high_percentile=100.0)
    assert found.high == 8.0


def test_a_constant_or_absent_brain_is_refused():
    image = np.ones((2, 2, 2), np.int16)
    with pytest.raises(DataError, match="no brain"):
        intensity_map(image, image > 1)
    with pytest.raises(DataError, match="from 1.0 to 1.0 has no extent"):
        intensity_map(image, image > 0)


def test_a_z_score_is_a_range_about_the_mean():
    image = np.zeros((4, 5, 6), np.float32)
    foreground = np.zeros(image.shape, bool)
    foreground[:2] = True
    image[foreground] = np.tile([10.0, 30.0], 30)  # Mean 20, deviation 10.
    found = intensity_map(image, foreground, intensity="zscore", deviations=2.5)
    assert (found.low, found.high) == (-5.0, 45.0)
    assert found.apply(np.array([30.0])) == pytest.approx(1 / 2.5)


def test_a_window_is_the_same_for_all():
    image = np.arange(27).reshape(3, 3, 3) - 1000
    settings = {"intensity": "window", "window": (-160, 240)}
    found = intensity_map(image, image > -990, **settings)
    assert (found.low, found.high) == (-160, 240)
    with pytest.raises(UsageError, match="window is .*\n.*in rising order"):
        PrepareSettings(intensity="window", window=(240, -160))


def test_quantising_is_invertible():
    levels = np.arange(65536, dtype=np.uint16)
    np.testing.assert_array_equal(
        preprocess.quantise(preprocess.dequantise(levels)), levels
    )
    np.testing.assert_array_equal(
        preprocess.quantise(np.array([-1.0, 0.0, 1.0])), [0, 32768, 65535]
    )
    np.testing.assert_array_equal(
        preprocess.dequantise(np.array([0, 65535], np.uint16)), [-1.0, 1.0]
    )


def test_a_prepared_case_leads_back_to_its_volumes():
    made = volumes()
    prepared = prepare(made)
    info = prepared.info
    assert info.kept == (1, 2, 3)  # The first and last slice are empty.
    assert prepared.image.shape == (3, 16, 16, 4)
    assert (prepared.image.dtype, prepared.label.dtype) == (np.uint16, np.uint8)
    for channel, image in enumerate(made.images):
        intensities = info.intensities[channel]
        slices = intensities.invert(preprocess.dequantise(prepared.image[..., channel]))
        back = info.grid.volume(slices, info.kept, order="linear")
        step = (intensities.high - intensities.low) / 65535
        assert np.abs(back - image).max() <= 0.51 * step
    label = info.grid.volume(prepared.label, info.kept, order="nearest")
    np.testing.assert_array_equal(label, made.label)


def test_the_lesion_is_where_the_volume_has_it():
    prepared = prepare(volumes())
    # Columns 4-5, rows 5-7, of a 10 x 12 slice centred in 16 x 16: plus 3 and 2.
    expected = np.zeros((16, 16), bool)
    expected[7:10, 7:9] = True
    np.testing.assert_array_equal(prepared.label[1] == 1, expected)
    assert not (prepared.label[[0, 2]] == 1).any()


def test_outside_the_brain_images_are_black():
    made = volumes()
    bright = tuple(np.where(made.foreground, i, i.max()) for i in made.images)
    prepared = prepare(dataclasses.replace(made, images=bright))
    assert (prepared.image[prepared.label == 0] == 0).all()
    negative = tuple(i.astype(np.float32) - 100 for i in made.images)
    prepared = prepare(dataclasses.replace(made, images=negative))
    assert (prepared.image[prepared.label == 0] == 0).all()


def test_resized_images_and_labels_stay_together():
    made = volumes()
    settings = dataclasses.replace(SMALL, image_size=5, fit="resize", crop="brain")
    prepared = prepare(made, settings)
    assert prepared.image.shape == (3, 5, 5, 4)
    # Eight rows, six columns, margin 4: a window of 16 around the brain.
    assert prepared.info.grid.side == 16
    inside = prepared.image[..., 0] > 20000
    assert (prepared.label[inside] > 0).mean() > 0.9
    assert set(np.unique(prepared.label)) <= {0, 1, 4}


def test_slices_are_kept_by_their_share_of_brain():
    made = volumes()
    made.brain[:, :, 1] = made.label[:, :, 1] = False
    made.brain[2:4, 3, 1] = True  # 2 of 256 pixels.

    def keep(share):
        settings = dataclasses.replace(SMALL, min_foreground=share)
        return prepare(made, settings).info.kept

    assert keep(0.0) == (0, 1, 2, 3, 4)
    assert keep(2 / 256) == (1, 2, 3)
    assert keep(3 / 256) == (2, 3)
    with pytest.raises(DataError, match="No slice has 90.0% of its pixels"):
        keep(0.9)


def test_what_is_known_of_a_case_survives_json():
    info = prepare(volumes()).info
    assert CaseInfo.from_json(json.loads(json.dumps(info.to_json()))) == info


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"fit": "stretch"}, "Unknown fit 'stretch'.\n.*pad, resize"),
        ({"crop": "box"}, "Unknown crop"),
        ({"split": "scan"}, "Unknown split"),
        ({"image_size": 0}, "image_size is 0.\n.*positive"),
        ({"crop_margin": -1}, "crop_margin is -1"),
        ({"high_percentile": 101.0}, "between 0 and 100"),
        ({"min_foreground": 1.0}, "less than 1"),
        ({"fractions": (0.5, 0.2, 0.2)}, "add up to 1"),
        ({"fractions": (0.5, 0.5)}, "three shares"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        PrepareSettings(**wrong)
    with pytest.raises(TypeError, match="colour"):
        PrepareSettings(colour="red")
