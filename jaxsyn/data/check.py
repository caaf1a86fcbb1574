"""Reads every case of a folder and says which can be used.

    python -m jaxsyn.data.check DIR [--source brats] [--sheet FILE.png] [--jobs N]

At the end it says what they hold together: grids, spacings, orientations, intensities
and labels. Exits with 0 if all can, 3 if one cannot, 2 if the command makes no sense.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
import dataclasses
import functools
from pathlib import Path
import signal
import sys

from isal import isal_zlib
from tqdm import tqdm

from jaxsyn import pictures
from jaxsyn.data import foregrounds, sources, survey, workers
from jaxsyn.data.cases import Case, Problem, read_case
from jaxsyn.errors import DataError, JaxsynError
from jaxsyn.spec import Label

_SHOWN = 12  # Cases on a contact sheet.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of one case.

    Attributes:
      name: Its name.
      refused: Why it cannot be used; empty if it can.
      notes: What a person should know about it, though it can be used.
      facts: What it holds; None if it cannot be used.
    """

    name: str
    refused: str = ""
    notes: tuple[str, ...] = ()
    facts: survey.Facts | None = None

    def __str__(self) -> str:
        lines = [f"used     {self.name}", *(f"note: {note}" for note in self.notes)]
        if self.refused:
            lines = f"refused  {self.name}: {self.refused}".splitlines()
        return "\n         ".join(line.strip() for line in lines)


def check_cases(
    cases: Iterable[Case | Problem],
    labels: Sequence[Label],
    *,
    foreground: str = "nonzero",
    jobs: int = 0,
) -> Iterator[Verdict]:
    """Yields a verdict for every case, in their order.

    Cases whose images (or label maps, where there are no images) are equal, voxel for
    voxel, are noted: divided between training and test they would spoil it.

    Args:
      cases: What a source found.
      labels: The label table.
      foreground: How it is found where there is no mask; see `foregrounds.find`.
      jobs: Processes that read; 0 for one a core, 1 to read in this one.

    Raises:
      ResourceError: A process was killed, mostly for want of memory.
    """
    first = {}
    work = functools.partial(_verdict, tuple(labels), foreground)
    for _, (verdict, content) in workers.in_parallel(work, list(cases), jobs):
        twin = first.setdefault(content, verdict.name) if content else verdict.name
        if twin != verdict.name:
            notes = (*verdict.notes, f"its images are those of {twin}")
            verdict = dataclasses.replace(verdict, notes=notes)
        yield verdict


def _verdict(labels, foreground, case):
    """The verdict, and checksums by which to know the images again."""
    try:
        volumes = read_case(case, foreground)
    except DataError as error:
        return Verdict(name=case.name, refused=str(error)), None
    arrays = volumes.images or (volumes.label,)
    content = tuple(isal_zlib.crc32(array.ravel("F")) for array in arrays)
    facts = survey.of_case(volumes, labels)
    return Verdict(name=case.name, notes=volumes.notes, facts=facts), content


def main(argv: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    args = _parser().parse_args(argv)
    try:
        source = sources.load(args.source)
        modalities, labels = source.describe(args.folder)
        cases = source.find_cases(args.folder)
        facts = []
        with tqdm(total=len(cases), unit="case", disable=None) as bar:
            for verdict in check_cases(
                cases, labels, foreground=args.foreground, jobs=args.jobs
            ):
                bar.write(str(verdict), file=sys.stdout)
                bar.update()
                facts.append(verdict.facts)
        used = [case for case in facts if case]
        if used:
            print(*survey.summary(used, modalities, labels), sep="\n")
        if used and args.sheet:
            print(f"sheet        {_save_sheet(used, modalities, labels, args.sheet)}")
    except JaxsynError as error:
        print(f"jaxsyn: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    refused = len(cases) - len(used)
    patients = {case.patient for case in cases if isinstance(case, Case)}
    print(
        f"cases: {len(cases)}, used: {len(used)}, refused: {refused};"
        f" patients: {len(patients)}"
    )
    return DataError.exit_code if refused else 0


def _save_sheet(facts, modalities, labels, path):
    """A slice of each of the first cases."""
    rows = [
        [pictures.colour_labels(label, labels), *map(_grey, images)]
        for label, *images in (case.thumbnail for case in facts[:_SHOWN])
    ]
    return pictures.save(pictures.grid(rows, ["labels", *modalities]), Path(path))


def _grey(image):
    return pictures.grey(image / 127.5 - 1.0)


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m jaxsyn.data.check", description=__doc__.splitlines()[0]
    )
    parser.add_argument("folder", metavar="DIR", help="where the cases are")
    parser.add_argument(
        "--source", default="brats", help="whose cases they are (default: brats)"
    )
    parser.add_argument(
        "--foreground",
        default="nonzero",
        choices=foregrounds.FOREGROUNDS,
        help="what counts as patient, as in config.data.prepare (default: nonzero)",
    )
    parser.add_argument(
        "--sheet", metavar="FILE.png", default="", help="a picture of the first cases"
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
