import dataclasses
import json
import os
import shutil
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsyn.engine import writers
from jaxsyn.engine.checkpoint import Checkpoints
from jaxsyn.engine.interrupt import Preempted
from jaxsyn.engine.loop import Cadence, DivergedError, Run
from jaxsyn.engine.mesh import Layout
from jaxsyn.engine.optimizers import Adam, ema_decay
from jaxsyn.engine.step import Engine
from jaxsyn.engine.system import Stage
from jaxsyn.errors import CheckpointError, ResourceError
from toys import Penalised, Pix2Pix, assert_equal, leaves, make_batch


class ToyFeed:
    """Batches that are a function of the step; calls `at` before each."""

    resident = {}

    def __init__(self, at=lambda step: None):
        self.at = at

    def batches(self, start_step, batch_size):
        step = start_step
        while True:
            self.at(step)
            yield make_batch(step, batch_size)
            step += 1

    def prepare(self, raw, resident, key):
        noise = jax.random.normal(key, raw["image"].shape)  # Augmentation's key.
        return raw | {"image": raw["image"] + 0.1 * noise}


def make_run(folder, system=None, *, steps=8, feed=None, sample=None, **cadence):
    system = system or Pix2Pix(noise="step")
    adam = Adam(learning_rate=1e-3).build(steps)
    checkpoints = Checkpoints(folder / "checkpoints", keep=10)
    return Run(
        engine=Engine(
            system=system,
            optimizers={name: adam for name in system.networks},
            ema_decays={name: ema_decay(0.99) for name in list(system.networks)[:1]},
        ),
        stages=(Stage(start=0, stop=steps, image_size=8, batch_size=8),),
        feed=feed or ToyFeed(),
        layout=Layout.over(),
        checkpoints=checkpoints,
        writer=writers.JsonlWriter(
            folder / "metrics.jsonl", resume_step=checkpoints.latest() or 0
        ),
        sample=sample or (lambda state, step: None),
        meta={"who": "toy"},
        cadence=Cadence(**{"log_every": 1, "checkpoint_every": 3, **cadence}),
    )


def train(folder, **options):
    run = make_run(folder, **options)
    state = run.train(run.resume_or_init())
    run.checkpoints.close()
    run.writer.close()
    return state


def stop_at(step):
    """A feed that sends SIGTERM to its own process before `step`."""

    def at(now):
        if now == step:
            os.kill(os.getpid(), signal.SIGTERM)

    return ToyFeed(at)


@pytest.mark.parametrize("make", [Penalised, Pix2Pix])
def test_stopped_and_resumed_is_bit_for_bit_undisturbed(make, tmp_path):
    whole = train(tmp_path / "whole", system=make())
    parts = tmp_path / "parts"
    with pytest.raises(Preempted, match="Stopped by SIGTERM after step 5"):
        train(parts, system=make(), feed=stop_at(4))
    resumed = train(parts, system=make())
    assert int(resumed.step) == 8
    assert_equal(whole, resumed)
    metrics = [(tmp_path / n / "metrics.jsonl").read_text() for n in ("whole", "parts")]
    assert metrics[0] == metrics[1]
    assert len(metrics[0].splitlines()) == 8


def test_a_checkpoint_is_the_state_at_its_step_though_training_went_on(tmp_path):
    # The state is donated to the next step while it is being saved.
    states = {}

    def keep(state, step):
        states[step] = leaves(state)

    run = make_run(tmp_path, sample=keep, sample_every=1)
    run.train(run.init())
    for step in (3, 6, 8):
        restored = run.checkpoints.restore(step, run.abstract_state())
        assert_equal(states[step], leaves(restored))
        assert run.checkpoints.meta(step) == {"who": "toy"}


def test_the_same_seed_gives_the_same_run_and_another_does_not(tmp_path):
    first, second = (train(tmp_path / n) for n in "ab")
    assert_equal(first, second)
    run = make_run(tmp_path / "c")
    other = dataclasses.replace(run.engine, seed=1)
    third = dataclasses.replace(run, engine=other)
    third = third.train(third.init())
    pairs = zip(leaves(first.params), leaves(third.params), strict=True)
    assert any((a != b).any() for a, b in pairs)


def test_divergence_names_the_term_and_the_step(tmp_path):
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Diverging(Pix2Pix):
        def g(self, nets, batch, memory):
            loss = super().g(nets, batch, memory)
            broken = jnp.where(nets.step == 4, jnp.nan, loss.terms["l1"])
            return dataclasses.replace(loss, terms={**loss.terms, "l1": broken})

    run = make_run(tmp_path, Diverging(noise="step"))
    with pytest.raises(DivergedError, match="generator/l1 is nan at step 5"):
        run.train(run.init())
    run.checkpoints.wait()
    assert run.checkpoints.latest() == 3  # Not the diverged one.
    restored = run.checkpoints.restore(3, run.abstract_state())
    assert all(np.isfinite(x).all() for x in leaves(restored.params))
    last = (tmp_path / "metrics.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["generator/l1"] == "nan"


def test_a_checkpoint_of_other_networks_is_refused(tmp_path):
    train(tmp_path)
    run = make_run(tmp_path, Penalised())
    with pytest.raises(CheckpointError, match="cannot be restored"):
        run.resume_or_init()


def test_reading_where_there_are_none(tmp_path):
    with pytest.raises(CheckpointError, match="No checkpoints in"):
        Checkpoints(tmp_path / "none", readonly=True)


def test_a_full_disk_is_said_before_it_is_written_to(tmp_path, monkeypatch):
    run = make_run(tmp_path)
    run.train(run.init())
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: full)
    with pytest.raises(ResourceError, match="No space left in .* takes"):
        run.checkpoints.save(run.init(), 99, {})
    assert run.checkpoints.latest() == 8
