"""Training steps a second, in turn with those of a peer."""

from collections.abc import Sequence
import dataclasses
import json
from pathlib import Path
import sys
import tempfile

from benchmarks import report, slices
from benchmarks.worker import Worker

# Channels of the last block and images a step, by size.
SHAPES = {32: (2, 2), 64: (16, 8), 128: (32, 4), 256: (32, 1)}
TORCH_VARIANTS = ("eager", "channels_last", "compiled", "compiled+channels_last")
COLUMNS = (
    "step",
    "images/s, median",
    "best",
    "ms a step",
    "core s an image",
    "first step, s",
    "compile, s",
    "GFLOP an image",
    "peak, MiB",
    "× peer",
)
NOTES = (
    "Discriminator's and generator's update together. The processes take turns:"
    " {rounds} rounds of {steps} steps each. First step: with import, tracing and"
    " compilation. GFLOP: XLA's cost analysis, which counts a loop's body once. Peak:"
    " resident memory of the process, compilation included. × peer: median over that"
    " of the best PyTorch variant of SPADE at the size."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainBenchmark:
    """What to measure.

    Attributes:
      sizes: Sides of the images, of those in `SHAPES`.
      systems: Of jaxsyn.
      rounds: How often each process has its turn.
      steps: How many steps it then makes.
      peer_python: Interpreter of an environment with PyTorch; none: no peer.
      peer_variants: Its variants, of `TORCH_VARIANTS`.
    """

    sizes: Sequence[int] = (64, 128, 256)
    systems: Sequence[str] = ("spade", "borde")
    rounds: int = 5
    steps: int = 3
    peer_python: str = ""
    peer_variants: Sequence[str] = TORCH_VARIANTS

    def measure(self, source_dir: Path) -> report.Table:
        """Times every system and peer at every size."""
        rows = []
        with tempfile.TemporaryDirectory() as folder:
            for size in self.sizes:
                file = Path(folder) / f"{size}.npz"
                slices.batch(source_dir, size, SHAPES[size][1], file)
                rows += self._measure_size(size, file)
        notes = NOTES.format(rounds=self.rounds, steps=self.steps)
        return report.Table("Training steps", COLUMNS, rows, notes)

    def _measure_size(self, size, file):
        width, count = SHAPES[size]
        commands = {
            f"{system} {size} px, ngf {width}, batch {count}": [
                *(sys.executable, "-m", "benchmarks.train_step", "--batch", file),
                *("--config", f"{system}_brats"),
                *("--options", json.dumps({"ngf": width})),
            ]
            for system in self.systems
        }
        for variant in self.peer_variants if self.peer_python else ():
            commands[f"torch spade {size} px, {variant}"] = [
                *(self.peer_python, "-m", "benchmarks.peers.torch_spade"),
                *("--batch", file, "--width", str(width), "--variant", variant),
            ]
        timings, facts = take_turns(commands, self.rounds, self.steps)
        usual = {
            name: report.median_and_best([clock for clock, _ in timing])
            for name, timing in timings.items()
        }
        peers = [took[0] for name, took in usual.items() if name.startswith("torch")]

        def ratio(name, median):
            return min(peers) / median if peers and "spade" in name else None

        return [
            (
                name,
                count / median,
                count / best,
                1000 * median,
                report.median_and_best([c for _, c in timings[name]])[0] / count,
                facts[name]["first_step_s"],
                facts[name].get("compile_s"),
                facts[name].get("gflop_per_image"),
                facts[name]["peak_mib"],
                ratio(name, median),
            )
            for name, (median, best) in usual.items()
        ]


def take_turns(commands, rounds, steps):
    """Runs workers in turn; returns their timings and facts, by name."""
    workers = {}
    try:
        for name, command in commands.items():
            workers[name] = Worker(list(map(str, command)))
        timings = {name: [] for name in workers}
        for _ in range(rounds):
            for name, worker in workers.items():
                timings[name] += worker.run(steps)
        return timings, {name: worker.facts for name, worker in workers.items()}
    finally:
        for worker in workers.values():
            worker.close()
