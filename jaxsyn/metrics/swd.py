"""The sliced Wasserstein distance of image patches, level by level.

Karras et al. 2018, https://arxiv.org/abs/1710.10196, section 5: patches of the
levels of a Laplacian pyramid are compared as point clouds, along random directions.
"""

from collections.abc import Iterator
import dataclasses

from jaxtyping import Float
import numpy as np
from scipy import ndimage

from jaxsyn.errors import UsageError

SMALLEST = 16  # Pixels of the last level.
PATCH = 7
PATCHES = 128  # Of each image and level.
REPEATS, DIRECTIONS = 4, 128
_BINOMIAL = np.array([1.0, 4.0, 6.0, 4.0, 1.0], np.float32) / 16.0
_IMAGES = 64  # Whose pyramids are held at a time.


@dataclasses.dataclass(frozen=True, kw_only=True)
class SlicedWasserstein:
    """Distances, times 1000 as they are usually printed.

    Attributes:
      levels: By side of the level in pixels, e.g. 256, 128, 64, 32, 16.
      average: Their mean.
      n: Images of each set.
    """

    levels: dict[int, float]
    average: float
    n: int


def sliced_wasserstein(
    real: Float[np.ndarray, "n h h c"],
    fake: Float[np.ndarray, "n h h c"],
    *,
    seed: int = 0,
) -> SlicedWasserstein:
    """Between equally many real and synthetic images.

    On each level, 128 patches of 7x7 pixels and three channels are taken of each
    image, normalised by mean and standard deviation of each channel over their own
    set, and projected on 4 times 128 random directions. The distance is the mean
    absolute difference of the sorted projections.

    Args:
      real: Of one channel, which stands for three equal ones, or of three; of any
        range, for the normalisation cancels it.
      fake: The same. To compare with published numbers of uint8 images, round.
      seed: Of patches and directions.

    Raises:
      UsageError: Shapes differ, or sides are not 16 times a power of two.
    """
    _check(real, fake)
    rng = np.random.default_rng(seed)
    clouds = zip(_patches(real, rng), _patches(fake, rng), strict=True)
    levels = {
        side: 1000.0 * _distance(_normalise(a), _normalise(b), rng)
        for (side, a), (_, b) in clouds
    }
    average = float(np.mean(list(levels.values())))
    return SlicedWasserstein(levels=levels, average=average, n=len(real))


def _check(real, fake):
    shape = real.shape
    fit = shape == fake.shape and len(shape) == 4 and shape[-1] in (1, 3)
    if not fit or not len(real):
        raise UsageError(
            f"Real and synthetic images are {shape} and {fake.shape}.",
            hint="Both must be [N, H, H, 1 or 3], with the same N and H.",
        )
    factor, rest = divmod(shape[1], SMALLEST)
    if shape[1] != shape[2] or rest or factor.bit_count() != 1:
        raise UsageError(
            f"Images of {shape[1]}x{shape[2]} px have no pyramid down to {SMALLEST}.",
            hint="Sides must be equal, and 16, 32, 64, ... px.",
        )


def _patches(images, rng) -> Iterator[tuple[int, np.ndarray]]:
    """For each level its side and patches [N * 128, 49, C]."""
    levels: dict[int, list] = {}
    for start in range(0, len(images), _IMAGES):
        for level in pyramid(np.asarray(images[start : start + _IMAGES], np.float32)):
            levels.setdefault(level.shape[1], []).append(_draw(level, rng))
    for side in list(levels):
        yield side, np.concatenate(levels.pop(side))


def pyramid(
    images: Float[np.ndarray, "n h h c"],
) -> Iterator[Float[np.ndarray, "n _ _ c"]]:
    """What each level adds to the next smaller one, and last the smallest itself."""
    while images.shape[1] > SMALLEST:
        smaller = _blur(images)[:, ::2, ::2]
        spread = np.zeros_like(images)
        spread[:, ::2, ::2] = 4.0 * smaller  # Three of four pixels are zero.
        yield images - _blur(spread)
        images = smaller
    yield images


def _blur(images):
    for axis in (1, 2):
        images = ndimage.convolve1d(images, _BINOMIAL, axis=axis, mode="mirror")
    return images


def _draw(level, rng):
    """Patches at random places, anew for each image."""
    n, side, _, channels = level.shape
    rows, columns = rng.integers(0, side - PATCH + 1, (2, n, PATCHES, 1, 1))
    offsets = np.arange(PATCH)
    image = np.arange(n)[:, None, None, None]
    drawn = level[image, rows + offsets[:, None], columns + offsets]
    return drawn.reshape(n * PATCHES, PATCH**2, channels)


def _normalise(patches):
    mean = patches.mean((0, 1), dtype=np.float64)
    deviation = patches.std((0, 1), dtype=np.float64)
    if not deviation.all():
        raise UsageError(
            "All images are constant: they have no patches to compare.",
            hint="Look at them: a generator may have collapsed to one grey.",
        )
    return (patches - mean.astype(np.float32)) / deviation.astype(np.float32)


def _distance(a, b, rng):
    distances = []
    for _ in range(REPEATS):
        directions = rng.standard_normal((PATCH**2, 3, DIRECTIONS))
        directions /= np.sqrt((directions**2).sum((0, 1)))
        if a.shape[-1] == 1:
            # Of three equal channels, the projection is one channel on the sum.
            directions = directions.sum(1, keepdims=True)
        flat = directions.reshape(-1, DIRECTIONS).astype(np.float32)
        x, y = (np.sort(c.reshape(len(c), -1) @ flat, axis=0) for c in (a, b))
        distances.append(np.abs(x - y).mean(dtype=np.float64))
    return float(np.mean(distances))
