"""HD95 and ASSD of a whole tumour, beside the tools that papers took them from."""

from pathlib import Path
import subprocess
import sys
import tempfile

import nibabel
import numpy as np
from scipy import ndimage

from benchmarks import report, slices
from benchmarks.turns import take_turns

PEERS = {
    "medpy": "medpy.metric.binary",
    "monai": "monai.metrics",
    "surface-distance": "surface_distance",
}
COLUMNS = (
    "",
    "s a pair, median",
    "best",
    "core s a pair",
    "peak, MiB",
    "HD95, mm",
    "ASSD, mm",
    "× jaxsyn",
)
NOTES = (
    "One whole tumour against itself, dilated by a voxel and shifted by two, at 1 mm;"
    " both metrics together. The processes take turns: {rounds} rounds. HD95 differs by"
    " definition: pooled (jaxsyn, MedPy), the larger of two percentiles (MONAI), that"
    " weighted by area (surface-distance). Aim: at most 0.05 s."
)


def measure(source_dir: Path, rounds: int, peer_python: str = "") -> report.Table:
    """Times jaxsyn and those of the peers that `peer_python` can import."""
    tools = {"jaxsyn": sys.executable}
    tools |= {peer: peer_python for peer in PEERS if _has(peer_python, PEERS[peer])}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "masks.npz"
        np.savez(file, **_masks(source_dir))
        commands = {
            tool: [
                *(python, "-m", "benchmarks.peers.surface_distances"),
                *("--tool", tool, "--masks", file),
            ]
            for tool, python in tools.items()
        }
        timings, facts = take_turns(commands, rounds, steps=1)
    took = {
        tool: [report.median_and_best(seconds) for seconds in zip(*pairs, strict=True)]
        for tool, pairs in timings.items()
    }
    rows = [
        (
            tool,
            *clock,
            processor[0],
            facts[tool]["peak_mib"],
            facts[tool]["hd95"],
            facts[tool]["assd"],
            clock[0] / took["jaxsyn"][0][0],
        )
        for tool, (clock, processor) in took.items()
    ]
    title = "Surface distances of a BraTS whole tumour"
    return report.Table(title, COLUMNS, rows, NOTES.format(rounds=rounds))


def _has(python, module):
    if not python:
        return False
    found = subprocess.run([python, "-c", f"import {module}"], capture_output=True)
    return found.returncode == 0


def _masks(source_dir):
    case = slices.usable_cases(source_dir)[0]
    label = np.asarray(nibabel.load(case.label.path).dataobj)
    reference = np.ascontiguousarray(label > 0)
    grown = ndimage.binary_dilation(reference)
    return {"prediction": np.roll(grown, 2, axis=0), "reference": reference}
