"""A worker that runs jaxsyn's own training step; see `benchmarks.worker`."""

import argparse
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
from jaxsyn.spec import DataSpec, Label

MODALITIES = ("t1", "t1ce", "t2", "flair")
LABELS = ("background", "necrotic", "oedema", "enhancing", "brain")
# The learning rates and betas of each method's published trainer.
ADAMS = {
    "spade": {"generator": (1e-4, 0.0, 0.9), "discriminator": (4e-4, 0.0, 0.9)},
    "borde": {"generator": (1e-4, 0.0, 0.999), "discriminator": (1e-4, 0.0, 0.999)},
    "unet": {"segmenter": (1e-4, 0.9, 0.999)},
}


def make_step(name, batch_file, options):
    """The compiled step of a system on one batch, and what is known about it."""
    stored = np.load(batch_file)
    spec = DataSpec(
        image_size=stored["label"].shape[1],
        modalities=MODALITIES,
        labels=tuple(Label(name=label) for label in LABELS),
    )
    batch = {
        "image": jax.numpy.asarray(stored["image"]),
        **device.label_features(jax.numpy.asarray(stored["label"]), spec),
    }
    system = systems.build({"name": name, **options}, spec)
    adams = {
        network: optimizers.Adam(learning_rate=rate, b1=b1, b2=b2)
        for network, (rate, b1, b2) in ADAMS[name].items()
    }
    engine = Engine(
        system=system,
        optimizers=optimizers.build(adams, system.networks, steps=1000),
        ema_decays={},
    )
    size, count = spec.image_size, len(stored["label"])
    stage = Stage(start=0, stop=1000, image_size=size, batch_size=count)
    state = jax.jit(engine.init, static_argnames="stage")(batch, stage=stage)
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


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", required=True)
    parser.add_argument("--system", default="spade")
    parser.add_argument("--options", default="{}", help="of the system, as JSON")
    args = parser.parse_args()
    host_memory.keep_freed_memory()
    worker.serve(lambda: make_step(args.system, args.batch, json.loads(args.options)))


if __name__ == "__main__":
    main()
