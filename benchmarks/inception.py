"""Images a second through Inception-v3, in turn with PyTorch."""

import argparse
from collections.abc import Sequence
import dataclasses
from pathlib import Path
import sys
import tempfile

import numpy as np

from benchmarks import report, worker
from benchmarks.turns import take_turns
from jaxsyn.metrics import inception_weights

SIDE = 256
TORCH_VARIANTS = ("eager", "channels_last")
COLUMNS = (
    "features",
    "images/s, median",
    "best",
    "core s an image",
    "first batch, s",
    "peak, MiB",
    "error",
    "× peer",
)
NOTES = (
    "Grey images of {side} px, resized to 299 px, {batch} at a time. The processes take"
    " turns: {rounds} rounds of {steps} batches each. Error: largest difference of the"
    " features of one batch to the best peer's, over the largest feature. × peer:"
    " median over that of the best PyTorch variant."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class InceptionBenchmark:
    """What to measure; needs the weights, see `jaxsyn.metrics.inception`.

    Attributes:
      batch_size: Images at a time.
      rounds: How often each process has its turn.
      steps: How many batches it then takes.
      peer_python: Interpreter of an environment with PyTorch; none: no peer.
      peer_archive: The TorchScript of the same weights.
      peer_variants: Of `TORCH_VARIANTS`.
    """

    batch_size: int = 8
    rounds: int = 5
    steps: int = 3
    peer_python: str = ""
    peer_archive: str = ""
    peer_variants: Sequence[str] = TORCH_VARIANTS

    def measure(self) -> report.Table:
        """Times both sides, and compares what they computed."""
        inception_weights.load()  # Says what to do where there are none.
        with tempfile.TemporaryDirectory() as folder:
            return self._measure(Path(folder))

    def _measure(self, folder):
        batch = folder / "batch.npy"
        shape = (self.batch_size, SIDE, SIDE, 1)
        rng = np.random.default_rng(0)
        np.save(batch, rng.uniform(-1, 1, shape).astype(np.float32))
        commands = {"jaxsyn": [sys.executable, "-m", "benchmarks.inception"]}
        for variant in self.peer_variants if self.peer_python else ():
            commands[f"torch, {variant}"] = [
                *(self.peer_python, "-m", "benchmarks.peers.torch_inception"),
                *("--archive", self.peer_archive, "--variant", variant),
            ]
        outs = {name: folder / f"{i}.npy" for i, name in enumerate(commands)}
        for name, command in commands.items():
            command += ["--batch", batch, "--out", outs[name]]
        timings, facts = take_turns(commands, self.rounds, self.steps)
        usual = {
            name: report.median_and_best([clock for clock, _ in timing])
            for name, timing in timings.items()
        }
        peers = {n: median for n, (median, _) in usual.items() if n != "jaxsyn"}
        best_peer = min(peers, key=peers.get) if peers else None
        error = _error(outs["jaxsyn"], outs[best_peer]) if peers else None
        rows = [
            (
                name,
                self.batch_size / median,
                self.batch_size / best,
                report.median_and_best([c for _, c in timings[name]])[0]
                / self.batch_size,
                facts[name]["first_step_s"],
                facts[name]["peak_mib"],
                error if name == "jaxsyn" else None,
                peers[best_peer] / median if peers and name == "jaxsyn" else None,
            )
            for name, (median, best) in usual.items()
        ]
        notes = NOTES.format(
            side=SIDE, batch=self.batch_size, rounds=self.rounds, steps=self.steps
        )
        return report.Table("Inception-v3's features", COLUMNS, rows, notes)


def _error(own, peer):
    found, expected = np.load(own), np.load(peer)
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def make_work(batch_file, out_file):
    """Our side: the extractor on one batch."""
    import jax

    from jaxsyn.metrics.inception import Inception

    images = np.load(batch_file)
    extract = Inception.load(batch_size=len(images))
    np.save(out_file, extract(images))
    facts = {"framework": f"jax {jax.__version__}"}
    return worker.Work(step=lambda: extract(images), facts=facts)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", required=True)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    worker.serve(lambda: make_work(args.batch, args.out))


if __name__ == "__main__":
    main()
