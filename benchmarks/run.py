"""Measures speed and memory, and prints tables in Markdown.

    python -m benchmarks.run [--only reading,preparing,pipeline,train,surface]
        [--source-dir DIR] [--rounds 5] [--steps 3] [--json FILE]
    python -m benchmarks.run --only train [--systems spade,borde] [--sizes 64,128,256]
        [--widths published|small|tiny] [--batch N] [--dtype bfloat16] [--dense]
        [--source brats_tissues]
        [--peer torch --peer-python PYTHON]
    python -m benchmarks.run --only profile [--systems spade] [--sizes 128] ...
    python -m benchmarks.run --only synthesis
    python -m benchmarks.run --only tissues --source-dir DIR   (OASIS T1 and tissues)
    python -m benchmarks.run --only inception [--peer torch --peer-python PYTHON
        --peer-archive FILE]

Run it from the repository's root, on a machine that does nothing else. PYTHON is the
interpreter of an environment with PyTorch: `python -m venv DIR` and
`DIR/bin/pip install torch numpy` make one; for `surface`, whichever of medpy, monai and
surface-distance it has are compared with. `inception` needs FID's weights, FILE is the
TorchScript they were made of. Without a folder of BraTS cases, two
phantoms are written and measured on. `preparing` needs TensorFlow; the rest does not.
"""

import argparse
import importlib
import json
import logging
from pathlib import Path
import sys

from benchmarks import cases, report, slices
from benchmarks.train import TORCH_VARIANTS, TrainBenchmark
from jaxsyn.errors import JaxsynError

USUAL = ("reading", "preparing", "pipeline", "train", "surface")
BENCHMARKS = (*USUAL, "profile", "synthesis", "tissues", "inception")


def main(argv: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    args = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if args.peer and not args.peer_python:
        print("--peer needs --peer-python, an interpreter with it.", file=sys.stderr)
        return 2
    tables, machine = [], report.machine()
    print(machine + "\n")
    try:
        for name in args.only:
            tables.append(_measure(name, args))
            print(tables[-1], flush=True)
    except JaxsynError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return error.exit_code
    if args.json:
        found = {"machine": machine, "tables": [table.to_json() for table in tables]}
        Path(args.json).write_text(json.dumps(found, indent=1))
    return 0


def _measure(name, args):
    # What a benchmark needs is imported with it: `train` runs without TensorFlow.
    if name == "pipeline":
        from benchmarks import pipeline

        return pipeline.measure(args.rounds)
    peer_python = args.peer_python if args.peer else ""
    if name == "inception":
        from benchmarks.inception import InceptionBenchmark

        return InceptionBenchmark(
            rounds=args.rounds,
            steps=args.steps,
            peer_python=peer_python if args.peer_archive else "",
            peer_archive=args.peer_archive,
        ).measure()
    if name == "tissues":
        from benchmarks import tissues

        return tissues.measure(Path(args.source_dir))
    source_dir = slices.folder(args.source_dir)
    if name in ("reading", "synthesis"):
        measured = importlib.import_module(f"benchmarks.{name}")
        return measured.measure(source_dir, args.rounds)
    if name == "preparing":
        from benchmarks import preparing

        return preparing.measure(source_dir)
    if name == "surface":
        from benchmarks import surface

        return surface.measure(source_dir, args.rounds, args.peer_python)
    benchmark = TrainBenchmark(
        sizes=args.sizes,
        systems=args.systems,
        batch_size=args.batch,
        widths=args.widths,
        dtype=args.dtype,
        source=args.source,
        dense=args.dense,
        rounds=args.rounds,
        steps=args.steps,
        peer_python=peer_python,
        peer_variants=args.peer_variants,
    )
    if name == "profile":
        from benchmarks import profile

        return profile.measure(benchmark, source_dir)
    return benchmark.measure(source_dir)


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run", description=__doc__.splitlines()[0]
    )
    add = parser.add_argument
    add("--only", type=_words(BENCHMARKS), default=USUAL, help="some of them")
    add("--source-dir", default="", help="a BraTS folder; default: phantoms")
    known = tuple(cases.CONFIGS)
    add("--systems", type=_words(known), default=known, help="of `train`: some of them")
    add("--sizes", type=_sizes, default=(64, 128, 256), help="sides, in pixels")
    add("--batch", type=int, default=0, help="images a step; default: by size")
    add("--widths", choices=cases.WIDTHS, default="published", help="of networks")
    add("--dtype", choices=("float32", "bfloat16"), default="float32")
    known = slices.SOURCES
    add("--source", choices=known, default=slices.SOURCE, help="labels of `train`")
    add("--dense", action="store_true", help="also without sparse modulation")
    add("--peer", choices=("torch",), help="whom to compare with")
    add("--peer-python", default="", help="the interpreter that has the peer")
    add("--peer-archive", default="", help="the TorchScript of Inception's weights")
    add("--peer-variants", type=_words(TORCH_VARIANTS), default=TORCH_VARIANTS)
    add("--rounds", type=int, default=5, help="turns that each process has")
    add("--steps", type=int, default=3, help="steps a turn")
    add("--json", default="", help="write what was found to this file, too")
    return parser


def _words(known):
    def parse(text):
        words = tuple(text.split(","))
        if unknown := set(words) - set(known):
            raise argparse.ArgumentTypeError(
                f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}"
            )
        return words

    return parse


def _sizes(text):
    return tuple(map(int, _words(tuple(map(str, cases.BATCH_SIZES)))(text)))


if __name__ == "__main__":
    sys.exit(main())
