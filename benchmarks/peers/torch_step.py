"""A worker that runs a peer's training step; see `benchmarks.worker`.

Started by `benchmarks.run` in an environment that has PyTorch.
"""

import argparse
import importlib
import json
import math
from pathlib import Path

import numpy as np
import torch

from benchmarks import worker


def make_work(system, folder, variant, dtype):
    """The step of `torch_{system}` on the batch in a folder of `slices.write`.

    Args:
      system: One of `benchmarks.cases.CONFIGS`.
      folder: With "case.json" and "batch.npz".
      variant: `eager`, or of `compiled` and `channels_last` one or both, with a plus.
      dtype: `float32` or `bfloat16`.
    """
    case = json.loads((Path(folder) / "case.json").read_text())
    module = importlib.import_module(f"benchmarks.peers.torch_{system}")
    with np.load(Path(folder) / "batch.npz") as arrays:
        training = module.Peer(case, dict(arrays), variant=variant, dtype=dtype)
    on_gpu = training.device == "cuda"
    at_once = worker.CYCLE if training.lazy or on_gpu else 1

    def step():
        for _ in range(at_once):
            training.step()
        losses = {name: loss.item() for name, loss in training.losses.items()}
        if not all(map(math.isfinite, losses.values())):
            raise FloatingPointError(f"Losses are {losses}.")

    def found():
        if not on_gpu:
            return {}
        return {"peak_mib": torch.cuda.max_memory_allocated() / 2**20}

    facts = {"framework": f"torch {torch.__version__}"}
    facts["parameters"] = parameters(training.networks)
    return worker.Work(step=step, facts=facts, at_once=at_once, found=found)


def parameters(networks):
    """How many each network has."""
    return {
        name: sum(p.numel() for p in network.parameters())
        for name, network in networks.items()
    }


def main():
    """Runs the worker."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--system", required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--variant", default="eager")
    parser.add_argument("--dtype", default="float32")
    args = parser.parse_args()
    worker.serve(lambda: make_work(args.system, args.folder, args.variant, args.dtype))


if __name__ == "__main__":
    main()
