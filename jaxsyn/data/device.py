"""What is made of stored slices on the accelerator, inside the training step.

Slices travel as they are stored, quantised and with label indices; everything that
makes them larger (floats, one-hot maps, boundaries) is computed where it is used.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy import ndimage
from jaxtyping import Array, Float, Int, Integer, PRNGKeyArray, UInt16

from jaxsyn.data.cache import Cache
from jaxsyn.data.preprocess import LEVELS
from jaxsyn.errors import UsageError
from jaxsyn.spec import DataSpec

Batch = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Augment:
    """Random changes of training slices, drawn anew for each.

    Images are interpolated bilinearly, labels take the nearest value; what comes in
    from beyond the image is background.

    Attributes:
      flip: Probability of exchanging left and right.
      shift: Largest shift along rows and columns, as a fraction of the image.
      rotate: Largest rotation about the centre, in degrees.
      zoom: Smallest and largest magnification.
    """

    flip: float = 0.5
    shift: float = 0.0
    rotate: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self):
        if not (
            0 <= self.flip <= 1
            and 0 <= self.shift <= 1
            and 0 <= self.rotate <= 180
            and 0 < self.zoom[0] <= self.zoom[1]
        ):
            raise UsageError(
                f"{self} makes no sense.",
                hint="flip and shift lie between 0 and 1, rotate between 0 and 180"
                " degrees, zoom is (smallest, largest).",
            )

    @property
    def warps(self) -> bool:
        """Whether slices are resampled at all."""
        return bool(self.shift or self.rotate or tuple(self.zoom) != (1.0, 1.0))


NONE = Augment(flip=0.0)


def put(cache: Cache, sharding: jax.sharding.Sharding | None = None) -> Batch:
    """Puts a whole part on the accelerators, a copy on each unless told otherwise.

    Pass the result to the jitted step as an argument and `gather` from it there.
    """
    arrays = {"image": cache.image, "label": cache.label}
    return jax.device_put(arrays, sharding)


def gather(resident: Batch, rows: Integer[Array, " b"]) -> Batch:
    """Takes the slices of a batch from those that `put` put there."""
    return {name: array[rows] for name, array in resident.items()}


def features(
    image: UInt16[Array, "b h w c"],
    label: Integer[Array, "b h w"],
    spec: DataSpec,
    key: PRNGKeyArray | None = None,
    augment: Augment = NONE,
) -> Batch:
    """Makes the batch that systems are given.

    Args:
      image: Quantised intensities.
      label: Indices into the spec's labels.
      spec: The meaning of both.
      key: Decides the augmentation, and nothing else does.
      augment: How to augment.

    Returns:
      "image" float32 [B, H, W, C] in [-1, 1], and what `label_features` gives.
    """
    image = image.astype(jnp.float32) / LEVELS * 2.0 - 1.0
    label = label.astype(jnp.int32)
    if augment != NONE:
        image, label = _augment(image, label, key, augment)
    return {"image": image, **label_features(label, spec)}


def label_features(label: Integer[Array, "b h w"], spec: DataSpec) -> Batch:
    """What conditions a generator, of label maps alone.

    Returns:
      "label" int32 [B, H, W], "one_hot" float32 [B, H, W, L] and "boundary" float32
      [B, H, W, 1].
    """
    label = label.astype(jnp.int32)
    return {
        "label": label,
        "one_hot": jax.nn.one_hot(label, len(spec.labels)),
        "boundary": boundary_map(label),
    }


def boundary_map(label: Integer[Array, "b h w"]) -> Float[Array, "b h w 1"]:
    """1 where one of a pixel's four neighbours has another label, 0 elsewhere.

    The outline of the brain is in it if the brain is a label. Beyond the image the
    labels go on as at its edge.
    """
    across = label[:, 1:] != label[:, :-1]  # [B, H-1, W]
    along = label[:, :, 1:] != label[:, :, :-1]  # [B, H, W-1]
    either = (
        jnp.pad(across, ((0, 0), (1, 0), (0, 0)))
        | jnp.pad(across, ((0, 0), (0, 1), (0, 0)))
        | jnp.pad(along, ((0, 0), (0, 0), (1, 0)))
        | jnp.pad(along, ((0, 0), (0, 0), (0, 1)))
    )
    return either[..., None].astype(jnp.float32)


def _augment(image, label, key, augment):
    """Flips, then warps, each slice and its labels alike."""
    count = image.shape[0]
    flip_key, warp_key = jax.random.split(key)
    flipped = jax.random.bernoulli(flip_key, augment.flip, (count,))[:, None, None]
    image = jnp.where(flipped[..., None], image[:, :, ::-1], image)
    label = jnp.where(flipped, label[:, :, ::-1], label)
    if not augment.warps:
        return image, label
    coordinates = jax.vmap(_coordinates, (0, None, None))(
        jax.random.split(warp_key, count), augment, image.shape[1:3]
    )
    return jax.vmap(_warp)(image, label, coordinates)


def _coordinates(
    key: PRNGKeyArray, augment: Augment, shape: tuple[int, int]
) -> Float[Array, "2 h w"]:
    """Where each pixel of a warped slice comes from."""
    shift_key, angle_key, zoom_key = jax.random.split(key, 3)
    shift = jax.random.uniform(shift_key, (2,), minval=-1.0) * augment.shift
    angle = jax.random.uniform(angle_key, minval=-1.0) * jnp.deg2rad(augment.rotate)
    low, high = augment.zoom
    zoom = jax.random.uniform(zoom_key, minval=low, maxval=high)
    extent = jnp.array(shape, jnp.float32)[:, None, None]
    centre = (extent - 1.0) / 2.0
    grid = jnp.stack(jnp.meshgrid(*map(jnp.arange, shape), indexing="ij"))
    offset = (grid - centre - shift[:, None, None] * extent) / zoom
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    turn = jnp.array([[cos, -sin], [sin, cos]])
    # Highest precision: elsewhere than on a CPU, products would round to 8 bits.
    return jnp.einsum("ij,jhw->ihw", turn, offset, precision="highest") + centre


def _warp(
    image: Float[Array, "h w c"], label: Int[Array, "h w"], coordinates: Any
) -> tuple[jax.Array, jax.Array]:
    """Takes a slice and its labels at other coordinates."""

    def sample(channel):
        return ndimage.map_coordinates(channel, coordinates, order=1, cval=-1.0)

    warped = jax.vmap(sample, in_axes=-1, out_axes=-1)(image)
    return warped, ndimage.map_coordinates(label, coordinates, order=0, cval=0)
