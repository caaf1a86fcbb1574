"""The process of a cell whose job is a toy: what it does, its configuration says."""

import os
from pathlib import Path
import sys
import time

sys.path.insert(0, str(Path(__file__).parents[2]))

from jaxsyn import errors, jobs
from jaxsyn.experiments import cell


def run(config, workdir):
    """Does as `config.does` says, after noting that it began."""
    workdir.mkdir(parents=True, exist_ok=True)
    with open(workdir / "began.txt", "a") as file:
        file.write(f"{os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES', '')}\n")
    if config.does == "fail":
        raise errors.DataError("There is no such folder.", hint="Name another.")
    if config.does == "break":
        raise ZeroDivisionError("a bug")
    if config.does == "crash":
        os.abort()
    if config.does == "wait":  # Until the file is there that lets it go on.
        while not Path(config.until).exists():
            time.sleep(0.05)
    if config.get("source"):
        assert (Path(config.source) / "made.txt").exists()
    (workdir / "made.txt").write_text("made")


if __name__ == "__main__":
    jobs.JOBS["toy"] = "__main__"
    cell.start(sys.argv[1:])
