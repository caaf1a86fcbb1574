"""Atlases: what brains look like at each height, from the base to the vertex.

A height is that of a slice among the slices of its case: 0 is the lowest, 1 the
highest. An atlas has bins, whose centres are at equal distances from 0 to 1.
"""

from collections.abc import Iterable
from typing import Any

from jaxtyping import Float32, Num
import numpy as np

from jaxsyn.data import nifti
from jaxsyn.data.grid import Grid
from jaxsyn.data.preprocess import PrepareSettings, dequantise, intensity_map
from jaxsyn.errors import DataError
from jaxsyn.spec import DataSpec

MODALITY = "{modality}"


def mean_by_height(
    images: Iterable[Num[np.ndarray, "..."]],
    heights: Float32[np.ndarray, " n"],
    bins: int,
) -> Float32[np.ndarray, "k ..."]:
    """The mean of the images that are nearest to each bin's centre.

    A bin without any is like the nearest one that has some, the lower of two.

    Args:
      images: N of them, each looked at once.
      heights: Theirs, 0 to 1.
      bins: K.
    """
    bin_of = np.rint(np.clip(heights, 0, 1) * (bins - 1)).astype(int)
    counts = np.bincount(bin_of, minlength=bins)
    sums = {}
    for k, image in zip(bin_of, images, strict=True):
        sums[k] = sums.get(k, 0.0) + image
    means = {k: (total / counts[k]).astype(np.float32) for k, total in sums.items()}
    filled = np.flatnonzero(counts)
    nearest = np.abs(np.arange(bins)[:, None] - filled).argmin(axis=1)
    return np.stack([means[k] for k in filled[nearest]])


def of_slices(slices: Any, bins: int) -> Float32[np.ndarray, "k h w c"]:
    """The mean slice at each height, in [-1, 1].

    Args:
      slices: A `Cache`, or what has its "image" and "position".
      bins: How many heights.
    """
    return dequantise(mean_by_height(slices.image, slices.position, bins))


def of_file(path: str, spec: DataSpec, bins: int) -> Float32[np.ndarray, "k h w c"]:
    """An atlas from elsewhere, normalised as training volumes are.

    Args:
      path: A 4-D NIfTI file with a channel for each modality, in their order; or,
        with `{modality}` in its name, a 3-D file for each. Its lowest slice is at
        height 0, its highest at 1, and they lie as prepared slices do.
      spec: What modalities there are, and how large slices are.
      bins: How many heights.

    Raises:
      DataError: A file cannot be read, or its channels or its slices are not such as
        those of the data.
    """
    channels = [_slices(*channel, spec) for channel in _channels(path, spec)]
    images = np.stack(channels, axis=-1)
    return mean_by_height(images, np.linspace(0, 1, len(images)), bins)


def _channels(path, spec):
    """For each modality the voxels and the volume they are of."""
    if MODALITY not in path:
        volume = nifti.read(path, channels=True)
        _check_count(volume, spec)
        return [(data, volume) for data in np.moveaxis(volume.data, -1, 0)]
    volumes = [nifti.read(path.replace(MODALITY, name)) for name in spec.modalities]
    for other in volumes[1:]:
        _check_aligned(volumes[0], other)
    return [(volume.data, volume) for volume in volumes]


def _slices(data, volume, spec):
    """Voxels [X, Y, Z] as slices [N, H, W] in [-1, 1]."""
    grid = Grid.lay(volume.affine, data, size=max(data.shape))
    slices = grid.orient(data)
    _check_size(volume, slices.shape[1:], spec.image_size)
    intensities = intensity_map(slices, slices > slices.min(), PrepareSettings())
    return intensities.apply(slices)


def _check_count(volume, spec):
    found, expected = volume.data.shape[-1], len(spec.modalities)
    if found != expected:
        raise DataError(
            f"The atlas {volume.path} has {found} channels, the data have {expected}:"
            f" {', '.join(spec.modalities)}.",
            hint="Give it a channel for each modality, in this order.",
        )


def _check_size(volume, sides, size):
    if sides != (size, size):
        raise DataError(
            f"Slices of the atlas {volume.path} have {sides[0]}x{sides[1]} pixels,"
            f" those of the data {size}x{size}.",
            hint="Crop, pad or resample it as the data were prepared.",
        )


def _check_aligned(first, other):
    shapes = first.data.shape, other.data.shape
    if shapes[0] != shapes[1] or (
        nifti.distance_mm(first.affine, other.affine, shapes[0]) > nifti.TOLERANCE_MM
    ):
        raise DataError(
            f"{other.path} {shapes[1]} does not lie on the grid of {first.path}"
            f" {shapes[0]}.",
            hint="Resample all modalities of the atlas to one of them.",
        )
