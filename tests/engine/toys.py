"""Two tiny systems and a runner, for the engine's tests."""

import dataclasses

from flax import linen as nn
import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import optax

from jaxsyn.engine.mesh import Layout
from jaxsyn.engine.step import Engine
from jaxsyn.engine.system import Loss, Phase, Stage, System

STAGE = Stage(start=0, stop=100, image_size=8, batch_size=16)


class Generator(nn.Module):
    """Batch norm, dropout and injected noise: everything that has a state or a key."""

    @nn.compact
    def __call__(self, x, *, train):
        h = nn.Conv(8, (3, 3), use_bias=False)(x)
        h = nn.BatchNorm(use_running_average=not train)(h)
        h = h + 0.1 * jax.random.normal(self.make_rng("noise"), h.shape)
        h = nn.Dropout(0.5, deterministic=not train, rng_collection="noise")(nn.relu(h))
        return nn.tanh(nn.Conv(1, (3, 3))(h))


class Critic(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        h = nn.SpectralNorm(nn.Conv(8, (4, 4), (2, 2)))(x, update_stats=train)
        return nn.Dense(1)(nn.leaky_relu(h).reshape(h.shape[0], -1))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pix2Pix(System):
    """Alternating hinge GAN."""

    noise: str | None = None

    @property
    def networks(self):
        return {"generator": Generator(), "discriminator": Critic()}

    @property
    def phases(self):
        return (
            Phase("discriminator", ("discriminator",), self.d, noise=self.noise),
            Phase("generator", ("generator",), self.g, noise=self.noise),
        )

    def generate(self, nets, batch):
        return nets("generator", batch["label"])

    def d(self, nets, batch, memory):
        fake = lax.stop_gradient(self.generate(nets, batch))
        real = jnp.mean(nn.relu(1 - nets("discriminator", batch["image"])))
        return Loss({"real": real, "fake": jnp.mean(1 + nets("discriminator", fake))})

    def g(self, nets, batch, memory):
        fake = self.generate(nets, batch)
        l1 = jnp.mean(jnp.abs(fake - batch["image"]))
        return Loss({"adv": -jnp.mean(nets("discriminator", fake)), "l1": 10 * l1})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Penalised(System):
    """A lazy gradient penalty beside the main phase, and a running mean."""

    every: int = 4
    weight: float = 1.0

    @property
    def networks(self):
        return {"critic": Critic()}

    @property
    def phases(self):
        return (
            Phase("critic", ("critic",), self.c),
            Phase("r1", ("critic",), self.r1, every=self.every, scale=self.every),
        )

    def memory(self, batch):
        return {"mean": jnp.zeros(())}

    def generate(self, nets, batch):
        return nets("critic", batch["image"])

    def c(self, nets, batch, memory):
        noise = jax.random.normal(nets.rng(), batch["image"].shape)
        loss = jnp.mean(nets("critic", noise) - nets("critic", batch["image"]))
        return Loss({"wgan": loss}, memory={"mean": 0.9 * memory["mean"] + 0.1 * loss})

    def r1(self, nets, batch, memory):
        critic = nets.pure("critic")
        slope = jax.grad(lambda image: jnp.sum(critic(image)))(batch["image"])
        squared = jnp.sum(slope**2, axis=range(1, slope.ndim))  # [B]
        return Loss({"r1": self.weight * jnp.mean(squared)})


def make_batch(step: int, batch_size: int = 16) -> dict[str, np.ndarray]:
    """A batch that is a function of the step."""
    rng = np.random.default_rng(step)
    return {
        "image": rng.normal(size=(batch_size, 8, 8, 1)).astype("f"),
        "label": rng.normal(size=(batch_size, 8, 8, 2)).astype("f"),
    }


class Runner:
    """Steps a system without the loop."""

    def __init__(self, system, devices: int = 4, tx=None, **engine):
        self.layout = Layout.over(jax.devices()[:devices])
        tx = tx or optax.adam(1e-3, b1=0.0, b2=0.99)
        self.engine = Engine(
            system=system,
            optimizers={name: tx for name in system.networks},
            ema_decays={name: lambda step: 0.99 for name in list(system.networks)[:1]},
            **engine,
        )
        replicated = self.layout.replicated
        self.init = jax.jit(
            self.engine.init, static_argnames="stage", out_shardings=replicated
        )
        self.step = jax.jit(
            self.engine.step,
            static_argnames=("stage", "due"),
            out_shardings=(replicated, replicated),
        )

    def batch(self, step):
        return self.layout.put_batch(make_batch(step))

    def __call__(self, start, stop, state=None):
        if state is None:
            state = self.init(self.batch(0), stage=STAGE)
        for i in range(start, stop):
            state, self.scalars = self.step(
                state, self.batch(i), stage=STAGE, due=self.engine.due(i)
            )
        return state


def leaves(tree) -> list[np.ndarray]:
    """Host copies of a tree's arrays."""
    return [np.array(x) for x in jax.tree.leaves(tree)]


def assert_equal(one, other):
    """Fails unless two trees hold the same bits."""
    for a, b in zip(leaves(one), leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def assert_close(one, other, rtol=1e-4, atol=1e-5):
    """Fails unless two trees hold nearly the same numbers."""
    for a, b in zip(leaves(one), leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)
