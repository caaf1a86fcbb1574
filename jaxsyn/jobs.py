"""The jobs there are, and what a process does before it runs one."""

import contextlib
import importlib
import logging
import os
from pathlib import Path
from typing import Any

from absl import logging as absl_logging
import jax

from jaxsyn import settings
from jaxsyn import workdir as workdir_lib
from jaxsyn.engine import host_memory, processes
from jaxsyn.errors import ResourceError, UsageError

# By the word in config.job, the module whose `run(config, workdir)` does it.
JOBS = {
    "train": "jaxsyn.train",
    "audit": "jaxsyn.evaluate.audit",
    "judge": "jaxsyn.evaluate.judge",
    "experiment": "jaxsyn.experiments.experiment",
    "export_generator": "jaxsyn.synthesis.exported",
    "gallery": "jaxsyn.synthesis.gallery",
    "quality": "jaxsyn.evaluate.image_quality",
    "segment": "jaxsyn.evaluate.segment",
    "synthesize": "jaxsyn.synthesis.synthesize",
}

# Those that any number of processes run together in one folder.
SHARED = ("experiment",)

_NO_MEMORY = "RESOURCE_EXHAUSTED"  # XLA's word for it.
# Where compiled programs are kept for the next start, unless the user says otherwise.
COMPILED = Path.home() / ".cache" / "jaxsyn" / "compiled"

# TensorFlow only reads and writes here: nobody needs to know how it would compute.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


def set_up_process() -> None:
    """Sets up logging, memory and caching, and joins a training's other processes.

    To be called before JAX starts its threads.

    Raises:
      UsageError: What the environment says of other processes makes no sense.
    """
    absl_logging.set_verbosity(absl_logging.WARNING)
    absl_logging.use_absl_handler()
    absl_logging.get_absl_handler().addFilter(_is_for_users)  # Orbax tells a novel.
    absl_logging.get_absl_handler().setFormatter(logging.Formatter("%(message)s"))
    logging.getLogger("jaxsyn").setLevel(logging.INFO)
    host_memory.keep_freed_memory()
    if not jax.config.jax_compilation_cache_dir:  # JAX_COMPILATION_CACHE_DIR
        jax.config.update("jax_compilation_cache_dir", str(COMPILED))
    processes.join()
    if not processes.is_first():
        logging.disable(logging.WARNING)
        os.environ["TQDM_DISABLE"] = "1"  # Read when it is imported.


def run(config: Any, workdir: Path) -> None:
    """Runs the job that a configuration, a `ConfigDict`, names.

    It has the folder to itself, unless it is one of `SHARED`.

    Raises:
      ResourceError: Another process is at work in the folder.
      JaxsynError: One of its kinds, for all that a user can mend.
    """
    job = config.get("job", "")
    if job not in JOBS:
        raise settings.unknown(f"config.job={job}", job, list(JOBS))
    if job != "train" and processes.count() > 1:
        raise UsageError(
            f"config.job={job} runs in one process; {processes.count()} were started.",
            hint="Start one; it uses all accelerators it sees. Only a training"
            " (config.job=train) runs over several processes.",
        )
    with (
        _want_of_memory_is_said(),
        processes.a_lost_peer_is_said(),
        contextlib.ExitStack() as held,
    ):
        with processes.first_goes_first("taking the workdir"):
            if processes.is_first() and job not in SHARED:
                held.enter_context(workdir_lib.held(workdir))
        importlib.import_module(JOBS[job]).run(config, workdir)


def _is_for_users(record):
    if "orbax" not in record.pathname and record.name != "asyncio":  # Orbax's, too.
        return True
    # What it logs with a traceback is raised as well, and told in a line.
    return record.levelno >= logging.ERROR and not record.exc_info


@contextlib.contextmanager
def _want_of_memory_is_said():
    """Of the machine or of an accelerator."""
    try:
        yield
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if not isinstance(error, MemoryError) and _NO_MEMORY not in str(error):
            raise
        said = next(iter(str(error).splitlines()), "")
        raise ResourceError(
            f"Out of memory. {said[:200]}".strip(),
            hint="A training takes less with a smaller config.train.batch_size, with"
            " config.train.accumulate=2 or more, and on smaller images"
            " (config.data.prepare.image_size).",
        ) from error
