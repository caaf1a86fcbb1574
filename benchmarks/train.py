"""Training steps a second of every system, in turn with those of a peer."""

from collections.abc import Mapping, Sequence
import dataclasses
import importlib.util
import json
import logging
from pathlib import Path
import sys
import tempfile
from typing import Any

from benchmarks import cases, report, slices
from benchmarks.turns import take_turns
from benchmarks.worker import CYCLE

TORCH_VARIANTS = ("eager", "channels_last", "compiled", "compiled+channels_last")
COLUMNS = (
    "system",
    "px",
    "batch",
    "by",
    "images/s",
    "ms a step",
    "× peer",
    "core s an image",
    "GFLOP an image",
    "of peak",
    "peak, MiB",
    "compile, s",
    "first step, s",
    "waits for data",
)
NOTES = (
    "{widths} widths, {dtype}, labels of {source}; all updates of a step together, lazy"
    " ones by their mean over {cycle} steps. The processes take turns: {rounds} rounds"
    " of {steps} steps each; medians. × peer: images/s over those of the best PyTorch"
    " variant, which has its batch at hand. GFLOP: XLA's cost analysis of the dense"
    " networks; the loops that are left, of random numbers and of CycleGAN's pool,"
    " count once. Of peak: of {peak:,.0f} GFLOP/s, which products of large {dtype}"
    " matrices reached before. Peak, MiB: {memory}, compiling included. First step:"
    " with import, tracing and compiling. Waits for data: share of the time, fed by the"
    " thread reader."
)
OWN = "jaxsyn"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainBenchmark:
    """What to measure.

    Attributes:
      systems: Of `cases.CONFIGS`.
      sizes: Sides of the images, of `cases.BATCH_SIZES`.
      batch_size: Images a step; 0 for those of the size.
      widths: Of `cases.WIDTHS`.
      dtype: What networks compute in: `float32` or `bfloat16`.
      source: Whose labels the slices have, of `slices.SOURCES`.
      dense: Whether systems whose modulation is sparse are measured without that, too.
      rounds: How often each process has its turn.
      steps: How many steps it then makes.
      peer_python: Interpreter of an environment with PyTorch; none: no peer.
      peer_variants: Its variants, of `TORCH_VARIANTS`.
    """

    systems: Sequence[str] = tuple(cases.CONFIGS)
    sizes: Sequence[int] = (64, 128, 256)
    batch_size: int = 0
    widths: str = "published"
    dtype: str = "float32"
    source: str = slices.SOURCE
    dense: bool = False
    rounds: int = 5
    steps: int = 3
    peer_python: str = ""
    peer_variants: Sequence[str] = TORCH_VARIANTS

    def measure(self, source_dir: Path) -> report.Table:
        """Times every system, and its peer if there is one, at every size."""
        peak, device = measure_peak(self.dtype, self.rounds)
        rows, details = [], []
        with tempfile.TemporaryDirectory() as root:
            for size in self.sizes:
                for name in self.systems:
                    found = self._measure_case(source_dir, Path(root), name, size)
                    rows += rows_of(found, peak)
                    details.append(found)
                    logging.info("%s at %d px is measured.", name, size)
        notes = NOTES.format(
            widths=self.widths.capitalize(),
            dtype=self.dtype,
            source=self.source,
            cycle=CYCLE,
            rounds=self.rounds,
            steps=self.steps,
            peak=peak,
            memory="of the process" if device == "cpu" else f"allocated on {device}",
        )
        return report.Table("Training steps", COLUMNS, rows, notes, details)

    def write_case(self, source_dir: Path, root: Path, name: str, size: int) -> Path:
        """Leaves a worker what it needs for one system at one size; its folder."""
        case = cases.load(name, self.widths)
        batch_size = self.batch_size or cases.BATCH_SIZES[size]
        depth = cases.depth(case, size)
        data = root / f"data-{size}-{depth}"
        if not data.exists():
            count = max(2 * batch_size, 8)
            slices.write(source_dir, size, count, depth, data, self.source)
        folder = root / f"{name}-{size}"
        folder.mkdir()
        case |= {"depth": depth, "batch_size": batch_size}
        case |= {"dtype": self.dtype, "data": str(data)}
        (folder / "case.json").write_text(json.dumps(case))
        return folder

    def _measure_case(self, source_dir, root, name, size):
        """All timings and facts of one system at one size."""
        folder = self.write_case(source_dir, root, name, size)
        own, peers = self._own(name, folder), self._peers(name, folder)
        timings, facts = take_turns(
            {**own, **peers}, self.rounds, self.steps, rivals=tuple(peers)
        )
        check_parameters(facts)
        return {
            "system": name,
            "size": size,
            "batch_size": self.batch_size or cases.BATCH_SIZES[size],
            "timings": timings,
            "facts": facts,
        }

    def _own(self, name, folder):
        command = [sys.executable, "-m", "benchmarks.train_step", "--folder", folder]
        if self.dense and name in cases.MODULATED:
            return {OWN: command, f"{OWN}, dense": [*command, "--dense"]}
        return {OWN: command}

    def _peers(self, name, folder):
        if not self.peer_python or not has_peer(name):
            return {}
        command = [self.peer_python, "-m", "benchmarks.peers.torch_step"]
        command += ["--system", name, "--folder", folder, "--variant"]
        return {
            f"torch, {variant}": [*command, variant] for variant in self.peer_variants
        }


def has_peer(name: str) -> bool:
    """Whether the system is written in PyTorch, too."""
    return importlib.util.find_spec(f"benchmarks.peers.torch_{name}") is not None


def measure_peak(dtype: str, rounds: int) -> tuple[float, str]:
    """What products of large matrices reach, in GFLOP/s, and on which device."""
    command = [sys.executable, "-m", "benchmarks.matmul", "--dtype", dtype]
    timings, facts = take_turns({"matmul": command}, rounds, steps=1)
    _, best = report.median_and_best([clock for clock, _ in timings["matmul"]])
    return facts["matmul"]["gflop"] / best, facts["matmul"]["device"]


def check_parameters(facts: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises ValueError if a peer's networks are not as large as ours."""
    expected = facts[OWN]["parameters"]
    for name, known in facts.items():
        if known["parameters"] != expected:
            raise ValueError(
                f"{name} has {known['parameters']} parameters, jaxsyn {expected}."
            )


def rows_of(found: Mapping[str, Any], peak: float) -> list[tuple]:
    """Rows of `COLUMNS`: ours, and that of the best peer if there is any.

    Args:
      found: System, size, batch size, and timings and facts by name.
      peak: In GFLOP/s.
    """
    timings, facts, count = found["timings"], found["facts"], found["batch_size"]
    medians = {
        name: [
            report.median_and_best(values)[0] for values in zip(*timing, strict=True)
        ]
        for name, timing in timings.items()
    }
    rivals = [name for name in medians if not name.startswith(OWN)]
    best = min(rivals, key=lambda name: medians[name][0], default=None)
    gflop = facts[OWN]["gflop_per_image"]
    return [
        (
            found["system"],
            found["size"],
            count,
            name,
            count / clock,
            1000 * clock,
            medians[best][0] / clock if best and name != best else None,
            core / count,
            gflop,
            gflop * count / clock / peak,
            facts[name]["peak_mib"],
            facts[name].get("compile_s"),
            facts[name]["first_step_s"],
            facts[name].get("wait_share"),
        )
        for name, (clock, core) in medians.items()
        if name == best or name not in rivals
    ]
