"""Reads every case of a folder and says which can be used.

    python -m jaxsyn.data.check DIR [--source brats] [--jobs N]

Exits with 0 if all can, 3 if one cannot, 2 if the command makes no sense.
"""

import argparse
from collections.abc import Iterable, Iterator
import dataclasses
import signal
import sys

from isal import isal_zlib
from tqdm import tqdm

from jaxsyn.data import sources, workers
from jaxsyn.data.cases import Case, Problem, read_case
from jaxsyn.errors import DataError, JaxsynError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of one case.

    Attributes:
      name: Its name.
      refused: Why it cannot be used; empty if it can.
      notes: What a person should know about it, though it can be used.
    """

    name: str
    refused: str = ""
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"used     {self.name}", *(f"note: {note}" for note in self.notes)]
        if self.refused:
            lines = f"refused  {self.name}: {self.refused}".splitlines()
        return "\n         ".join(line.strip() for line in lines)


def check_cases(cases: Iterable[Case | Problem], *, jobs: int = 0) -> Iterator[Verdict]:
    """Yields a verdict for every case, in their order.

    Cases whose images (or label maps, where there are no images) are equal, voxel for
    voxel, are noted: divided between training and test they would spoil it.

    Args:
      cases: What a source found.
      jobs: Processes that read; 0 for one a core, 1 to read in this one.

    Raises:
      ResourceError: A process was killed, mostly for want of memory.
    """
    first = {}
    for _, (verdict, content) in workers.in_parallel(_verdict, list(cases), jobs):
        twin = first.setdefault(content, verdict.name) if content else verdict.name
        if twin != verdict.name:
            notes = (*verdict.notes, f"its images are those of {twin}")
            verdict = dataclasses.replace(verdict, notes=notes)
        yield verdict


def _verdict(case):
    """The verdict, and checksums by which to know the images again."""
    try:
        volumes = read_case(case)
    except DataError as error:
        return Verdict(name=case.name, refused=str(error)), None
    arrays = volumes.images or (volumes.label,)
    content = tuple(isal_zlib.crc32(array.ravel("F")) for array in arrays)
    return Verdict(name=case.name, notes=volumes.notes), content


def main(argv: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    args = _parser().parse_args(argv)
    try:
        cases = sources.load(args.source).find_cases(args.folder)
        refused = 0
        with tqdm(total=len(cases), unit="case", disable=None) as bar:
            for verdict in check_cases(cases, jobs=args.jobs):
                bar.write(str(verdict), file=sys.stdout)
                bar.update()
                refused += bool(verdict.refused)
    except JaxsynError as error:
        print(f"jaxsyn: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    patients = {case.patient for case in cases if isinstance(case, Case)}
    print(
        f"cases: {len(cases)}, used: {len(cases) - refused}, refused: {refused};"
        f" patients: {len(patients)}"
    )
    return DataError.exit_code if refused else 0


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m jaxsyn.data.check", description=__doc__.splitlines()[0]
    )
    parser.add_argument("folder", metavar="DIR", help="where the cases are")
    parser.add_argument(
        "--source", default="brats", help="whose cases they are (default: brats)"
    )
    parser.add_argument(
        "--jobs", type=_jobs, default=0, help="processes; 0 (default) for one a core"
    )
    return parser


def _jobs(text):
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
