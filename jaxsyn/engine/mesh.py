"""Where arrays live: batches split over all devices, the rest on each, or split too.

Under `jit` a batch sharded like this is one global batch: means, batch statistics
and gradients run over all of it, whatever the number of devices.
"""

from collections.abc import Sequence
import dataclasses
import math
from typing import Any

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxsyn.errors import UsageError

# What of a state is split over the devices (ZeRO, https://arxiv.org/abs/1910.02054,
# whose stages 1 and 3 they are), by the word in config.train.shard.
SHARDED = {
    "none": (),
    "optimizer": ("opt", "ema"),
    "all": ("opt", "ema", "params"),
}


@dataclasses.dataclass(frozen=True)
class Layout:
    """The shardings of a data-parallel run.

    Attributes:
      mesh: All devices, along one axis called `data`.
      shard: What of the state is split, one of `SHARDED`; the rest is on each device.
    """

    mesh: jax.sharding.Mesh
    shard: str = "none"

    @classmethod
    def over(
        cls, devices: Sequence[jax.Device] | None = None, shard: str = "none"
    ) -> "Layout":
        """A layout over `devices`; over all there are by default."""
        devices = jax.devices() if devices is None else devices
        # Ordinary modules cannot run under the default, explicit axes.
        axes = (len(devices),), ("data",), (AxisType.Auto,)
        return cls(jax.make_mesh(*axes, devices=devices), shard)

    @property
    def batch(self) -> NamedSharding:
        """Splits the leading axis."""
        return NamedSharding(self.mesh, PartitionSpec("data"))

    @property
    def replicated(self) -> NamedSharding:
        """A copy on each device."""
        return NamedSharding(self.mesh, PartitionSpec())

    @property
    def batches(self) -> NamedSharding:
        """Splits the second axis: of several batches, one after another."""
        return NamedSharding(self.mesh, PartitionSpec(None, "data"))

    def of_state(self, state: Any) -> Any:
        """The sharding of every array of a `TrainState`, concrete or abstract."""

        def sharding(path, array):
            split = path[0].name in SHARDED[self.shard]
            return self._split(array.shape) if split else self.replicated

        return jax.tree_util.tree_map_with_path(sharding, state)

    def put_batches(self, local: Any) -> Any:
        """Makes global batches of which this process holds its own part.

        Args:
          local: Arrays [K, b, ...]: K batches.
        """
        return jax.tree.map(
            lambda x: jax.make_array_from_process_local_data(self.batches, x), local
        )

    def put_batch(self, local: Any) -> Any:
        """Makes the global batch of which this process holds its own part."""
        return jax.tree.map(
            lambda x: jax.make_array_from_process_local_data(self.batch, x), local
        )

    def check_batch_size(self, batch_size: int, accumulate: int = 1) -> None:
        """Raises UsageError unless every device gets as many images as the others."""
        parts = self.mesh.size * accumulate
        if batch_size % parts:
            raise UsageError(
                f"A batch of {batch_size} cannot be split over {self.mesh.size} devices"
                f" and {accumulate} micro-batches.",
                hint=f"Make config.train.batch_size a multiple of {parts}.",
            )

    def _split(self, shape):
        """Along the longest axis that all devices get as much of, if there is one."""
        _, axis = max(
            ((n, i) for i, n in enumerate(shape) if n and n % self.mesh.size == 0),
            default=(0, None),
        )
        if axis is None:
            return self.replicated
        return NamedSharding(self.mesh, PartitionSpec(*[None] * axis, "data"))


def bytes_on_each(state: Any) -> tuple[int, int]:
    """What a state takes on each device: as it lies there, and were nothing split."""
    here = whole = 0
    for array in jax.tree.leaves(state):
        shard = array.sharding.shard_shape(array.shape)
        here += math.prod(shard) * array.dtype.itemsize
        whole += array.size * array.dtype.itemsize
    return here, whole
