"""Tissue maps for the source `brats_tissues`: fluid, grey and white matter.

    python -m jaxsyn.data.tissues SOURCE_DIR [--out DIR] [--image t1] [--jobs N]

Writes CASE_tissues.nii.gz (1 cerebrospinal fluid, 2 grey, 3 white matter) beside the
files of each BraTS case; with --out, into a folder DIR in which those are links. The
same command goes on where it was stopped. Exits with 0 if all cases could be used, 3 if
one could not, 2 if the command makes no sense.

It needs dipy: pip install "jaxsyn[prep]"
"""

import argparse
import functools
from pathlib import Path
import signal
import sys

import numpy as np
from tqdm import tqdm

from jaxsyn import storage
from jaxsyn.data import hmrf, nifti, sources, workers
from jaxsyn.data.cases import Case, Problem
from jaxsyn.errors import DataError, JaxsynError


def write_tissues(out_dir: Path, source_dir: Path, modality: str, case: Case) -> Path:
    """Writes the tissue map of a BraTS case, unless it is there; returns its path.

    Raises:
      DataError: The case cannot be used.
      ResourceError: No room, or no permission to write.
    """
    folder = out_dir / case.files[0].parent.relative_to(source_dir)
    path = folder / f"{case.name}_tissues.nii.gz"
    if path.exists():
        return path
    volumes = sources.load("brats_tumour").read_case(case)
    image = volumes.images[list(case.images).index(modality)]
    brain = (image != 0) & (volumes.label == 0)
    spacing_mm = np.linalg.norm(volumes.affine[:3, :3], axis=0)
    with storage.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for file in case.files:
            if not (folder / file.name).exists():
                (folder / file.name).symlink_to(file.resolve())
    nifti.write(path, hmrf.find_tissues(image, brain, spacing_mm), volumes.affine)
    return path


def main(argv: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    args = _parser().parse_args(argv)
    try:
        hmrf.import_dipy()
        found = sources.load("brats_tumour").find_cases(args.folder)
        work = functools.partial(
            _write, Path(args.out or args.folder), Path(args.folder), args.image
        )
        refused = 0
        with tqdm(total=len(found), desc="Finding tissues", unit="case") as bar:
            for case, error in workers.in_parallel(work, found, args.jobs):
                if error:
                    bar.write(f"refused  {case.name}: {error}", file=sys.stdout)
                    refused += 1
                bar.update()
    except JaxsynError as error:
        print(f"jaxsyn: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    print(f"cases: {len(found)}, refused: {refused}")
    return DataError.exit_code if refused else 0


def _write(out_dir, source_dir, modality, case):
    """Writes one case's map; returns the error if it is refused."""
    try:
        if isinstance(case, Problem):
            raise DataError(case.reason, hint=case.hint)
        write_tissues(out_dir, source_dir, modality, case)
    except DataError as error:
        return error
    return None


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m jaxsyn.data.tissues", description=__doc__.splitlines()[0]
    )
    add = parser.add_argument
    add("folder", metavar="SOURCE_DIR", help="where the BraTS cases are")
    add("--out", metavar="DIR", help="where maps go (default: beside the images)")
    add(
        "--image",
        default="t1",
        choices=("t1", "t1ce"),
        help="what tissues are seen in (default: t1)",
    )
    add("--jobs", type=int, default=0, help="processes; 0 (default) for one a core")
    return parser


if __name__ == "__main__":
    sys.exit(main())
