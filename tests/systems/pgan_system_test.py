import dataclasses
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fixtures import brats_spec, make_batch
from jaxsyn import systems
from jaxsyn.data.codec import MaskCodec
from jaxsyn.engine import writers
from jaxsyn.engine.checkpoint import Checkpoints
from jaxsyn.engine.interrupt import Preempted
from jaxsyn.engine.loop import Cadence, Run
from jaxsyn.engine.mesh import Layout
from jaxsyn.engine.nets import Nets
from jaxsyn.engine.step import Engine
from jaxsyn.engine.system import Stage
from jaxsyn.errors import UsageError
from jaxsyn.nn import growing, resample
from toys import assert_equal, leaves

SPEC = brats_spec(16)
SMALL = {"fmap_base": 64, "fmap_max": 8, "latent": 8}
OLD = Stage(start=0, stop=4, image_size=8, batch_size=4)
NEW = Stage(start=4, stop=99, image_size=16, batch_size=4, fade_steps=4)
WHOLE = Stage(start=0, stop=1, image_size=16, batch_size=4)


def build(spec=SPEC, **options):
    return systems.build({"name": "pgan", **SMALL, **options}, spec)


def engine_of(system, **options):
    adam = optax.adam(1e-3, b1=0.0, b2=0.99)
    return Engine(
        system=system,
        optimizers={name: adam for name in system.networks},
        ema_decays={"generator": lambda step: 0.9},
        **options,
    )


@pytest.fixture(scope="module")
def fresh():
    """A system's engine, and a state made with the first and smallest stage."""
    engine = engine_of(build())
    init = jax.jit(engine.init, static_argnames="stage")
    return engine, init(make_batch(SPEC, 4), stage=OLD)


def generate(engine, state, stage, batch=None, **options):
    made = jax.jit(engine.generate, static_argnames="stage")
    return made(state, batch or make_batch(SPEC, 4), stage=stage, **options)


class TestSchedule:
    @pytest.fixture
    def published(self):
        whole = Stage(start=0, stop=1_500_000, image_size=256, batch_size=8)
        return systems.build({"name": "pgan"}, brats_spec(256)).stages(whole)

    def test_sizes_and_batches_are_the_published(self, published):
        sizes = [stage.image_size for stage in published]
        assert sizes == [4, 8, 16, 32, 64, 128, 256]
        batches = [stage.batch_size for stage in published]
        assert batches == [128, 128, 128, 64, 32, 16, 8]

    def test_the_full_size_is_there_from_7200_thousand_images_on(self, published):
        seen = np.cumsum([s.batch_size * (s.stop - s.start) for s in published])
        # 600 thousand at 4 px and 1,200 thousand a size: to the next whole batch.
        assert [int(n) for n in seen] == [
            600_064,
            1_800_064,
            3_000_064,
            4_200_000,
            5_400_000,
            6_600_000,
            12_000_000,
        ]
        last = published[-1]
        assert last.fade_steps * last.batch_size == 600_000
        fades = [stage.fade_steps for stage in published]
        assert fades == [0, 4688, 4688, 9375, 18_750, 37_500, 75_000]

    def test_stages_follow_one_another_with_fresh_optimisers(self, published):
        assert published[0].start == 0
        for before, after in zip(published, published[1:], strict=False):
            assert before.stop == after.start
        resets = [stage.reset_optimizers for stage in published]
        assert resets == [False, *[True] * 6]
        assert {stage.rate for stage in published} == {1.0}

    def test_the_rate_rises_at_1024_px(self):
        whole = Stage(start=0, stop=4_000_000, image_size=1024, batch_size=4)
        spec = brats_spec(1024)
        stages = systems.build({"name": "pgan"}, spec).stages(whole)
        assert [s.rate for s in stages] == [1.0] * 8 + [1.5]
        rates = {64: 0.5}  # As a number, too.
        stages = systems.build({"name": "pgan", "rates": rates}, spec).stages(whole)
        assert [s.rate for s in stages] == [1.0] * 4 + [0.5] + [1.0] * 4

    def test_too_few_images_say_how_many_are_needed(self):
        system = build(fade_images=16, stable_images=16)
        # 16 at 4 px; 32 at 8; fading in 16 px takes 16 and one step 4.
        enough = Stage(start=0, stop=17, image_size=16, batch_size=4)
        assert system.stages(enough)[-1].alpha(16) == 1.0
        few = dataclasses.replace(enough, stop=16)
        with pytest.raises(UsageError, match="64 images .* 16 px: 68 are") as error:
            system.stages(few)
        assert "config.train.steps at least 17" in error.value.hint

    def test_a_training_that_begins_at_the_full_size_does_not_grow(self):
        whole = Stage(start=0, stop=3, image_size=16, batch_size=4)
        assert build(first_size=16).stages(whole) == (whole,)

    def test_a_fade_is_finished_before_the_next_begins(self):
        system = build(fade_images=10, stable_images=0, most_batch=4)
        whole = Stage(start=0, stop=50, image_size=16, batch_size=4)
        first, second, _ = system.stages(whole)
        assert first.stop == 0
        assert second.stop - second.start == second.fade_steps == 3

    def test_a_size_that_no_doubling_leads_to(self):
        with pytest.raises(UsageError, match="from 4 to 24 px"):
            engine_of(build(brats_spec(24))).init(make_batch(SPEC, 2), stage=OLD)


class TestGrowing:
    """At the moment when a size is added nothing changes."""

    def test_the_generator_makes_what_it_made_but_enlarged(self, fresh):
        engine, state = fresh
        state = state.replace(step=jnp.asarray(4))  # alpha is 0.
        before = generate(engine, state, OLD)
        np.testing.assert_array_equal(before, generate(engine, state, NEW))
        state = state.replace(step=jnp.asarray(6))  # alpha is a half.
        assert np.abs(generate(engine, state, NEW) - before).max() > 1e-2

    def test_the_critics_losses_are_what_they_were(self, fresh):
        engine, state = fresh
        state = state.replace(step=jnp.asarray(4))
        step = jax.jit(engine.step, static_argnames=("stage", "due"))
        old, new = (
            step(state, make_batch(SPEC, 4), stage=s, due=("critic",))[1]
            for s in (OLD, NEW)
        )
        for name in ("fake", "real", "drift", "wasserstein"):
            assert old[f"critic/{name}"] == pytest.approx(new[f"critic/{name}"]), name

    def test_the_critic_sees_the_difference_when_it_has_faded_in(self, fresh):
        engine, state = fresh
        critic, params = engine.system.networks["critic"], state.params["critic"]
        image = jax.random.normal(jax.random.key(0), (4, 16, 16, 1))

        def score(image, alpha=None):
            return critic.apply({"params": params}, image, alpha=alpha, train=True)

        small = growing.shrink(image)
        np.testing.assert_allclose(score(image, jnp.zeros(())), score(small))
        np.testing.assert_allclose(score(image, jnp.ones(())), score(image))
        assert np.abs(score(image) - score(small)).max() > 1e-3

    def test_real_images_fade_in_as_synthetic_ones_do(self, fresh):
        engine, state = fresh
        state, batch = state.replace(step=jnp.asarray(6)), make_batch(SPEC, 4)
        step = jax.jit(engine.step, static_argnames=("stage", "due"))
        _, scalars = step(state, batch, stage=NEW, due=("critic",))
        real = MaskCodec.of_spec(SPEC).encode(batch["label"])
        half = 0.5 * real + 0.5 * resample.upsample(growing.shrink(real))
        scores = engine.system.networks["critic"].apply(
            {"params": state.params["critic"]}, half, alpha=jnp.asarray(0.5), train=True
        )
        assert float(scalars["critic/real"]) == pytest.approx(
            -float(scores.mean()), rel=1e-4, abs=1e-6
        )

    def test_a_trained_generator_makes_the_full_size_wholly(self, fresh):
        engine, state = fresh
        state = state.replace(step=jnp.asarray(1000))
        np.testing.assert_allclose(
            generate(engine, state, WHOLE), generate(engine, state, NEW), rtol=1e-6
        )

    @pytest.mark.parametrize(
        ("stage", "unused"),
        [(OLD, ("_16'", "image_4'")), (NEW, ("image_4'",))],
        ids=["8 px", "16 px fading in"],
    )
    def test_a_stage_moves_what_its_size_needs_and_only_that(
        self, fresh, stage, unused
    ):
        engine, state = fresh
        before = state.replace(step=jnp.asarray(stage.start + 2))
        step = jax.jit(engine.step, static_argnames=("stage", "due"))
        after, scalars = step(
            before, make_batch(SPEC, 4), stage=stage, due=engine.due(0)
        )
        assert all(np.isfinite(v) for v in jax.device_get(scalars).values())
        for (path, old), new in zip(
            jax.tree_util.tree_leaves_with_path(before.params),
            jax.tree.leaves(after.params),
            strict=True,
        ):
            name = jax.tree_util.keystr(path)
            still = any(part in name for part in unused)
            assert np.array_equal(old, new) == still, name


class TestGeneration:
    def test_label_maps_are_made_of_the_seed_alone(self, fresh):
        engine, state = fresh
        one = generate(engine, state, WHOLE, seed=1)
        other_labels = make_batch(SPEC, 4, seed=9)
        again = generate(engine, state, WHOLE, other_labels, seed=1)
        np.testing.assert_array_equal(one, again)
        assert one.shape == (4, 16, 16, 1)
        assert np.abs(one - generate(engine, state, WHOLE, seed=2)).max() > 1e-2
        label = engine.system.decode(one)["label"]
        assert label.dtype == jnp.int32
        assert label.shape == (4, 16, 16)
        assert set(np.unique(label)) <= set(range(5))

    def test_a_smaller_size_is_enlarged_to_the_full_one(self, fresh):
        engine, state = fresh
        made = generate(engine, state, dataclasses.replace(OLD, image_size=4))
        assert made.shape == (4, 16, 16, 1)
        small = growing.shrink(made, 4)
        np.testing.assert_allclose(
            made, resample.upsample(resample.upsample(small)), rtol=1e-6
        )

    def test_one_hot_maps_have_a_channel_a_label(self):
        system = build(codec="one_hot")
        engine = engine_of(system)
        init = jax.jit(engine.init, static_argnames="stage")
        state = init(make_batch(SPEC, 2), stage=WHOLE)
        made = generate(engine, state, WHOLE, make_batch(SPEC, 2))
        assert made.shape == (2, 16, 16, 5)
        np.testing.assert_array_equal(
            system.decode(made)["label"], np.argmax(made, axis=-1)
        )

    def test_a_score_is_an_images_own(self, fresh):
        engine, state = fresh
        made = generate(engine, state, WHOLE)
        nets = nets_of(engine, state)
        scores = engine.system.score(nets, {}, made)
        assert scores.shape == (4,)
        np.testing.assert_allclose(
            engine.system.score(nets, {}, made[2:3]), scores[2:3], rtol=1e-5
        )
        assert len(np.unique(scores)) == 4


def nets_of(engine, state):
    return Nets(
        engine.system.networks,
        state.params,
        state.stats,
        rng=jax.random.key(0),
        stage=WHOLE,
        step=state.step,
    )


class Feed:
    """The same fixtures at any batch size; calls `at` before each step."""

    resident = {}

    def __init__(self, spec, at=lambda step: None):
        self.spec, self.at = spec, at

    def batches(self, start_step, batch_size):
        step = start_step
        while True:
            self.at(step)
            batch = make_batch(self.spec, batch_size, seed=step)
            yield {"label": np.asarray(batch["label"])}
            step += 1

    def prepare(self, raw, resident, key):
        return raw


def train(folder, at=lambda step: None):
    """Two steps at 4 px, three at 8 px."""
    spec = brats_spec(8)
    system = build(spec, fade_images=8, stable_images=16)
    checkpoints = Checkpoints(folder / "checkpoints", keep=10)
    run = Run(
        engine=engine_of(system),
        stages=system.stages(Stage(start=0, stop=7, image_size=8, batch_size=4)),
        feed=Feed(spec, at),
        layout=Layout.over(),
        checkpoints=checkpoints,
        writer=writers.JsonlWriter(
            folder / "metrics.jsonl", resume_step=checkpoints.latest() or 0
        ),
        sample=lambda state, step: None,
        meta={},
        cadence=Cadence(log_every=1, checkpoint_every=100),
    )
    state = run.train(run.resume_or_init())
    run.writer.close()
    checkpoints.close()
    return state


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return train(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("stop", [1, 3])
def test_stopped_and_resumed_is_bit_for_bit_undisturbed(stop, undisturbed, tmp_path):
    def interrupt(step):
        if step == stop:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Preempted, match=f"after step {stop + 1}"):
        train(tmp_path, interrupt)
    resumed = train(tmp_path)
    assert int(resumed.step) == 5
    assert_equal(undisturbed, resumed)


def test_optimisers_begin_afresh_with_a_size(undisturbed):
    counts = [x for x in leaves(undisturbed.opt) if x.shape == ()]
    assert set(map(int, counts)) == {3}


def test_a_short_training_learns_the_mean_of_the_label_maps():
    spec = brats_spec(8)
    system = build(spec, first_size=8)
    engine = engine_of(system)
    batch = make_batch(spec, 8)
    stage = Stage(start=0, stop=100, image_size=8, batch_size=8)
    step = jax.jit(engine.step, static_argnames=("stage", "due"))
    state = jax.jit(engine.init, static_argnames="stage")(batch, stage=stage)
    real = MaskCodec.of_spec(spec).encode(batch["label"])

    def error(state):
        made = generate(engine, state, stage, batch)
        return float(jnp.abs(made.mean(0) - real.mean(0)).mean())

    before, told_apart = error(state), []
    for _ in range(60):
        state, scalars = step(state, batch, stage=stage, due=engine.due(0))
        told_apart.append(float(scalars["critic/wasserstein"]))
    assert np.mean(told_apart[20:40]) > 2 * told_apart[0]  # The critic learns first,
    assert error(state) < 0.5 * before  # and the generator of it.
    assert np.mean(told_apart[-5:]) < np.mean(told_apart[20:40])
