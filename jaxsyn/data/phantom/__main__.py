"""Writes a folder of phantom patients.

    python -m jaxsyn.data.phantom --out DIR --patients N --seed S
        [--kind tumour|stroke-dwi|stroke-ctp|healthy]
        [--shape 240 240 155] [--spacing 1.0] [--jobs J]

The same command goes on where it was stopped, and with more patients adds to the set.
"""

import argparse
import sys

from jaxsyn.data.phantom.patient import KINDS
from jaxsyn.data.phantom.write import write_phantom
from jaxsyn.errors import PREEMPTED, JaxsynError


def main(argv: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    args = _parser().parse_args(argv)
    spacing = args.spacing[0] if len(args.spacing) == 1 else args.spacing
    try:
        write_phantom(
            args.out,
            patients=args.patients,
            seed=args.seed,
            kind=args.kind,
            shape=args.shape,
            spacing_mm=spacing,
            jobs=args.jobs,
        )
    except JaxsynError as error:
        print(f"jaxsyn: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("jaxsyn: stopped; the same command goes on.", file=sys.stderr)
        return PREEMPTED
    print(f"{args.patients} phantom patients are in {args.out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m jaxsyn.data.phantom", description=__doc__.splitlines()[0]
    )
    add = parser.add_argument
    add("--out", required=True, metavar="DIR", help="a new or empty folder")
    add("--patients", required=True, type=int, metavar="N", help="how many")
    add("--seed", required=True, type=int, metavar="S", help="decides them all")
    add("--kind", default="tumour", choices=KINDS, help="default: tumour")
    add(
        "--shape",
        type=int,
        nargs=3,
        default=(240, 240, 155),
        metavar=("X", "Y", "Z"),
        help="voxels of an image (default: 240 240 155)",
    )
    add(
        "--spacing",
        type=float,
        nargs="+",
        default=(1.0,),
        metavar="MM",
        help="size of a voxel, one number or three (default: 1)",
    )
    add("--jobs", type=int, default=0, help="processes; 0 (default) for one a core")
    return parser


if __name__ == "__main__":
    sys.exit(main())
