"""What is made of stored slices on the accelerator, inside the training step.

Slices travel as they are stored, quantised and with label indices; everything that
makes them larger (floats, one-hot maps, boundaries) is computed where it is used.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, PRNGKeyArray, UInt16
import numpy as np

from jaxsyn.data.augment import NONE, Augment
from jaxsyn.data.cache import Cache
from jaxsyn.data.preprocess import LEVELS
from jaxsyn.data.subset import Subset
from jaxsyn.spec import DataSpec

Batch = dict[str, jax.Array]


def put(cache: Cache | Subset, sharding: jax.sharding.Sharding | None = None) -> Batch:
    """Puts a whole part on the accelerators, a copy on each unless told otherwise.

    Pass the result to the jitted step as an argument and `gather` from it there.
    """
    keys = ("image", "label", "position")
    arrays = {key: np.asarray(getattr(cache, key)) for key in keys}
    if sharding is None:
        return jax.device_put(arrays)
    # All processes hold all of it; `device_put` would compare them, byte for byte.
    return jax.tree.map(
        lambda x: jax.make_array_from_process_local_data(sharding, x, x.shape), arrays
    )


def gather(resident: Batch, rows: Integer[Array, " b"]) -> Batch:
    """Takes the slices of a batch from those that `put` put there."""
    return {name: array[rows] for name, array in resident.items()}


def features(
    image: UInt16[Array, "b ... c"],
    label: Integer[Array, "b ..."],
    spec: DataSpec,
    key: PRNGKeyArray | None = None,
    augment: Augment = NONE,
) -> Batch:
    """Makes the batch that systems are given.

    Args:
      image: Quantised intensities of slices [B, H, W, C] or volumes [B, D, H, W, C].
      label: Indices into the spec's labels.
      spec: The meaning of both.
      key: Decides the augmentation, and nothing else does.
      augment: How to augment.

    Returns:
      "image" float32 in [-1, 1], and what `label_features` gives.
    """
    image = image.astype(jnp.float32) / LEVELS * 2.0 - 1.0
    label = label.astype(jnp.int32)
    if augment != NONE:
        image, label = augment.apply(image, label, key)
    return {"image": image, **label_features(label, spec)}


def label_features(label: Integer[Array, "b ..."], spec: DataSpec) -> Batch:
    """What conditions a generator, of label maps [B, H, W] or [B, D, H, W] alone.

    Returns:
      "label" int32, of their shape; "one_hot" float32 [B, ..., L] and "boundary"
      float32 [B, ..., 1].
    """
    label = label.astype(jnp.int32)
    return {
        "label": label,
        "one_hot": jax.nn.one_hot(label, len(spec.labels)),
        "boundary": boundary_map(label),
    }


def boundary_map(label: Integer[Array, "b ..."]) -> Float[Array, "b ... 1"]:
    """1 where one of a pixel's four (a voxel's six) neighbours has another label.

    The outline of the brain is in it if the brain is a label. Beyond the image the
    labels go on as at its edge.
    """
    either = jnp.zeros(label.shape, bool)
    for axis in range(1, label.ndim):
        differs = jnp.diff(label, axis=axis) != 0
        for side in ((1, 0), (0, 1)):
            widths = [side if i == axis else (0, 0) for i in range(label.ndim)]
            either |= jnp.pad(differs, widths)
    return either[..., None].astype(jnp.float32)
