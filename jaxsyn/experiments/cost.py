"""What an experiment's cells will cost, before they are run."""

import collections
from collections.abc import Mapping
import functools
import json
from pathlib import Path
import statistics
import time

import jax
import jax.numpy as jnp
from tqdm import tqdm

from jaxsyn import settings, systems
from jaxsyn.data import device
from jaxsyn.data.feed import DataSettings
from jaxsyn.engine.system import Stage
from jaxsyn.experiments.plan import Cell, Plan
from jaxsyn.experiments.state import CellState
from jaxsyn.train import TrainSettings, build_engine

_TRAINED = ("train", "judge")
_CYCLE = 16  # Steps after which the lazy phases of every system repeat.
_MATRIX_SIDE = 2048
# Of the rate of large matrix products; training steps reached a fifth to a half.
_EFFICIENCY = 0.3


def table(plan: Plan, states: Mapping[str, CellState], workdir: Path) -> str:
    """The cells, and how long those will take that are missing, in Markdown.

    The data are prepared if they are not, since their number decides. Operations are
    counted in the training step as XLA is given it; seconds follow from the rate that
    finished cells reached here, or a share of that of this machine's matrix products.
    Rendering and measuring are not counted.

    Raises:
      JaxsynError: A configuration or its data cannot be used.
    """
    work = {}
    for name, cell in tqdm(plan.cells.items(), desc="Counting", unit="cell"):
        work[name] = operations(cell, workdir)
    rate, origin = _rate(work, states)
    lines = ["| cell | needs | Tera-operations | time |", "|---|---|---|---|"]
    left = 0.0
    for name, cell in plan.cells.items():
        if done := states[name].done:
            took = f"finished in {_duration(done['seconds'])}"
        else:
            left += work[name] / rate
            took = _duration(work[name] / rate) if work[name] else "not counted"
        needs = ", ".join(cell.needs) or "–"
        lines.append(f"| {name} | {needs} | {_tera(work[name])} | {took} |")
    return "\n".join(
        [
            *lines,
            "",
            f"{len(plan.cells)} cells; about {_duration(left)} are left at"
            f" {rate / 1e9:,.0f} GFLOP/s, {origin}.",
        ]
    )


def operations(cell: Cell, workdir: Path) -> float:
    """Floating-point operations of all training steps of a cell; 0 of other jobs."""
    if cell.config["job"] not in _TRAINED:
        return 0.0
    config = cell.located(workdir)
    rows = len(config.get("rows", [""]))
    key = ("depth", "data", "system", "optimizers", "train")
    return rows * _operations(json.dumps({k: config[k] for k in key if k in config}))


@functools.cache  # U-Nets of different rows and seeds take the same steps.
def _operations(config: str) -> float:
    config = json.loads(config)
    data = DataSettings.from_config(config["data"])
    prepared = data.open(Path(data.prepared_dir))
    training = settings.build(TrainSettings, config["train"], "config.train")
    depth = config.get("depth", 0)
    system = systems.build(config["system"], prepared.spec)
    system = system.fitted(prepared.cache("train"))
    count = len(data.slices_of(prepared, "train", depth))
    stages = system.stages(training.stage(count, prepared.spec.image_size))
    engine = build_engine(
        config["optimizers"], training, system, stages[-1].stop, seed=0
    )
    return sum(
        (stage.stop - stage.start) * _of_a_step(engine, stage, prepared.spec, depth)
        for stage in stages
    )


def _of_a_step(engine, stage: Stage, spec, depth: int) -> float:
    """Operations of a step, the mean over the cycle of its phases."""
    size = stage.image_size
    shape = (stage.batch_size, *([depth] if depth else []), size, size)

    def batch_of(image, label):
        position = jnp.zeros(stage.batch_size)
        return {**device.features(image, label, spec), "position": position}

    batch = jax.eval_shape(
        batch_of,
        jax.ShapeDtypeStruct((*shape, len(spec.modalities)), jnp.uint16),
        jax.ShapeDtypeStruct(shape, jnp.uint8),
    )
    state = jax.eval_shape(functools.partial(engine.init, stage=stage), batch)
    step = jax.jit(engine.step, static_argnames=("stage", "due"))
    phases = collections.Counter(engine.due(i) for i in range(_CYCLE))
    return sum(
        times
        / _CYCLE
        * step.lower(state, batch, stage=stage, due=due).cost_analysis()["flops"]
        for due, times in phases.items()
    )


def _rate(work, states) -> tuple[float, str]:
    """Operations a second that cells reach, and how that is known."""
    reached = [
        work[name] / state.done["seconds"]
        for name, state in states.items()
        if work[name] and state.done
    ]
    if reached:
        return statistics.median(reached), "as the finished cells"
    rate = _EFFICIENCY * _matrix_rate()
    return rate, f"{_EFFICIENCY:.0%} of what matrix products reach on this machine"


def _matrix_rate() -> float:
    matrix = jnp.ones((_MATRIX_SIDE, _MATRIX_SIDE))
    multiply = jax.jit(jnp.matmul)
    multiply(matrix, matrix).block_until_ready()
    began = time.perf_counter()
    multiply(matrix, matrix).block_until_ready()
    return 2 * _MATRIX_SIDE**3 / (time.perf_counter() - began)


def _tera(operations: float) -> str:
    tera = operations / 1e12
    return f"{tera:,.0f}" if tera >= 100 else f"{tera:.2g}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.1f} h"
