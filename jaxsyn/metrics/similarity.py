"""How alike two images are, pixel by pixel and window by window.

For pairs: a synthetic image and the real one that its label map belongs to, or two
synthetic ones, whose mean MS-SSIM tells how diverse they are.
"""

from jaxtyping import Float
import numpy as np
from scipy import ndimage

from jaxsyn.errors import UsageError

SIDE = 11  # Of the window, whose weights are a normal curve's of this deviation:
SIGMA = 1.5
K1, K2 = 0.01, 0.03
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
SMALLEST = SIDE * 2 ** (len(SCALES) - 1)  # Side that MS-SSIM needs, in pixels.

Images = Float[np.ndarray, "n h w c"]
Scores = Float[np.ndarray, "n"]

_WINDOW = np.exp(-0.5 * ((np.arange(SIDE) - SIDE // 2) / SIGMA) ** 2)
_WINDOW /= _WINDOW.sum()


def psnr(real: Images, fake: Images, *, data_range: float) -> Scores:
    """Peak signal-to-noise ratio in dB; infinite where a pair is equal.

    Args:
      real: Images.
      fake: Their counterparts.
      data_range: The difference of the highest and lowest possible intensity: 2 for
        images in [-1, 1].

    Raises:
      UsageError: Shapes differ.
    """
    real, fake = _check(real, fake)
    error = ((real - fake) ** 2).mean((1, 2, 3))
    with np.errstate(divide="ignore"):
        return 10.0 * np.log10(data_range**2 / error)


def ssim(real: Images, fake: Images, *, data_range: float) -> Scores:
    """Structural similarity, -1 to 1; 1 where a pair is equal.

    Wang et al. 2004, https://doi.org/10.1109/TIP.2003.819861, equation 13: mean over
    channels and over all windows that lie in the image. It compares mean intensities
    by their ratio: map images in [-1, 1] to [0, 1] first.

    Args:
      real: Images of 11 px at least, not negative.
      fake: Their counterparts.
      data_range: As of `psnr`.

    Raises:
      UsageError: Shapes differ, or images are too small or negative.
    """
    real, fake = _check_windows(real, fake, SIDE)
    luminance, structure = _maps(real, fake, data_range)
    return (luminance * structure).mean((1, 2, 3))


def ms_ssim(real: Images, fake: Images, *, data_range: float) -> Scores:
    """Structural similarity over five scales, 0 to 1; 1 where a pair is equal.

    Wang et al. 2003, https://doi.org/10.1109/ACSSC.2003.1292216, equation 7. Between
    scales 2x2 pixels are averaged, and an odd last row or column is left out. A scale
    whose structures are opposed, on average, counts as 0.

    Args:
      real: Images of 176 px at least, not negative; see `ssim`.
      fake: Their counterparts.
      data_range: As of `psnr`.

    Raises:
      UsageError: Shapes differ, or images are too small or negative.
    """
    real, fake = _check_windows(real, fake, SMALLEST)
    score = 1.0
    for i, weight in enumerate(SCALES):
        luminance, structure = _maps(real, fake, data_range)
        last = i == len(SCALES) - 1
        scale = luminance * structure if last else structure
        score = score * np.maximum(scale.mean((1, 2)), 0.0) ** weight
        real, fake = _halve(real), _halve(fake)
    return score.mean(-1)


def _check(real, fake):
    real, fake = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    if real.shape != fake.shape or real.ndim != 4:
        raise UsageError(
            f"Pairs of images are {real.shape} and {fake.shape}, not both [N, H, W, C]."
        )
    return real, fake


def _check_windows(real, fake, smallest):
    real, fake = _check(real, fake)
    if min(real.shape[1:3]) < smallest:
        raise UsageError(
            f"Images of {real.shape[1]}x{real.shape[2]} px are too small.",
            hint=f"This measure needs {smallest} px at least.",
        )
    if min(real.min(), fake.min()) < 0:
        raise UsageError(
            "Images hold negative intensities, whose means have no ratio.",
            hint="Map [-1, 1] to [0, 1], with a data_range of 1.",
        )
    return real, fake


def _maps(x, y, data_range):
    """The two factors of the similarity, for each window."""
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    mean_x, mean_y = _local_mean(x), _local_mean(y)
    variances = _local_mean(x * x) - mean_x**2 + _local_mean(y * y) - mean_y**2
    covariance = _local_mean(x * y) - mean_x * mean_y
    luminance = (2.0 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return luminance, (2.0 * covariance + c2) / (variances + c2)


def _local_mean(x):
    """Weighted mean of each window that lies in the image."""
    for axis in (1, 2):
        x = ndimage.correlate1d(x, _WINDOW, axis=axis)
    edge = SIDE // 2
    return x[:, edge:-edge, edge:-edge]


def _halve(x):
    n, h, w, c = x.shape
    x = x[:, : h // 2 * 2, : w // 2 * 2]
    return x.reshape(n, h // 2, 2, w // 2, 2, c).mean((2, 4))
