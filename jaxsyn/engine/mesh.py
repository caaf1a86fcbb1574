"""Where arrays live: batches split over all devices, everything else on each.

Under `jit` a batch sharded like this is one global batch: means, batch statistics
and gradients run over all of it, whatever the number of devices.
"""

from collections.abc import Sequence
import dataclasses
from typing import Any

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxsyn.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Layout:
    """The shardings of a data-parallel run.

    Attributes:
      mesh: All devices, along one axis called `data`.
    """

    mesh: jax.sharding.Mesh

    @classmethod
    def over(cls, devices: Sequence[jax.Device] | None = None) -> "Layout":
        """A layout over `devices`; over all there are by default."""
        devices = jax.devices() if devices is None else devices
        return cls(
            # Ordinary modules cannot run under the default, explicit axes.
            jax.make_mesh((len(devices),), ("data",), (AxisType.Auto,), devices=devices)
        )

    @property
    def batch(self) -> NamedSharding:
        """Splits the leading axis."""
        return NamedSharding(self.mesh, PartitionSpec("data"))

    @property
    def replicated(self) -> NamedSharding:
        """A copy on each device."""
        return NamedSharding(self.mesh, PartitionSpec())

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
