"""Similarities: golden values of other libraries, numbers by hand."""

import numpy as np
import pytest

from jaxsyn.errors import UsageError
from jaxsyn.metrics.similarity import ms_ssim, psnr, ssim


def pair(height, width):
    """Two pairs of images in [0, 1] with two channels, by a formula."""
    y, x, i, c = np.ogrid[:height, :width, :2, :2]
    a = np.sin(0.2 * y * (i + 1) + 0.13 * x) * np.cos(0.05 * x * (c + 1))
    b = 0.8 * a + 0.2 * np.cos(0.31 * x + 0.07 * y * (c + 1))
    return tuple((v.transpose(2, 0, 1, 3) + 1) / 2 for v in (a, b))


def test_ssim_and_psnr_agree_with_scikit_image():
    # scikit-image 0.26: structural_similarity(gaussian_weights=True, sigma=1.5,
    # use_sample_covariance=False, data_range=1.0, channel_axis=-1) and
    # peak_signal_noise_ratio(data_range=1.0).
    real, fake = pair(40, 56)
    found = ssim(real, fake, data_range=1.0)
    np.testing.assert_allclose(found, [0.7631863523331606, 0.8681084433805971], 1e-9)
    found = psnr(real, fake, data_range=1.0)
    np.testing.assert_allclose(found, [21.01826362857588, 21.397125802660575], 1e-9)


def test_ms_ssim_agrees_with_pytorch_msssim():
    # pytorch-msssim: ms_ssim(data_range=1.0, size_average=False).
    found = ms_ssim(*pair(192, 176), data_range=1.0)
    np.testing.assert_allclose(found, [0.901080811661281, 0.8875453323978508], 1e-5)


def test_equal_images_are_most_alike():
    image = pair(176, 180)[0]
    np.testing.assert_allclose(ssim(image, image, data_range=1.0), 1.0)
    np.testing.assert_allclose(ms_ssim(image, image, data_range=1.0), 1.0)
    assert np.isinf(psnr(image, image, data_range=1.0)).all()


def test_psnr_by_hand():
    real = np.zeros((1, 2, 2, 1))
    assert psnr(real, real + 0.01, data_range=1.0) == pytest.approx(40.0)
    # Scaling images and range together changes nothing.
    assert psnr(100 * real, 100 * real + 1, data_range=100.0) == pytest.approx(40.0)


def test_opposed_structures_count_as_zero_not_as_nan():
    image = np.random.default_rng(0).uniform(0, 1, (1, 176, 176, 1))
    assert ssim(image, 1 - image, data_range=1.0) < 0
    assert ms_ssim(image, 1 - image, data_range=1.0) == 0


@pytest.mark.parametrize(("measure", "side"), [(ssim, 11), (ms_ssim, 176)])
def test_small_images_are_refused(measure, side):
    image = np.random.default_rng(0).uniform(0, 1, (1, side, side, 1))
    assert measure(image, image, data_range=1.0) == pytest.approx(1.0)
    with pytest.raises(UsageError, match=f"too small.*\n.*{side} px at least"):
        measure(image[:, 1:], image[:, 1:], data_range=1.0)


@pytest.mark.parametrize("measure", [ssim, ms_ssim])
def test_negative_intensities_are_refused(measure):
    image = pair(176, 176)[0]
    with pytest.raises(UsageError, match="negative.*\n.*Map .-1, 1. to .0, 1."):
        measure(image, 2 * image - 1, data_range=2.0)


@pytest.mark.parametrize("measure", [psnr, ssim, ms_ssim])
def test_pairs_that_do_not_fit_are_refused(measure):
    with pytest.raises(UsageError, match="Pairs of images"):
        measure(np.zeros((2, 8, 8, 1)), np.zeros((1, 8, 8, 1)), data_range=1.0)
