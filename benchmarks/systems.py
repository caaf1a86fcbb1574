"""Training steps a second of every label-to-image system, as its paper has it."""

from collections.abc import Sequence
from pathlib import Path
import sys
import tempfile

from benchmarks import report, slices
from benchmarks.train import take_turns

# Configurations of configs/; the modulated ones are measured dense, too.
MODULATED = ("spade_brats", "borde_brats", "sean_brats")
CONFIGS = (
    *MODULATED,
    "pix2pix_brats",
    "shin_brats",
    "pix2pixhd_brats",
    "cyclegan_brats",
    "samr_brats",
    "platscher_brats",
)
COLUMNS = (
    "step",
    "images/s, median",
    "best",
    "core s an image",
    "GFLOP an image",
    "temporary, MiB",
    "peak, MiB",
    "compile, s",
    "× dense",
)
NOTES = (
    "Published widths, one image a step, all updates of a step together; {rounds}"
    " rounds of {steps} steps each. GFLOP: XLA's cost analysis, which counts a loop's"
    " body once, so it is less than the truth where modulation is sparse. Temporary:"
    " what XLA allocates for the step beside the state. Peak: resident memory of the"
    " process, compilation included."
)


def measure(
    source_dir: Path,
    sizes: Sequence[int],
    configs: Sequence[str],
    rounds: int,
    steps: int,
) -> report.Table:
    """Times a step of every configuration at every size, one after another."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            file = Path(folder) / f"{size}.npz"
            slices.batch(source_dir, size, 1, file)
            for config in configs:
                rows += _measure_config(config, size, file, rounds, steps)
    notes = NOTES.format(rounds=rounds, steps=steps)
    return report.Table("Training steps of all systems", COLUMNS, rows, notes)


def _measure_config(config, size, file, rounds, steps):
    command = [sys.executable, "-m", "benchmarks.train_step"]
    command += ["--config", config, "--batch", file]
    name = f"{config.removesuffix('_brats')} {size} px"
    commands = {name: command}
    if config in MODULATED:
        commands[f"{name}, dense"] = [*command, "--dense"]
    timings, facts = take_turns(commands, rounds, steps)
    clock = {
        variant: report.median_and_best([clock for clock, _ in timing])
        for variant, timing in timings.items()
    }
    dense = clock.get(f"{name}, dense")
    return [
        (
            variant,
            1 / median,
            1 / best,
            report.median_and_best([core for _, core in timings[variant]])[0],
            facts[variant]["gflop_per_image"],
            facts[variant]["temporary_mib"],
            facts[variant]["peak_mib"],
            facts[variant]["compile_s"],
            dense[0] / median if dense and variant == name else None,
        )
        for variant, (median, best) in clock.items()
    ]
