"""Made-up patients: what is common to all, what is their own, and slices of both."""

import numpy as np
from scipy import ndimage


def make(patients: int, slices: int = 6, *, size: int = 64, channels=2, seed: int = 0):
    """Images [patients * slices, size, size, channels] in [-1, 1], and whose each is.

    Patients of all seeds share half of their anatomy; slices of one are alike.
    """
    common = _fields(np.random.default_rng(99), (slices, channels), size, along=3.0)
    rng = np.random.default_rng(seed)
    rows, columns = (np.mgrid[:size, :size] + 0.5) / size - 0.5
    made = []
    for _ in range(patients):
        own = _fields(rng, (slices, channels), size, along=3.0)
        radius = rng.uniform(0.38, 0.44, 2)
        head = np.hypot(rows / radius[0], columns / radius[1]) < 1.0
        inside = np.clip(0.4 * common + 0.4 * own, -0.9, 0.9)
        made.append(np.where(head, inside, -1.0))
    images = np.concatenate(made).transpose(0, 2, 3, 1).astype(np.float32)
    return images, np.repeat(np.arange(patients), slices)


def _fields(rng, shape, size, *, along):
    noise = rng.normal(size=(*shape, size, size))
    smooth = ndimage.gaussian_filter(noise, (along, 0.0, size / 20, size / 20))
    return smooth / smooth.std()


def _gamma(images):
    return 2.0 * ((images + 1.0) / 2.0) ** 1.3 - 1.0


def _noisy(images):
    noise = np.random.default_rng(7).normal(scale=0.1, size=images.shape)
    return np.clip(images + noise, -1, 1).astype(np.float32)


def _turned(images, angle):
    return ndimage.rotate(
        images, angle, axes=(1, 2), reshape=False, order=1, mode="nearest"
    )


# Ways to change a copy so that no pixel is as it was.
CHANGES = {
    "none": lambda x: x,
    "mirrored": lambda x: x[:, :, ::-1],
    "shifted": lambda x: np.roll(x, (3, -4), axis=(1, 2)),
    "turned": lambda x: _turned(x, 5.0),
    "turned and mirrored": lambda x: _turned(x[:, :, ::-1], -8.0),
    "brighter": lambda x: np.clip(1.2 * x + 0.1, -1, 1),
    "darker": lambda x: 0.7 * x - 0.3,
    "gamma": _gamma,
    "noisy": _noisy,
    "all": lambda x: _noisy(_gamma(np.roll(_turned(x, 4.0), (2, 2), axis=(1, 2)))),
}
