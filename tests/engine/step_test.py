from collections.abc import Callable
import dataclasses

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxsyn.engine.system import Loss, Phase
from toys import (
    STAGE,
    Penalised,
    Pix2Pix,
    Runner,
    assert_close,
    assert_equal,
    leaves,
    make_batch,
)


@pytest.mark.parametrize("make", [Penalised, Pix2Pix])
def test_one_device_equals_four(make):
    # Dropout and noise are drawn for the global batch; SGD, since Adam turns
    # rounding into steps where the true gradient is zero.
    one, four = (Runner(make(), n, optax.sgd(1e-2))(0, 4) for n in (1, 4))
    assert_close(one, four)


def test_lazy_phases_compile_two_programs():
    runner = Runner(Penalised())
    runner(0, 9)
    assert runner.step._cache_size() == 2


def test_a_phase_moves_only_what_it_trains():
    runner = Runner(Pix2Pix())
    before = runner(0, 1)
    after, _ = runner.step(before, runner.batch(1), stage=STAGE, due=("discriminator",))
    for part in ("params", "stats", "opt"):
        old, new = getattr(before, part), getattr(after, part)
        assert_equal(old["generator"], new["generator"])
        moved = zip(
            leaves(old["discriminator"]), leaves(new["discriminator"]), strict=True
        )
        assert any((a != b).any() for a, b in moved)


def test_scale_multiplies_the_phase_gradient():
    runners = [Runner(Penalised(every=every), 1, optax.sgd(1e-4)) for every in (1, 16)]
    state = runners[0].init(runners[0].batch(0), stage=STAGE)

    def moved(runner):
        new, _ = runner.step(state, runner.batch(1), stage=STAGE, due=("r1",))
        pairs = zip(leaves(state.params), leaves(new.params), strict=True)
        return [b - a for a, b in pairs]

    once, sixteen = (moved(runner) for runner in runners)
    assert any(np.abs(delta).max() > 1e-6 for delta in once)
    for a, b in zip(once, sixteen, strict=True):
        np.testing.assert_allclose(16 * a, b, rtol=2e-2, atol=1e-6)


def test_shared_noise_costs_less():
    def flops(noise):
        runner = Runner(Pix2Pix(noise=noise), 1)
        state = runner.init(runner.batch(0), stage=STAGE)
        lowered = runner.step.lower(
            state, runner.batch(0), stage=STAGE, due=runner.engine.due(0)
        )
        return lowered.compile().cost_analysis()["flops"]

    assert flops("step") < flops(None)


@pytest.mark.parametrize("make", [Penalised, Pix2Pix])
def test_generate_is_deterministic_and_uses_the_average(make):
    runner = Runner(make(), 1)
    state = runner(0, 3)
    batch = make_batch(7)
    generate = jax.jit(runner.engine.generate, static_argnames=("stage", "seed"))
    image = generate(state, batch, stage=STAGE)
    np.testing.assert_array_equal(image, generate(state, batch, stage=STAGE))
    raw = generate(state.replace(ema={}), batch, stage=STAGE)
    assert np.abs(np.asarray(image - raw)).max() > 0


def test_unknown_network_says_which_exist():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Bad(Pix2Pix):
        def generate(self, nets, batch):
            return nets("generatr", batch["label"])

    message = r"No network 'generatr'. This system has: generator, discriminator."
    with pytest.raises(ValueError, match=message):
        Runner(Bad())(0, 1)


def test_a_network_that_no_phase_calls_is_an_error():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Idle(Pix2Pix):
        @property
        def networks(self):
            return super().networks | {"idle": super().networks["generator"]}

    with pytest.raises(ValueError, match=r"No phase calls the networks \['idle'\]"):
        Runner(Idle())(0, 1)


def test_phase_window():
    phase = Phase("warm", ("g",), None, every=2, start=4, stop=8)
    assert [i for i in range(12) if phase.due(i)] == [4, 6]


def test_ema_follows_its_formula():
    runner = Runner(Pix2Pix(), 1)
    first = runner(0, 1)
    second = runner(1, 2, first)
    expected = jax.tree.map(
        lambda ema, new: 0.99 * ema + 0.01 * new,
        first.ema["generator"],
        second.params["generator"],
    )
    assert_close(second.ema["generator"], expected, rtol=1e-6, atol=1e-7)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Frozen(Penalised):
    """A mean over images with frozen spectral norms: the same however it is split."""

    @property
    def phases(self):
        return (Phase("critic", ("critic",), self.hinge),)

    def hinge(self, nets, batch, memory):
        if "critic" not in nets.params:
            nets("critic", batch["image"])
        logits = nets.pure("critic")(batch["image"])
        return Loss({"hinge": jnp.mean(jax.nn.relu(1 - logits))})


def test_accumulated_gradient_is_the_whole_batches():
    whole, parts = (Runner(Frozen(), 1, optax.sgd(0.1), accumulate=k) for k in (1, 4))
    assert_close(whole(0, 3).params, parts(0, 3).params, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(
        whole.scalars["critic/hinge"], parts.scalars["critic/hinge"], rtol=1e-5
    )


def test_accumulation_leaves_images_on_their_device():
    one, four = (
        Runner(Pix2Pix(), n, optax.sgd(1e-2), accumulate=2)(0, 2) for n in (1, 4)
    )
    assert_close(one, four)


def test_accumulation_that_does_not_divide_the_batch():
    with pytest.raises(ValueError, match="A batch of 16 cannot be split into 3"):
        Runner(Pix2Pix(), 1, accumulate=3)(0, 1)


class Spying(nn.Module):
    """Notes what it is given."""

    note: Callable

    @nn.compact
    def __call__(self, x, *, train):
        self.note(x.dtype)
        return nn.Conv(1, (3, 3), dtype=x.dtype)(x)


def test_bfloat16_computes_in_bfloat16_and_keeps_float32_parameters():
    seen = []

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Spy(Pix2Pix):
        @property
        def networks(self):
            return super().networks | {"generator": Spying(seen.append)}

    state = Runner(Spy(), 1, dtype=jnp.bfloat16)(0, 2)
    assert set(seen) == {jnp.dtype(jnp.bfloat16)}
    assert {x.dtype for x in jax.tree.leaves(state.params)} == {jnp.dtype("float32")}


def test_a_penalty_is_computed_in_float32():
    # Under bfloat16 the penalty of a fresh state equals float32's.
    def penalty(dtype):
        runner = Runner(Penalised(), 1, dtype=dtype)
        state = runner.init(runner.batch(0), stage=STAGE)
        _, scalars = runner.step(state, runner.batch(0), stage=STAGE, due=("r1",))
        return float(scalars["r1/r1"])

    assert penalty(jnp.bfloat16) == pytest.approx(penalty(jnp.float32), rel=1e-6)
