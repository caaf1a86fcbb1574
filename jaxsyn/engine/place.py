"""Which of several processes this one is, by what the environment says."""

import os
import re
from typing import Any

from jaxsyn import errors

_VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


def find() -> dict[str, Any] | None:
    """Finds the place of this process among several.

    There are several if `JAX_COORDINATOR_ADDRESS` (host:port of process 0),
    `JAX_NUM_PROCESSES` and `JAX_PROCESS_ID` say so; or Slurm, when its step has more
    than one task. A task that is alone on its node is given all of the node's
    accelerators.

    Returns:
      Arguments of `jax.distributed.initialize`; None for a process alone.

    Raises:
      UsageError: The variables make no sense.
    """
    given = {name: os.environ.get(name, "") for name in _VARIABLES}
    if any(given.values()):
        return _as_told(given)
    tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", 1))
    if tasks == 1:
        return None
    alone = tasks == int(os.environ.get("SLURM_STEP_NUM_NODES", 1))
    devices = range(int(os.environ.get("SLURM_GPUS_ON_NODE", 0)))
    return {
        "num_processes": tasks,
        "process_id": int(os.environ["SLURM_PROCID"]),
        # None leaves a task the one accelerator of its place on the node.
        "local_device_ids": list(devices) if alone else None,
        "cluster_detection_method": "slurm",
    }


def _as_told(given):
    """The same from the three variables."""
    if missing := [name for name, value in given.items() if not value]:
        raise errors.UsageError(
            f"Of {', '.join(_VARIABLES)}, {' and '.join(missing)} is not set.",
            hint="Set all three in each process, or none; launch/multi_gpu.sh does.",
        )
    address, *numbers = given.values()
    well = re.fullmatch(r".+:\d+", address) and all(n.isdecimal() for n in numbers)
    processes, index = map(int, numbers) if well else (0, 0)
    if index >= processes:
        raise errors.UsageError(
            "No place among processes: "
            + ", ".join(f"{name}={value}" for name, value in given.items()),
            hint="Expected host:port, a number of processes, and one from 0 below it.",
        )
    if processes == 1:
        return None
    return {
        "coordinator_address": address,
        "num_processes": processes,
        "process_id": index,
        "cluster_detection_method": "deactivate",
    }
