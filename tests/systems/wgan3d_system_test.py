"""The GAN of lesions: what is real to it, what it makes, and that it trains."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fixtures import brats_spec, make_batch, make_volumes
from jaxsyn import systems
from jaxsyn.engine.step import Engine
from jaxsyn.engine.system import Stage
from jaxsyn.errors import UsageError

SPEC = brats_spec(16)
TUMOUR = ("oedema", "enhancing", "necrotic")
CRITIC_TERMS = ("critic/fake", "critic/real", "critic/penalty")
TINY = {"ngf": 4, "ndf": 2, "num_layers": 1, "z_dim": 8, "kernel_init": "he"}
STAGE = Stage(start=0, stop=20, image_size=16, batch_size=4)


def build(spec=SPEC, **options):
    return systems.build({"name": "wgan3d", **TINY, **options}, spec)


def engine_of(system):
    tx = optax.adam(2e-4, b1=0.5, b2=0.9)
    return Engine(
        system=system, optimizers=dict.fromkeys(system.networks, tx), ema_decays={}
    )


@pytest.fixture(scope="module")
def trained():
    """A system, its batch, its states after 0, 2, ... 20 steps, and their scalars."""
    system = build(lesion=TUMOUR, critic_steps=2)
    engine, batch = engine_of(system), make_volumes(SPEC, 4)
    init = jax.jit(engine.init, static_argnames="stage")
    advance = jax.jit(engine.step, static_argnames=("stage", "due"))
    states, lines = [init(batch, stage=STAGE)], []
    for step in range(20):
        state, scalars = advance(states[-1], batch, stage=STAGE, due=engine.due(step))
        states.append(state)
        lines.append(jax.device_get(scalars))
    return system, batch, states, lines


def moved(before, after, network):
    pairs = zip(
        jax.tree.leaves(before.params[network]),
        jax.tree.leaves(after.params[network]),
        strict=True,
    )
    return any(not np.array_equal(a, b) for a, b in pairs)


def test_the_generator_moves_after_every_other_update_of_the_critic(trained):
    _, _, states, _ = trained
    steps = list(zip(states, states[1:], strict=False))[:4]
    assert [moved(*pair, "critic") for pair in steps] == [True] * 4
    assert [moved(*pair, "generator") for pair in steps] == [True, False] * 2


def test_training_stays_finite_and_learns_to_tell(trained):
    _, _, _, lines = trained
    assert all(np.isfinite(v) for line in lines for v in line.values())
    losses = [sum(v for k, v in line.items() if k in CRITIC_TERMS) for line in lines]
    assert losses[-1] < losses[0]


def test_volumes_hold_the_declared_lesions_alone(trained):
    system, batch, states, _ = trained
    engine = engine_of(system)
    made = jax.jit(engine.generate, static_argnames="stage")
    # Of the batch it uses the size only.
    sizes = {"label": jnp.zeros_like(batch["label"])}
    one, other = (made(states[-1], sizes, stage=STAGE, seed=s) for s in (1, 2))
    assert one.shape == (4, 8, 16, 16, 4)
    assert float(jnp.abs(one).max()) <= 1.0
    assert float(jnp.abs(one - other).max()) > 1e-3
    label = system.decode(one)["label"]
    assert label.shape == (4, 8, 16, 16)
    assert label.dtype == jnp.int32
    assert set(np.unique(label)) <= {0, 1, 2, 3}


def test_what_is_encoded_is_decoded():
    system = build(lesion=TUMOUR)
    label = make_volumes(SPEC, 2)["label"]
    encoded = system.encode(label)
    assert set(np.unique(encoded)) == {-1.0, 1.0}
    # Oedema, label 2, is named first; the brain around the tumour, 4, is no lesion.
    np.testing.assert_array_equal(encoded[..., 1] > 0, label == 2)
    np.testing.assert_array_equal(encoded[..., 0] > 0, (label == 0) | (label == 4))
    np.testing.assert_array_equal(
        system.decode(encoded)["label"], jnp.where(label == 4, 0, label)
    )


@pytest.mark.parametrize(
    ("threshold", "expected"), [(0.5, [0, 3, 2]), (0.7, [0, 0, 2])]
)
def test_the_threshold_is_of_all_lesions_together(threshold, expected):
    system = build(lesion=("oedema", "enhancing"), threshold=threshold)
    probabilities = jnp.array([[0.6, 0.4, 0.0], [0.4, 0.2, 0.4], [0.2, 0.5, 0.3]])
    made = 2.0 * probabilities.reshape(1, 1, 1, 3, 3) - 1.0
    np.testing.assert_array_equal(system.decode(made)["label"].ravel(), expected)


def test_the_penalty_is_of_one_gradient_a_volume():
    # A critic with the gradient g at each of the n values of a volume has the norm
    # g √n, whatever the shape of the volume: here 0.5 √(8·16·16·2) = 32.
    system = build(lesion=("oedema",))
    real = system.encode(make_volumes(SPEC, 3)["label"])

    class Nets:
        def __call__(self, name, *args):
            return self.pure(name)(*args)

        def pure(self, name):
            if name == "generator":
                return lambda z, sides: jnp.zeros((len(z), *sides, 2))
            return lambda x: 0.5 * x.sum((1, 2, 3, 4))

        def rng(self, name):
            return jax.random.key(0)

    terms = system.critic_loss(Nets(), {"label": make_volumes(SPEC, 3)["label"]}, {})
    assert float(terms.terms["penalty"]) == pytest.approx(10.0 * (32.0 - 1.0) ** 2)
    assert float(terms.terms["fake"]) == 0.0
    assert float(terms.terms["real"]) == pytest.approx(-0.5 * float(real.sum()) / 3)


def test_by_default_lesions_are_the_labels_with_values_in_files():
    values = ((0,), (1,), (2,), (4, 3), ())
    labels = tuple(
        dataclasses.replace(label, values=v)
        for label, v in zip(SPEC.labels, values, strict=True)
    )
    system = build(dataclasses.replace(SPEC, labels=labels))
    assert system.networks["generator"].classes == 4


def test_a_lesion_that_is_none():
    with pytest.raises(UsageError, match="names no lesion"):
        build(lesion=("background",))
    with pytest.raises(UsageError, match="No label 'edema'"):
        build(lesion=("edema",))


def test_slices_are_no_volumes():
    nets = types.SimpleNamespace()
    with pytest.raises(UsageError, match=r"\[16, 16\]") as error:
        build().generate(nets, make_batch(SPEC, 1))
    assert "config.depth" in error.value.hint
