import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fixtures import brats_spec, make_batch
from jaxsyn import systems
from jaxsyn.engine.nets import Nets
from jaxsyn.engine.step import Engine
from jaxsyn.engine.system import Stage
from jaxsyn.errors import UsageError

SPEC = brats_spec(16)
STAGE = Stage(start=0, stop=10, image_size=16, batch_size=2)
TINY = {"ngf": 4, "ndf": 4, "downs": 1, "blocks": 1, "kernel_init": "he"}
ENHANCER = {"enhancer": True, "enhancer_blocks": 1}


def build(**options):
    return systems.build({"name": "pix2pixhd", **TINY, **options}, SPEC)


def engine_of(system, **optimizers):
    tx = dict.fromkeys(system.networks, optax.adam(2e-3, b1=0.5))
    return Engine(system=system, optimizers={**tx, **optimizers}, ema_decays={})


def train(engine, batch, steps):
    """The states before and after each step, and each step's scalars."""
    step = jax.jit(engine.step, static_argnames=("stage", "due"))
    init = jax.jit(engine.init, static_argnames="stage")
    states, scalars = [init(batch, stage=STAGE)], []
    for i in range(steps):
        state, measured = step(states[-1], batch, stage=STAGE, due=engine.due(i))
        states.append(state)
        scalars.append(jax.device_get(measured))
    return states, scalars


def moved(before, after):
    """The networks of which a parameter, or what an optimiser keeps, has changed."""
    return {
        name
        for name in before.params
        for old, new in zip(
            jax.tree.leaves((before.params[name], before.opt[name])),
            jax.tree.leaves((after.params[name], after.opt[name])),
            strict=True,
        )
        if not np.array_equal(old, new)
    }


def test_the_global_generator_is_trained_alone_then_held_then_joined():
    system = build(**ENHANCER, global_steps=1, enhancer_warmup=1, num_scales=1)
    states, scalars = train(engine_of(system), make_batch(SPEC, 2), 3)
    moves = [moved(*pair) for pair in itertools.pairwise(states)]
    assert moves == [
        {"global", "discriminator"},
        {"enhancer", "discriminator"},
        {"global", "enhancer", "discriminator"},
    ]
    assert [{key.split("/")[0] for key in x} for x in scalars] == [
        {"global_discriminator", "global"},
        {"discriminator", "enhancer"},
        {"discriminator", "generator"},
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["discriminator", "generator"]),
        (ENHANCER, ["discriminator", "generator"]),
        (
            {**ENHANCER, "enhancer_warmup": 3},
            ["discriminator", "enhancer", "generator"],
        ),
    ],
)
def test_phases_that_never_run_are_left_out(options, expected):
    assert [phase.name for phase in build(**options).phases] == expected


def test_losses_are_the_published_ones():
    # LSGAN summed over scales, halved for the discriminator; features without logits,
    # summed over layers, their mean over two scales times ten.
    system, batch = build(), make_batch(SPEC, 2)
    (state,), _ = train(engine_of(system), batch, 0)

    def nets():
        return Nets(
            system.networks,
            state.params,
            state.stats,
            rng=jax.random.key(0),
            stage=STAGE,
            step=state.step,
        )

    @jax.jit
    def run(batch):
        fake = system.generate(nets(), batch)
        features = [
            nets()("discriminator", jnp.concatenate([batch["one_hot"], image], -1))
            for image in (fake, batch["image"])
        ]
        critic = system.discriminator_loss(nets(), batch, {}).terms
        return features, critic, system.generator_loss(nets(), batch, {}).terms

    (fake, real), critic, generator = jax.device_get(run(batch))
    logits, true = ([scale[-1] for scale in scales] for scales in (fake, real))
    matched = sum(
        np.abs(a - b).mean()
        for scale, other in zip(fake, real, strict=True)
        for a, b in zip(scale[:-1], other[:-1], strict=True)
    )
    for got, expected in (
        (critic["fake"], 0.5 * sum((x**2).mean() for x in logits)),
        (critic["real"], 0.5 * sum(((x - 1) ** 2).mean() for x in true)),
        (generator["adversarial"], sum(((x - 1) ** 2).mean() for x in logits)),
        (generator["features"], 10.0 * matched / 2),
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-4)


def test_the_boundary_conditions_if_it_is_asked_to():
    batch = make_batch(SPEC, 1)
    other = {**batch, "boundary": 1.0 - batch["boundary"]}
    for boundary in (False, True):
        engine = engine_of(build(boundary=boundary))
        (state,), _ = train(engine, batch, 0)
        generate = jax.jit(engine.generate, static_argnames="stage")
        image, changed = (generate(state, b, stage=STAGE) for b in (batch, other))
        assert bool(jnp.abs(image - changed).max() > 1e-3) == boundary


def test_the_generator_learns_to_please_a_discriminator_that_stays():
    engine = engine_of(build(), discriminator=optax.set_to_zero())
    _, scalars = train(engine, make_batch(SPEC, 2), 40)
    terms = ("generator/adversarial", "generator/features")
    first, last = (
        np.array([float(x[t]) for t in terms]) for x in scalars[:: len(scalars) - 1]
    )
    assert (last < first).all()
    assert last.sum() < 0.5 * first.sum()


def test_a_warm_up_needs_an_enhancer():
    with pytest.raises(UsageError, match="enhancer_warmup=5, but there is no enhancer"):
        build(enhancer_warmup=5)


@pytest.mark.parametrize(
    ("size", "options", "match"),
    [(18, {"downs": 2}, "18x18"), (20, {**ENHANCER, "downs": 2}, "10x10")],
)
def test_an_image_size_that_cannot_be_halved(size, options, match):
    spec = dataclasses.replace(SPEC, image_size=size)
    system = systems.build({"name": "pix2pixhd", **TINY, **options}, spec)
    with pytest.raises(UsageError, match=f"{match} px cannot be halved 2 times"):
        jax.eval_shape(
            lambda batch: engine_of(system).init(batch, stage=STAGE),
            make_batch(spec, 1),
        )
