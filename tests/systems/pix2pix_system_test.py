"""pix2pix: its losses by hand, its options, and that it learns."""

import math

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
from jaxsyn.models.pix2pix_unet import Pix2PixUNet
from jaxsyn.models.resnet import ResnetGenerator

SPEC = brats_spec(16)
STAGE = Stage(start=0, stop=100, image_size=16, batch_size=2)
SMALL = {"ngf": 4, "ndf": 4, "num_layers": 1, "kernel_init": "he"}


def build(**options):
    return systems.build({"name": "pix2pix", **SMALL, **options}, SPEC)


class Nets:
    """Stands in for networks: images of 0, and the image's mean as logit."""

    train = True

    def __init__(self):
        self.judged = []

    def __call__(self, name, x, **kwargs):
        if name == "generator":
            return jnp.zeros((*x.shape[:-1], 4))
        self.judged.append(len(x))
        return [x, x[..., -4:].mean((1, 2, 3)).reshape(-1, 1, 1, 1)]


def losses(**options):
    batch = make_batch(SPEC, 2)
    batch["image"] = jnp.full_like(batch["image"], 0.5)
    system = build(**options)
    return (
        loss(Nets(), batch, {}).terms
        for loss in (system.discriminator_loss, system.generator_loss)
    )


def test_the_losses_of_the_paper():
    discriminator, generator = losses()
    # Logits: 0 of the synthetic, 1/2 of the real image.
    assert float(discriminator["fake"]) == pytest.approx(math.log(2) / 2)
    assert float(discriminator["real"]) == pytest.approx(
        math.log(1 + math.exp(-0.5)) / 2
    )
    assert float(generator["adversarial"]) == pytest.approx(math.log(2))
    assert float(generator["l1"]) == pytest.approx(100 * 0.5)


def test_least_squares_and_another_weight():
    discriminator, generator = losses(game="lsgan", l1=10.0)
    assert float(discriminator["fake"]) == 0
    assert float(discriminator["real"]) == pytest.approx(0.25 / 2)
    assert float(generator["adversarial"]) == pytest.approx(1)
    assert float(generator["l1"]) == pytest.approx(10 * 0.5)


def test_real_and_synthetic_images_share_no_batch_statistics():
    nets = Nets()
    build().discriminator_loss(nets, make_batch(SPEC, 2), {})
    assert nets.judged == [2, 2]


def test_the_generators():
    unet, resnet = (
        build(generator=name, blocks=6).networks["generator"]
        for name in ("unet", "resnet")
    )
    assert isinstance(unet, Pix2PixUNet)
    assert (unet.num_downs, unet.bounded, unet.dropout) == (4, True, 0.5)
    assert isinstance(resnet, ResnetGenerator)
    assert (resnet.blocks, resnet.norm, resnet.dropout) == (6, "batch", 0.5)


@pytest.mark.parametrize("option", ["generator", "game", "norm"])
def test_unknown_options(option):
    with pytest.raises(UsageError, match=f"config.system.{option}='other'"):
        build(**{option: "other"})


def test_a_side_that_cannot_be_halved():
    system = systems.build({"name": "pix2pix", **SMALL}, brats_spec(34))
    engine = Engine(system=system, optimizers={}, ema_decays={})
    batch = make_batch(brats_spec(34), 1)
    with pytest.raises(UsageError, match="34x34 cannot be halved 3 times"):
        jax.eval_shape(lambda b: engine.init(b, stage=STAGE), batch)


@pytest.fixture(scope="module")
def trained():
    """A system, its state after a training, and the L1 loss by step."""
    system = build()
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
    return system, state, distances


def test_it_learns(trained):
    _, _, distances = trained
    assert distances[-1] < 0.6 * distances[0]


@pytest.mark.parametrize("test_noise", [False, True])
def test_dropout_at_test_time_is_an_option(trained, test_noise):
    _, state, _ = trained
    engine = Engine(system=build(test_noise=test_noise), optimizers={}, ema_decays={})
    batch = make_batch(SPEC, 2)
    one, again, other = (
        engine.generate(state, batch, stage=STAGE, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert (float(jnp.abs(one - other).max()) > 1e-3) == test_noise
