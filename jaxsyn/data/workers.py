"""The same work on many cases, on all cores."""

from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
import multiprocessing
from multiprocessing import connection
import os
import signal
import threading
from typing import TypeVar

from jaxsyn.errors import ResourceError

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_parallel(
    work: Callable[[Item], Result], items: Sequence[Item], jobs: int = 0
) -> Iterator[tuple[Item, Result]]:
    """Yields each item and what `work` made of it, in their order.

    If the caller stops early, or is killed, what has not begun never does.

    Args:
      work: Picklable, as are its results; what it raises is raised here.
      items: What to work on.
      jobs: Processes; 0 for one a core, 1 to work in this one.

    Raises:
      ResourceError: A process was killed.
    """
    jobs = min(jobs or len(os.sched_getaffinity(0)), len(items))
    if jobs <= 1:
        for item in items:
            yield item, work(item)
        return
    pool = futures.ProcessPoolExecutor(
        jobs,
        # A forked child of a process that runs JAX or TensorFlow may hang.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_end_with_parent,
    )
    try:
        yield from zip(items, pool.map(work, items), strict=True)
    except (futures.BrokenExecutor, MemoryError) as error:
        raise ResourceError(
            "A worker process died, probably for want of memory.",
            hint=f"Use fewer than {jobs} jobs.",
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent():
    """Runs in each worker: a killed parent cannot tell its workers to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business.

    def watch():
        connection.wait([multiprocessing.parent_process().sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
