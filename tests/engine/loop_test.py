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
from jaxsyn.engine.loop import Cadence, Run
from jaxsyn.engine.mesh import Layout
from jaxsyn.engine.optimizers import Adam, ema_decay
from jaxsyn.engine.step import Engine
from jaxsyn.engine.system import Stage
from jaxsyn.engine.watch import DivergedError
from jaxsyn.errors import CheckpointError, ResourceError
from toys import Penalised, Pix2Pix, assert_close, assert_equal, leaves, make_batch


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


def make_run(
    folder,
    system=None,
    *,
    steps=8,
    feed=None,
    sample=None,
    layout=None,
    at_once=1,
    **cadence,
):
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
        layout=layout or Layout.over(),
        steps_per_dispatch=at_once,
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


@pytest.mark.parametrize("make", [Penalised, Pix2Pix])
def test_steps_dispatched_at_once_are_the_same_steps(make, tmp_path):
    seen = []
    one = train(tmp_path / "one", system=make(), checkpoint_every=4, sample_every=3)
    several = train(
        tmp_path / "several",
        system=make(),
        checkpoint_every=4,
        at_once=2,
        sample=lambda state, step: seen.append((step, int(state.step))),
        sample_every=3,
    )
    assert_close(one, several, rtol=1e-5, atol=1e-6)
    assert seen == [(3, 3), (6, 6)]
    lines = (tmp_path / "several" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 9))


def test_only_steps_alike_with_nothing_between_them_are_dispatched_at_once(tmp_path):
    run = make_run(tmp_path, Penalised(every=4), at_once=2, steps=9, checkpoint_every=8)
    counts = [run._at_once(step, run.stages[0]) for step in range(9)]
    #          0 differs from 1; 3 from 4; 7 from 8; 8 is the last.
    assert counts == [1, 2, 2, 1, 1, 2, 2, 1, 1]


@pytest.mark.parametrize("shard", ["optimizer", "all"])
def test_a_state_split_over_devices_trains_alike(shard, tmp_path):
    whole = train(tmp_path / "whole")
    split = train(tmp_path / "split", layout=Layout.over(shard=shard))
    assert_close(whole.params, split.params, rtol=1e-3, atol=1e-4)
    moments = jax.tree.leaves(split.opt)
    assert any(not x.sharding.is_fully_replicated for x in moments)
    params = jax.tree.leaves(split.params)
    assert shard == "all" or all(x.sharding.is_fully_replicated for x in params)


def test_a_checkpoint_is_restored_on_other_devices(tmp_path):
    split = train(tmp_path, layout=Layout.over(shard="all"))
    run = make_run(tmp_path, layout=Layout.over(jax.devices()[:2]))
    assert_equal(split, run.resume_or_init())


class ClosingFeed(ToyFeed):
    """Notes when its batches are let go of."""

    closed = False

    def batches(self, start_step, batch_size):
        try:
            yield from super().batches(start_step, batch_size)
        finally:
            self.closed = True


@pytest.mark.parametrize("fails", [False, True])
def test_readers_end_with_the_training(fails, tmp_path):
    def sample(state, step):
        if fails and step == 2:
            raise ZeroDivisionError

    feed = ClosingFeed()
    run = make_run(tmp_path, feed=feed, sample=sample, sample_every=1)
    state = run.init()
    feed.closed, error = False, None
    try:
        run.train(state)
    except ZeroDivisionError as raised:
        error = raised  # And with it the frame that has the iterator.
    assert (error is not None) == fails
    assert feed.closed


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
