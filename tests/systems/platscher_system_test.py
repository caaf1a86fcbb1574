"""Paper 004's image-to-image translation: noise, options, and that it learns."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fixtures import brats_spec, make_batch
from jaxsyn import systems
from jaxsyn.engine.step import Engine
from jaxsyn.engine.system import Stage
from jaxsyn.errors import UsageError

SPEC = brats_spec(16)
STAGE = Stage(start=0, stop=100, image_size=16, batch_size=2)


def build(**options):
    return systems.build(
        {"name": "platscher", "ngf": 4, "ndf": 4, "kernel_init": "he", **options}, SPEC
    )


@pytest.mark.parametrize(
    ("step", "deviation"), [(0, 0.2), (1000, 0.2 * 0.999**1000), (20_000, 0.0)]
)
def test_the_noise_on_all_that_is_judged_decays(step, deviation):
    nets = SimpleNamespace(step=jnp.array(step), rng=lambda name: jax.random.key(3))
    pair = jnp.full((8, 16, 16, 3), 0.5)
    noise = np.asarray(build().judged(nets, pair) - pair)
    assert noise.std((0, 1, 2)) == pytest.approx([deviation] * 3, rel=0.1, abs=1e-6)
    assert abs(noise.mean()) < 0.01


def test_no_noise():
    nets = SimpleNamespace(step=jnp.array(0), rng=lambda name: jax.random.key(3))
    pair = jnp.ones((1, 8, 8, 2))
    np.testing.assert_array_equal(build(noise=0.0).judged(nets, pair), pair)


def test_the_defaults_are_the_papers():
    spec = brats_spec(128)
    pix2pix, spade = (
        systems.build({"name": "platscher", "generator": name}, spec).networks
        for name in ("pix2pix", "spade")
    )
    assert pix2pix["generator"].num_downs == 7
    assert pix2pix["generator"].dropout == 0.3
    assert spade["generator"].width == 128
    assert pix2pix["discriminator"] == spade["discriminator"]


def test_an_unknown_generator():
    with pytest.raises(UsageError, match="config.system.generator='spad'") as error:
        build(generator="spad")
    assert "Did you mean 'spade'?" in error.value.hint


@pytest.mark.parametrize("generator", ["pix2pix", "spade"])
def test_an_image_size_that_does_not_divide(generator):
    spec = brats_spec(36)
    system = systems.build({"name": "platscher", "generator": generator}, spec)
    engine = Engine(system=system, optimizers={}, ema_decays={})
    with pytest.raises(UsageError, match="36"):
        jax.eval_shape(
            lambda b: engine.init(b, stage=STAGE), make_batch(brats_spec(36), 1)
        )


@pytest.mark.parametrize("generator", ["pix2pix", "spade"])
def test_it_learns(generator):
    system = build(generator=generator)
    tx = optax.adam(5e-3, b1=0.5)
    engine = Engine(
        system=system, optimizers=dict.fromkeys(system.networks, tx), ema_decays={}
    )
    batch = make_batch(SPEC, 2)
    # Images that label maps decide.
    level = batch["label"][..., None] / 2.0 - 1.0
    batch["image"] = jnp.broadcast_to(level, batch["image"].shape)
    state = jax.jit(engine.init, static_argnames="stage")(batch, stage=STAGE)
    step = jax.jit(engine.step, static_argnames=("stage", "due"))
    distances = []
    for i in range(40):
        state, scalars = step(state, batch, stage=STAGE, due=engine.due(i))
        distances.append(float(scalars["generator/l1"]))
    assert distances[-1] < 0.6 * distances[0]
