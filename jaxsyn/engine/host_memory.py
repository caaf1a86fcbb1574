"""How the host's memory is managed; of consequence where the host computes.

On the CPU, a step's intermediate arrays are allocated and freed at each step. By
default glibc gives them back to the system, which hands them out again page by page
and zeroed: a third to a half of a training step at 256 px.
"""

import ctypes

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_UNLIMITED = 2**31 - 1


def keep_freed_memory() -> bool:
    """Lets this process keep the memory it frees, for its next allocations.

    To be called before JAX starts its threads. The process then holds what it once
    needed until it ends.

    Returns:
      Whether it does: the C library may be another than glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    # One arena: those of other threads cannot grow beyond 64 MiB.
    wanted = (
        (_M_ARENA_MAX, 1),
        (_M_MMAP_THRESHOLD, _UNLIMITED),
        (_M_TRIM_THRESHOLD, _UNLIMITED),
    )
    return all([mallopt(option, value) for option, value in wanted])
