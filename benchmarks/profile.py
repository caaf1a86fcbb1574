"""Where the time of a training step goes, by what XLA's programs are made of."""

from collections import Counter
from collections.abc import Iterable, Mapping
import gzip
import json
from pathlib import Path
import re
import tempfile
import time
from typing import Any

import jax

from benchmarks import report
from benchmarks.train import TrainBenchmark
from benchmarks.train_step import Training

KINDS = ("convolutions", "products", "reductions", "copies", "the rest")
COLUMNS = (
    "system",
    "px",
    "batch",
    "ms a step",
    *KINDS,
    "at once",
    "longest operations",
)
NOTES = (
    "{widths} widths, {dtype}. Shares of the time of the threads or streams that run"
    " operations, of a profile of {steps} steps; what XLA made of several operations"
    " counts as the first kind that it has one of. At once: operations that run at one"
    " time, on average. Longest operations: their share and, where XLA says, what"
    " of the network they are. A profile takes time itself."
)
_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.-]+) .*\{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.-]+) = .*?([\w-]+)\(")
_CALLED = re.compile(r"(?:calls|to_apply|body)=%?([\w.-]+)")
_SOURCE = re.compile(r'op_name="([^"]*)"')
_TARGET = re.compile(r'custom_call_target="([^"]*)"')
# What the opcodes, or the names of a library's functions, are.
_OPCODES = {
    "convolutions": ("convolution", "cudnn"),
    "products": ("dot", "gemm", "cublas", "matmul"),
    "reductions": ("reduce", "reduce-window", "sort", "scatter", "topk"),
    "copies": ("copy", "transpose", "gather", "concatenate", "pad", "slice"),
}
_LONGEST = 3


def measure(benchmark: TrainBenchmark, source_dir: Path) -> report.Table:
    """Profiles every system of a benchmark at every size."""
    rows = []
    with tempfile.TemporaryDirectory() as root:
        for size in benchmark.sizes:
            for name in benchmark.systems:
                folder = benchmark.write_case(source_dir, Path(root), name, size)
                rows.append(_row(folder, benchmark, name, size))
    notes = NOTES.format(
        widths=benchmark.widths.capitalize(),
        dtype=benchmark.dtype,
        steps=benchmark.steps,
    )
    return report.Table("Where the time goes", COLUMNS, rows, notes)


def _row(folder, benchmark, name, size):
    training = Training(folder)
    training.step()
    start = time.perf_counter()
    with jax.profiler.trace(folder / "trace"):
        for _ in range(benchmark.steps):
            training.step()
    steps = benchmark.steps * training.at_once
    took = 1000 * (time.perf_counter() - start) / steps
    (path,) = (folder / "trace").rglob("*.trace.json.gz")
    events = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    own, span = own_times(events)
    kinds, sources = {}, {}
    for text in training.programs:
        program = kinds_of(text)
        kinds |= {name: kind for name, (kind, _) in program.items()}
        sources |= {name: source for name, (_, source) in program.items()}
    total, shares = sum(own.values()), Counter()
    for operation, duration in own.items():
        shares[kinds.get(operation, KINDS[-1])] += duration / total
    longest = (
        f"{sources.get(operation) or operation} {duration / total:.0%}"
        for operation, duration in own.most_common(_LONGEST)
    )
    batch_size = json.loads((folder / "case.json").read_text())["batch_size"]
    spread = [f"{shares[kind]:.0%}" for kind in KINDS]
    return name, size, batch_size, took, *spread, total / span, "; ".join(longest)


def own_times(
    events: Iterable[Mapping[str, Any]],
) -> tuple[Counter[str], float]:
    """Time of each operation without those inside it.

    Args:
      events: Of a trace in Chrome's format; those with an `hlo_op` are operations.

    Returns:
      Microseconds by the operations' names, and from the first one's start to the last
      one's end.
    """
    lanes = {}
    for event in events:
        if event.get("ph") == "X" and "hlo_op" in event.get("args", {}):
            lanes.setdefault((event["pid"], event["tid"]), []).append(event)
    own, starts, ends = Counter(), [], []
    for lane in lanes.values():
        around = []
        for event in sorted(lane, key=lambda e: (e["ts"], -e["dur"])):
            name, end = event["args"]["hlo_op"], event["ts"] + event["dur"]
            while around and around[-1][1] <= event["ts"]:
                around.pop()
            own[name] += event["dur"]
            if around:
                own[around[-1][0]] -= event["dur"]
            around.append((name, end))
            starts.append(event["ts"])
            ends.append(end)
    return own, max(ends, default=0) - min(starts, default=0)


def kinds_of(text: str) -> dict[str, tuple[str, str]]:
    """Kind and place in the network of each instruction of a program.

    Args:
      text: A compiled program's HLO.
    """
    computations, found, inside = {}, {}, ""
    for line in text.splitlines():
        if match := _COMPUTATION.match(line):
            inside = match[1]
        elif match := _INSTRUCTION.match(line):
            name, opcode = match.groups()
            target, source = _TARGET.search(line), _SOURCE.search(line)
            what = target[1] if target else opcode
            called = _CALLED.findall(line) if opcode in ("fusion", "call") else ()
            found[name] = what, called, source[1] if source else ""
            computations.setdefault(inside, []).append(name)

    def opcodes(name):
        what, called, _ = found[name]
        inner = (i for each in called for i in computations.get(each, ()))
        return {what}.union(*map(opcodes, inner))

    return {name: (_kind(opcodes(name)), _place(found[name][2])) for name in found}


def _kind(opcodes):
    for kind, words in _OPCODES.items():
        for opcode in opcodes:
            if opcode in words or (
                kind in KINDS[:2] and any(word in opcode.lower() for word in words)
            ):
                return kind
    return KINDS[-1]


def _place(source):
    """The last parts of a path such as "jit(advance)/.../conv_0/conv_general"."""
    return "/".join(source.split("/")[-3:])
