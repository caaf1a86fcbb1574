"""Settings under which every test runs: strict, on four devices, compiled once."""

import os
from pathlib import Path
import tempfile

# Tiny networks compile longer than they run.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_force_host_platform_device_count="
    + os.environ.get("JAXSYN_TEST_DEVICES", "4")
    + " --xla_backend_optimization_level=0"
    # Four devices on few and busy cores may keep each other waiting for long.
    + " --xla_cpu_collective_call_terminate_timeout_seconds=600"
    + " --xla_cpu_collective_timeout_seconds=600"
)
# XLA makes as many threads, at most; exchanges between devices hold some of them, and
# with one for each device two exchanges at a time may wait for each other for ever.
os.environ.setdefault("NPROC", "16")
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR",
    str(Path(tempfile.gettempdir()) / f"jaxsyn-test-cache-{os.getuid()}"),
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data; tests that need it are skipped without."""
    folder = os.environ.get("JAXSYN_REAL_DATA")
    if not folder:
        pytest.skip("JAXSYN_REAL_DATA names no folder of real data")
    return Path(folder)
