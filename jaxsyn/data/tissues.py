"""Tissue maps for the source `brats_tissues`: fluid, grey and white matter.

    python -m jaxsyn.data.tissues SOURCE_DIR [--out DIR] [--image t1] [--jobs N]

Writes CASE_tissues.nii.gz (1 cerebrospinal fluid, 2 grey, 3 white matter) beside the
files of each BraTS case; with --out, into a folder DIR in which those are links.

    python -m jaxsyn.data.tissues SOURCE_DIR --source NAME --out DIR [--image t1]

Cases of any other source get their maps in DIR, and a cases.csv that names all files,
for the source `table`.

The same command goes on where it was stopped. Exits with 0 if all cases could be used,
3 if one could not, 2 if the command makes no sense.

It needs dipy: pip install "jaxsyn[prep]"
"""

import argparse
import csv
import functools
import io
import os
from pathlib import Path
import signal
import sys

import numpy as np
from tqdm import tqdm

from jaxsyn import settings, storage
from jaxsyn.data import hmrf, nifti, sources, workers
from jaxsyn.data.cases import Case, Problem
from jaxsyn.data.sources import Source
from jaxsyn.errors import DataError, JaxsynError, UsageError

_BRATS = "brats_tumour"  # What `brats_tissues` makes of a case, but for the tissues.


def write_tissues(path: Path, source: Source, modality: str, case: Case) -> None:
    """Writes the tissue map of a case, unless it is there.

    Args:
      path: Where to.
      source: Reads the case.
      modality: What tissues are seen in.
      case: With a brain that has no label, or the derived one, where there is no
        lesion.

    Raises:
      DataError: The case cannot be used.
      ResourceError: No room, or no permission to write.
    """
    if path.exists():
        return
    volumes = source.read_case(case)
    image = volumes.images[list(case.images).index(modality)]
    known = [i for i, label in enumerate(case.label_tables[0]) if i and label.values]
    brain = volumes.brain & (image != 0) & ~np.isin(volumes.label, known)
    spacing_mm = np.linalg.norm(volumes.affine[:3, :3], axis=0)
    nifti.write(path, hmrf.find_tissues(image, brain, spacing_mm), volumes.affine)


def main(argv: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    args = _parser().parse_args(argv)
    try:
        hmrf.import_dipy()
        source, root = sources.load(args.source), Path(args.folder)
        modalities, labels = source.describe(root)
        _check(args, modalities)
        # Without lesions tissues are complete label maps, except as BraTS.
        found = source.find_cases(root, labelled=source.name == _BRATS)
        out = Path(args.out or root)
        place = _beside if source.name == _BRATS else _together
        work = functools.partial(_write, place, out, root, source, args.image)
        made = []
        with tqdm(total=len(found), desc="Finding tissues", unit="case") as bar:
            for case, error in workers.in_parallel(work, found, args.jobs):
                if error:
                    bar.write(f"refused  {case.name}: {error}", file=sys.stdout)
                else:
                    made.append(case)
                bar.update()
        if source.name != _BRATS:
            _write_table(out, labels, made)
    except JaxsynError as error:
        print(f"jaxsyn: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    refused = len(found) - len(made)
    print(f"cases: {len(found)}, refused: {refused}")
    return DataError.exit_code if refused else 0


def _check(args, modalities):
    if args.image not in modalities:
        raise settings.unknown(f"--image {args.image}", args.image, [*modalities])
    if args.source != _BRATS and not args.out:
        raise UsageError(
            f"There is no --out, and cases of {args.source} are no BraTS folders.",
            hint="Name a folder: maps and a cases.csv of all files are put into it.",
        )


def _beside(out, root, case):
    """Where a BraTS case's map goes: among links to its files, if not beside them."""
    folder = out / case.files[0].parent.relative_to(root)
    with storage.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for file in case.files:
            if not (folder / file.name).exists():
                (folder / file.name).symlink_to(file.resolve())
    return _together(folder, root, case)


def _together(out, root, case):
    del root  # Cases of other sources have no folder that is known.
    return out / f"{case.name}_tissues.nii.gz"


def _write(place, out_dir, source_dir, source, modality, case):
    """Writes one case's map; returns the error if it is refused."""
    try:
        if isinstance(case, Problem):
            raise DataError(case.reason, hint=case.hint)
        if source.name != _BRATS and any(file.channel for file in case.volumes):
            raise DataError(
                f"{case.files[0]} holds several modalities.",
                hint="A table names one file for each: split it.",
            )
        write_tissues(place(out_dir, source_dir, case), source, modality, case)
    except DataError as error:
        return error
    return None


def _write_table(out, labels, cases):
    """Writes cases.csv, and the labels that it speaks of, for the source `table`."""
    rows = []
    for case in cases:
        maps = {"label": case.label, "mask": case.mask}
        files = {**case.images, **{k: file for k, file in maps.items() if file}}
        paths = {role: os.path.relpath(f.path, out) for role, f in files.items()}
        paths["tissues"] = _together(out, None, case).name
        rows.append({"case": case.name, "patient": case.patient, **paths})
    text = io.StringIO()
    columns = dict.fromkeys(column for row in rows for column in row)
    writer = csv.DictWriter(text, [*columns], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    values = {x.name: value for x in labels for value in x.values[:1]}
    with storage.writing(out):
        storage.write_json(out / "jaxsyn.json", {"labels": values})
        with storage.whole_file(out / "cases.csv") as file:
            file.write(text.getvalue().encode())


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m jaxsyn.data.tissues", description=__doc__.splitlines()[0]
    )
    add = parser.add_argument
    add("folder", metavar="SOURCE_DIR", help="where the cases are")
    add("--source", default=_BRATS, help="whose cases they are (default: BraTS)")
    add("--out", metavar="DIR", help="where maps go (default: beside the images)")
    add(
        "--image",
        default="t1",
        help="what tissues are seen in (default: t1)",
    )
    add("--jobs", type=int, default=0, help="processes; 0 (default) for one a core")
    return parser


if __name__ == "__main__":
    sys.exit(main())
