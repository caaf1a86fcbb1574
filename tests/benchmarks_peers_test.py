"""PyTorch's peers are the same networks and make the same training steps as ours.

Skipped unless PyTorch is installed, or TORCH_PYTHON names an interpreter that has it.
"""

import functools
import importlib.util
import json
import math
import os
from pathlib import Path
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import cases, train
from fixtures import brats_spec, make_batch, make_volumes
from jaxsyn import systems
from jaxsyn.engine import optimizers
from jaxsyn.engine.step import Engine
from jaxsyn.engine.system import Stage

ROOT = Path(__file__).parents[1]
PYTHON = os.environ.get("TORCH_PYTHON") or (
    sys.executable if importlib.util.find_spec("torch") else ""
)
needs_torch = pytest.mark.skipif(not PYTHON, reason="needs PyTorch")
SIZE = 32
NAMES = {  # What peers call the phases.
    "discriminator": "critic",
    "critics": "critic",
    "generators": "generator",
}
# No part of what is descended.
OTHERS = ("grad_norm", "length", "wasserstein")
# Random numbers that cannot be made alike are left out.
OPTIONS = {"dropout": 0.0, "mixing": 0.0, "kernel_init": "he", "pool_size": 50}
WAVES = {
    "normal": lambda i: 2 * np.sin(i + 1, dtype=np.float32),
    "uniform": lambda i: 0.5 + 0.5 * np.sin(i, dtype=np.float32),
}


def pattern(wave):
    """What stands in for a function of random numbers."""

    def draw(key, shape=(), dtype=jnp.float32, **_):
        del key
        values = wave(np.arange(math.prod(shape))).reshape(shape)
        return jnp.asarray(values, dtype)

    return draw


def make_engine(case, spec):
    system = systems.build(case["system"], spec)
    adams = {k: optimizers.Adam(**v) for k, v in case["optimizers"].items()}
    built = optimizers.build(adams, system.networks, steps=1000)
    return Engine(system=system, optimizers=built, ema_decays={})


def prepare(folder, name, monkeypatch):
    """Writes what a peer needs, and returns our losses of two steps by phase."""
    folder.mkdir()
    case = json.loads(json.dumps(cases.load(name, "tiny")))
    known = {k: v for k, v in OPTIONS.items() if k in case["system"]}
    case["system"] |= known
    depth = cases.depth(case, SIZE)
    spec = brats_spec(SIZE)
    batch = make_volumes(spec, 4, depth) if depth else make_batch(spec, 4)
    (folder / "case.json").write_text(json.dumps(case | {"peer": name}))
    np.savez(folder / "batch.npz", **jax.device_get(batch))
    engine = make_engine(case, spec)
    stage = Stage(start=0, stop=1000, image_size=SIZE, batch_size=4)
    quickly = {"xla_backend_optimization_level": 0}
    state = jax.jit(lambda: engine.init(batch, stage=stage), compiler_options=quickly)()
    np.savez(folder / "weights.npz", **flat(state.params))
    np.savez(folder / "spectral.npz", **vectors(state.stats))
    for function, wave in WAVES.items():
        monkeypatch.setattr(jax.random, function, pattern(wave))
    step = jax.jit(
        lambda state, due: engine.step(state, batch, stage=stage, due=due),
        static_argnums=1,
        compiler_options=quickly,
    )
    losses = []
    for i in range(2):
        due = engine.due(i)
        state, scalars = step(state, due)
        losses.append(
            {
                phase.name: phase.scale * total(scalars, phase.name)
                for phase in engine.system.phases
                if phase.name in due
            }
        )
    return losses


def flat(tree):
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {"/".join(p.key for p in path): np.asarray(leaf) for path, leaf in leaves}


def vectors(stats):
    """Spectral norms' u, named as the kernels they belong to."""
    found = {}
    for network, collections in stats.items():
        for name, value in flat(collections.get("spectral", {})).items():
            if name.endswith("norm/u"):
                found[f"{network}/{name.removesuffix('norm/u')}u"] = value
    return found


def total(scalars, phase):
    return sum(
        float(value)
        for name, value in scalars.items()
        if name.startswith(f"{phase}/") and name.split("/")[1] not in OTHERS
    )


def ask(*arguments):
    """What tests/torch_peers.py says."""
    done = subprocess.run(
        [PYTHON, ROOT / "tests" / "torch_peers.py", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_system_has_a_peer():
    assert [name for name in cases.CONFIGS if not train.has_peer(name)] == []


@needs_torch
def test_published_networks_have_as_many_parameters(tmp_path):
    spec, asked, expected = brats_spec(64), {}, {}
    stage = Stage(start=0, stop=1000, image_size=64, batch_size=2)
    for name in cases.CONFIGS:
        case = json.loads(json.dumps(cases.load(name)))
        depth = cases.depth(case, 64)
        sides = (depth, 64, 64) if depth else (64, 64)
        batch = make_volumes(spec, 2, depth) if depth else make_batch(spec, 2)
        init = functools.partial(make_engine(case, spec).init, stage=stage)
        params = jax.eval_shape(init, batch).params
        expected[name] = {
            network: sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))
            for network, tree in params.items()
        }
        asked[name] = case | {"peer": name, "sides": sides}
    (tmp_path / "cases.json").write_text(json.dumps(asked))
    assert ask("counts", tmp_path / "cases.json") == expected


@needs_torch
@pytest.mark.parametrize("name", cases.CONFIGS)
def test_steps_from_the_same_weights_lose_the_same(name, tmp_path, monkeypatch):
    # All parameters go by the same names; two steps, so that updates are equal, too.
    ours = prepare(tmp_path / name, name, monkeypatch)
    theirs = ask("steps", tmp_path / name)
    # Platscher's norm adds 0.001 to the deviation where theirs adds to the variance.
    near = name.startswith(("platscher", "wgan3d"))
    close = {"rel": 5e-3, "abs": 0.02} if near else {"rel": 1e-3}
    for own, other in zip(ours, theirs, strict=True):
        # Phases that are not due leave their last loss there.
        shared = {NAMES.get(phase, phase): loss for phase, loss in own.items()}
        assert {k: other[k] for k in shared} == pytest.approx(shared, **close)
