"""A worker that runs jaxsyn's own training step; see `benchmarks.worker`."""

import argparse
import importlib
import json
import time

import jax
import numpy as np

from benchmarks import worker
from jaxsyn import systems
from jaxsyn.data import device
from jaxsyn.engine import host_memory, optimizers
from jaxsyn.engine.step import Engine
from jaxsyn.engine.system import Stage
from jaxsyn.nn import sparse_modulation
from jaxsyn.spec import DataSpec, Label

MODALITIES = ("t1", "t1ce", "t2", "flair")
LABELS = ("background", "necrotic", "oedema", "enhancing", "brain")


def make_step(config, batch_file, options, dense):
    """The compiled step of a configuration on one batch, and what is known about it.

    Args:
      config: A module of configs/.
      batch_file: Of `slices.batch`.
      options: Of its system, where they are not the configuration's.
      dense: Whether gamma and beta are computed at every pixel.
    """
    jax.config.update("jax_enable_compilation_cache", False)  # Compiling is timed.
    if dense:
        sparse_modulation.pays = lambda *_: False
    config = importlib.import_module(f"configs.{config}").get_config().to_dict()
    stored = np.load(batch_file)
    spec = DataSpec(
        image_size=stored["label"].shape[1],
        modalities=MODALITIES,
        labels=tuple(Label(name=label) for label in LABELS),
    )
    batch = {
        "image": jax.numpy.asarray(stored["image"]),
        **device.label_features(jax.numpy.asarray(stored["label"]), spec),
        "position": jax.numpy.full(len(stored["label"]), 0.5),
    }
    engine = _engine(config, options, spec)
    size, count = spec.image_size, len(stored["label"])
    stage = Stage(start=0, stop=1000, image_size=size, batch_size=count)
    init = jax.jit(
        engine.init,
        static_argnames="stage",
        compiler_options={"xla_backend_optimization_level": 0},
    )
    state = init(batch, stage=stage)
    start = time.perf_counter()
    compiled = (
        jax.jit(engine.step, static_argnames=("stage", "due"), donate_argnums=0)
        .lower(state, batch, stage=stage, due=engine.due(0))
        .compile()
    )
    facts = {
        "framework": f"jax {jax.__version__}",
        "compile_s": time.perf_counter() - start,
        "gflop_per_image": compiled.cost_analysis()["flops"] / count / 1e9,
        "temporary_mib": compiled.memory_analysis().temp_size_in_bytes / 2**20,
    }
    holder = [state]

    def step():
        holder[0], scalars = compiled(holder[0], batch)
        return jax.block_until_ready(scalars)

    return step, facts


def _engine(config, options, spec):
    system = systems.build({**config["system"], **options}, spec)
    adams = {
        network: optimizers.Adam(**settings)
        for network, settings in config["optimizers"].items()
    }
    return Engine(
        system=system,
        optimizers=optimizers.build(adams, system.networks, steps=1000),
        ema_decays={},
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", required=True)
    parser.add_argument("--config", default="spade_brats", help="of configs/")
    parser.add_argument("--options", default="{}", help="of its system, as JSON")
    parser.add_argument("--dense", action="store_true", help="no sparse modulation")
    args = parser.parse_args()
    host_memory.keep_freed_memory()
    options = json.loads(args.options)
    worker.serve(lambda: make_step(args.config, args.batch, options, args.dense))


if __name__ == "__main__":
    main()
