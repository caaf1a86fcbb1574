"""A worker that runs jaxsyn's own training step; see `benchmarks.worker`."""

import argparse
import collections
import functools
import json
import math
import os
from pathlib import Path
import time

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import cases, worker
from jaxsyn import systems
from jaxsyn.data import device, pipeline
from jaxsyn.data.blocks import Blocks
from jaxsyn.data.cache import Cache
from jaxsyn.engine import host_memory, optimizers
from jaxsyn.engine.step import Engine
from jaxsyn.engine.system import Stage
from jaxsyn.nn import sparse_modulation
from jaxsyn.spec import DataSpec

STEPS = 1000  # Of the training that learning rates are made for.
QUICKLY = {"xla_backend_optimization_level": 0}  # For what is run once, or never.


class Training:
    """A system's compiled steps, each fed with a batch by the thread reader.

    Attributes:
      facts: What is known once the steps are compiled.
      programs: The HLO of what was compiled.
      at_once: How many steps a call of `step` makes.
    """

    def __init__(self, folder: Path):
        """Compiles them.

        Args:
          folder: With "case.json", which `benchmarks.train` writes. The batch of the
            first step is put there for a peer, as "batch.npz".
        """
        case = json.loads((folder / "case.json").read_text())
        data = Path(case["data"])
        self._spec = DataSpec.from_json(json.loads((data / "spec.json").read_text()))
        self._engine = _engine(case, self._spec)
        self._modulates = case["system"]["name"] in cases.MODULATED
        self._stage = Stage(
            start=0,
            stop=STEPS,
            image_size=self._spec.image_size,
            batch_size=case["batch_size"],
        )
        self._feed = _feed(data, case)
        first = next(self._feed)
        batch = jax.jit(self._prepare)(first)
        np.savez(folder / "batch.npz", **jax.device_get(batch))
        init = functools.partial(self._engine.init, stage=self._stage)
        self._state = jax.jit(init, compiler_options=QUICKLY)(batch)
        self._dues = [self._engine.due(step) for step in range(worker.CYCLE)]
        on_cpu = jax.default_backend() == "cpu"
        is_lazy = len(set(self._dues)) > 1
        self.at_once = worker.CYCLE if is_lazy or not on_cpu else 1
        start = time.perf_counter()
        self._compiled = self._compile(first)
        self.programs = [step.as_text() for step in self._compiled.values()]
        self.facts = {
            "framework": f"jax {jax.__version__}",
            "compile_s": time.perf_counter() - start,
            "gflop_per_image": self._gflop(first) / case["batch_size"],
            "parameters": {
                name: sum(leaf.size for leaf in jax.tree.leaves(tree))
                for name, tree in self._state.params.items()
            },
        }
        self._done, self._waited, self._took = 0, 0.0, 0.0

    def step(self) -> None:
        """Makes as many steps as are made at once; their losses must be finite."""
        start = time.perf_counter()
        for _ in range(self.at_once):
            asked = time.perf_counter()
            raw = next(self._feed)
            self._waited += time.perf_counter() - asked
            advance = self._compiled[self._dues[self._done % worker.CYCLE]]
            self._state, scalars = advance(self._state, raw)
            self._done += 1
        scalars = jax.device_get(scalars)
        self._took += time.perf_counter() - start
        if not all(map(math.isfinite, scalars.values())):
            raise FloatingPointError(f"Scalars are {scalars}.")

    def found(self) -> dict[str, float]:
        """The share of time that was spent waiting for data; a device's memory."""
        found = {"wait_share": self._waited / self._took}
        memory = jax.devices()[0].memory_stats()
        if memory and "peak_bytes_in_use" in memory:
            found["peak_mib"] = memory["peak_bytes_in_use"] / 2**20
        return found

    def _prepare(self, raw):
        features = device.features(raw["image"], raw["label"], self._spec)
        return {**features, "position": raw["position"]}

    def _compile(self, raw, **options):
        """A step of each kind that a cycle has."""

        def advance(state, raw, due):
            batch = self._prepare(raw)
            return self._engine.step(state, batch, stage=self._stage, due=due)

        step = jax.jit(advance, static_argnums=2, donate_argnums=0)
        return {
            due: step.lower(self._state, raw, due).compile(compiler_options=options)
            for due in dict.fromkeys(self._dues)
        }

    def _gflop(self, raw):
        """Of a step, the mean over a cycle, of networks that are dense."""
        compiled = self._compiled
        if self._modulates and sparse_modulation.pays is not _never:
            _leave_sparse_modulation_out()
            compiled = self._compile(raw, **QUICKLY)
        times = collections.Counter(self._dues)
        flops = sum(
            times[due] * step.cost_analysis()["flops"] for due, step in compiled.items()
        )
        return flops / worker.CYCLE / 1e9


def _engine(case, spec):
    system = systems.build(case["system"], spec)
    adams = {
        network: optimizers.Adam(**settings)
        for network, settings in case["optimizers"].items()
    }
    return Engine(
        system=system,
        optimizers=optimizers.build(adams, system.networks, steps=STEPS),
        ema_decays={},
        dtype=jnp.dtype(case["dtype"]),
    )


def _feed(data, case):
    """Batches of slices, or of volumes, as a training reads them."""
    cache = Cache.open(data / "slices", in_memory=True)
    if case["depth"]:
        cache = Blocks(cache, case["depth"])
    batch_size = case["batch_size"]
    return pipeline.batches(cache, batch_size=batch_size, seed=0, reader="thread")


def _leave_sparse_modulation_out():
    sparse_modulation.pays = _never


def _never(*_):
    return False


def main():
    """Runs the worker."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--dense", action="store_true", help="no sparse modulation")
    args = parser.parse_args()
    # The peers' processes need some of an accelerator's memory, too.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    host_memory.keep_freed_memory()
    jax.config.update("jax_enable_compilation_cache", False)  # Compiling is timed.
    if args.dense:
        _leave_sparse_modulation_out()

    def make_work():
        training = Training(args.folder)
        return worker.Work(
            step=training.step,
            facts=training.facts,
            at_once=training.at_once,
            found=training.found,
        )

    worker.serve(make_work)


if __name__ == "__main__":
    main()
