"""How the square slices of a case lie in its volume, and the way back.

Slices are shown upright in the radiological convention. The first row of an axial one
is anterior, the first column the patient's right, and slice 0 is the most inferior. A
coronal one has the superior first and right first, and slice 0 is the most posterior; a
sagittal one has the superior first and anterior first, and slice 0 is the leftmost.
Of each slice a square window is taken, which may reach beyond the image, and
resized if its side is not the one asked for. Voxels are taken to be as wide as high.
"""

import dataclasses
import functools
from typing import Any, Literal

from jaxtyping import Num, Shaped
from nibabel import orientations
import numpy as np

from jaxsyn.errors import DataError, UsageError

Order = Literal["linear", "nearest"]
Plane = Literal["axial", "coronal", "sagittal"]

# World axes and directions of (slice, row, column), for RAS+ coordinates.
PLANES = {
    "axial": ((2, 1), (1, -1), (0, -1)),
    "coronal": ((1, 1), (2, -1), (0, -1)),
    "sagittal": ((0, 1), (2, -1), (1, -1)),
}
_ANISOTROPY = 1.05  # Of a slice's pixels; more, and heads would look squashed.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grid:
    """Where slices are in a volume.

    Attributes:
      shape: Voxels of the volume along its own axes.
      axes: Axes of the volume that become slice, row and column.
      flips: Whether slices, rows and columns run against their axis.
      top: Row of the window's first pixel, negative where it reaches beyond.
      left: Column of the window's first pixel.
      side: Side of the window, in voxels.
      size: Side of the prepared slice, in pixels.
    """

    shape: tuple[int, int, int]
    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    top: int
    left: int
    side: int
    size: int

    @classmethod
    def lay(
        cls,
        affine: np.ndarray,
        foreground: Shaped[np.ndarray, "x y z"],
        *,
        size: int,
        fit: Literal["pad", "resize"] = "pad",
        crop: Literal["none", "brain"] = "none",
        margin: int = 0,
        plane: Plane = "axial",
    ) -> "Grid":
        """Lays the slices of a case.

        Args:
          affine: 4×4, from voxel indices to RAS+ millimetres.
          foreground: Where the brain is; true or false.
          size: Side of the prepared slices, in pixels.
          fit: Keep the voxels' size and centre the window, or resize it.
          crop: Let the window hold the whole image, or the brain in all slices.
          margin: Voxels around the brain, if cropped to it.
          plane: "axial", "coronal" or "sagittal".

        Raises:
          UsageError: The image does not fit and must not be resized.
          DataError: The brain does not fit, or there is none; or slices in this
            plane have oblong pixels.
        """
        view = cls.upright(affine, foreground.shape, plane)
        _check_square(affine, view.axes, plane)
        rows, columns = (foreground.shape[axis] for axis in view.axes[1:])
        spans = [(0, rows), (0, columns)]
        if crop == "brain":
            seen = view.orient(foreground).any(axis=0)
            spans = [_span(seen.any(axis=1)), _span(seen.any(axis=0))]
            spans = [(first - margin, last + margin) for first, last in spans]
        extent = max(last - first for first, last in spans)
        side = size if fit == "pad" else extent
        if extent > side:
            raise (DataError if crop == "brain" else UsageError)(
                f"{'A brain' if crop == 'brain' else 'An image'} of {extent} pixels"
                f" cannot be padded to {size}.",
                hint=f'Set image_size to at least {extent}, or fit to "resize".',
            )
        top, left = (first - (side - last + first) // 2 for first, last in spans)
        return dataclasses.replace(view, top=top, left=left, side=side, size=size)

    @classmethod
    def upright(
        cls, affine: np.ndarray, shape: tuple[int, int, int], plane: Plane = "axial"
    ) -> "Grid":
        """The slices of a volume in a plane, from its upper left corner on, uncut.

        Raises:
          DataError: The affine does not span space.
        """
        axes, flips = _orientation(affine, plane)
        side = max(shape[axis] for axis in axes[1:])
        return cls(
            shape=tuple(shape),
            axes=axes,
            flips=flips,
            top=0,
            left=0,
            side=side,
            size=side,
        )

    def orient(self, volume: Shaped[np.ndarray, "x y z"]) -> np.ndarray:
        """The volume as [slice, row, column], uncut; a view."""
        steps = tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)
        return volume.transpose(self.axes)[steps]

    def slices(
        self, volume: Shaped[np.ndarray, "x y z"], kept: Any, fill: float = 0
    ) -> Shaped[np.ndarray, "n s s"]:
        """Takes the window out of the slices `kept`, at the volume's resolution.

        Args:
          volume: Voxels along the file's axes.
          kept: Slice indices, a sequence or a Python slice.
          fill: What pixels beyond the image hold.

        Returns:
          [N, side, side], in the volume's dtype.
        """
        oriented = self.orient(volume)[kept]
        n, *extent = oriented.shape
        source, target = self._overlap(extent)
        window = np.full((n, self.side, self.side), fill, volume.dtype)
        window[:, *target] = oriented[:, *source]
        return window

    def shrink(self, window: Num[np.ndarray, "n s s"], order: Order) -> np.ndarray:
        """Resizes windows [N, side, side] to slices [N, size, size]."""
        return resize(window, self.size, order)

    def volume(
        self,
        slices: Num[np.ndarray, "n h w"],
        kept: Any,
        *,
        order: Order,
        fill: float = 0,
    ) -> Num[np.ndarray, "x y z"]:
        """Puts prepared slices back into the volume they came from.

        Args:
          slices: [N, size, size].
          kept: Their indices, in the same order.
          order: "linear" for images (then float32), "nearest" for labels.
          fill: What voxels outside the window and in other slices hold.
        """
        window = resize(slices, self.side, order)
        volume = np.full(self.shape, fill, window.dtype)
        oriented = self.orient(volume)
        source, target = self._overlap(oriented.shape[1:])
        oriented[kept, *source] = window[:, *target]
        return volume

    def to_json(self) -> dict[str, Any]:
        """A dictionary that `json` can write."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Grid":
        """Reads what `to_json` gave, after a trip through JSON."""
        lists = {k: tuple(v) for k, v in data.items() if isinstance(v, list | tuple)}
        return cls(**{**data, **lists})

    def _overlap(self, extent):
        """Slices of the image, and of the window, where the two overlap."""
        starts = (self.top, self.left)
        source = tuple(
            slice(max(s, 0), min(s + self.side, e))
            for s, e in zip(starts, extent, strict=True)
        )
        target = tuple(
            slice(part.start - s, part.stop - s)
            for s, part in zip(starts, source, strict=True)
        )
        return source, target


def resize(images: Num[np.ndarray, "n h w"], size: int, order: Order) -> np.ndarray:
    """Resizes square images about their common centre.

    Args:
      images: [N, side, side].
      size: The new side.
      order: "linear" is bilinear, smoothed as much as it shrinks, and gives
        float32; "nearest" keeps values and dtype.

    Returns:
      [N, size, size]; the images themselves if the side is right.
    """
    side = images.shape[-1]
    if side == size:
        return images
    if order == "nearest":
        nearest = ((np.arange(size) + 0.5) * side / size).astype(int)
        return images[:, nearest[:, None], nearest]
    weights = _weights(side, size)
    return weights @ images.astype(np.float32) @ weights.T


@functools.lru_cache(maxsize=8)
def _weights(side: int, size: int) -> np.ndarray:
    """Bilinear weights [size, side] with pixel centres at halves."""
    scale = side / size
    centres = (np.arange(size) + 0.5) * scale - 0.5
    distance = np.abs(centres[:, None] - np.arange(side)) / max(scale, 1.0)
    weights = np.maximum(1.0 - distance, 0.0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _orientation(affine, plane):
    """Volume axes that become slice, row and column, and whether each is flipped."""
    found = orientations.io_orientation(affine)
    if np.isnan(found).any():
        raise DataError(
            "The affine of a volume does not span space.",
            hint="Write its header anew: no axis may have length 0.",
        )
    world = {int(axis): (i, int(sign)) for i, (axis, sign) in enumerate(found)}
    axes = tuple(world[axis][0] for axis, _ in PLANES[plane])
    flips = tuple(world[axis][1] != sign for axis, sign in PLANES[plane])
    return axes, flips


def _check_square(affine, axes, plane):
    spacing = np.linalg.norm(np.asarray(affine)[:3, :3], axis=0)
    height, width = (float(spacing[axis]) for axis in axes[1:])
    if max(height, width) > _ANISOTROPY * min(height, width):
        raise DataError(
            f"Pixels of its {plane} slices are {height:.3g} by {width:.3g} mm.",
            hint='Make them square: config.data.prepare.steps=({"name": "resample",'
            f' "spacing_mm": {min(height, width):.3g}}},), or take slices in another'
            " plane.",
        )


def _span(seen):
    """First true position and the one after the last."""
    where = np.flatnonzero(seen)
    if not where.size:
        raise DataError(
            "There is no brain in the images: every voxel is background.",
            hint="Check the files, or leave the case out.",
        )
    return int(where[0]), int(where[-1]) + 1
