"""A U-Net's training steps a second, in turn with the same network in PyTorch."""

import json
from pathlib import Path
import sys
import tempfile

from benchmarks import report, slices
from benchmarks.train import TORCH_VARIANTS, take_turns

# Channels of the first of four levels and images a step, by size.
SHAPES = {64: (32, 8), 128: (32, 8), 256: (64, 2)}
COLUMNS = (
    "step",
    "images/s, median",
    "best",
    "ms a step",
    "core s an image",
    "first step, s",
    "peak, MiB",
    "× peer",
)
NOTES = (
    "Paper 000's evaluator: two 3x3 convolutions a level, batch norm, cross-entropy,"
    " Adam. The processes take turns: {rounds} rounds of {steps} steps each. × peer:"
    " median over that of the best PyTorch variant at the size."
)


def measure(
    source_dir: Path,
    sizes: tuple[int, ...],
    rounds: int,
    steps: int,
    peer_python: str = "",
    variants: tuple[str, ...] = TORCH_VARIANTS,
) -> report.Table:
    """Times both at every size; without an interpreter of the peer, jaxsyn alone."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            file = Path(folder) / f"{size}.npz"
            slices.batch(source_dir, size, SHAPES[size][1], file)
            rows += _measure_size(size, file, rounds, steps, peer_python, variants)
    notes = NOTES.format(rounds=rounds, steps=steps)
    return report.Table("U-Net training steps", COLUMNS, rows, notes)


def _measure_size(size, file, rounds, steps, peer_python, variants):
    width, count = SHAPES[size]
    widths = [width * 2**i for i in range(5)]
    name = f"unet {size} px, {width} channels, batch {count}"
    commands = {
        name: [
            *(sys.executable, "-m", "benchmarks.train_step", "--batch", file),
            *("--config", "judge_borde_brats"),
            *("--options", json.dumps({"widths": widths})),
        ]
    }
    for variant in variants if peer_python else ():
        commands[f"torch {size} px, {variant}"] = [
            *(peer_python, "-m", "benchmarks.peers.torch_unet"),
            *("--batch", file, "--width", str(width), "--variant", variant),
        ]
    timings, facts = take_turns(commands, rounds, steps)
    usual = {
        tool: report.median_and_best([clock for clock, _ in timing])
        for tool, timing in timings.items()
    }
    peers = [median for tool, (median, _) in usual.items() if tool != name]
    return [
        (
            tool,
            count / median,
            count / best,
            1000 * median,
            report.median_and_best([core for _, core in timings[tool]])[0] / count,
            facts[tool]["first_step_s"],
            facts[tool]["peak_mib"],
            min(peers) / median if peers and tool == name else None,
        )
        for tool, (median, best) in usual.items()
    ]
