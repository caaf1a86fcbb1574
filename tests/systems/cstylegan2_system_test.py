"""C-SG: where the label map goes, and what it changes."""

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

SPEC = brats_spec(32)
STAGE = Stage(start=0, stop=10, image_size=32, batch_size=4)
TINY = {
    "latent": 4,
    "style_dim": 8,
    "mapping_layers": 2,
    "fmap_base": 128,
    "fmap_max": 8,
}
BATCH = make_batch(SPEC, 4)


def build(**options):
    return systems.build({"name": "cstylegan2", **TINY, **options}, SPEC)


def engine_of(system, tx=None):
    tx = tx or optax.adam(2e-3, b1=0.0, b2=0.99)
    return Engine(
        system=system,
        optimizers=dict.fromkeys(system.networks, tx),
        ema_decays={},
    )


def initial(system):
    return jax.jit(engine_of(system).init, static_argnames="stage")(BATCH, stage=STAGE)


@pytest.fixture(scope="module")
def made():
    system = build()
    state = initial(system)
    generate = jax.jit(engine_of(system).generate, static_argnames="stage")
    return system, state, lambda batch: generate(state, batch, stage=STAGE)


def nets_of(system, state):
    return Nets(
        system.networks,
        state.params,
        state.stats,
        rng=jax.random.key(0),
        stage=STAGE,
        step=jnp.zeros((), jnp.int32),
        memory=state.memory,
    )


def relabelled(rows, columns):
    """The batch with another label there."""
    label = BATCH["label"].at[:, rows, columns].set(3)
    return BATCH | {"label": label, "one_hot": jax.nn.one_hot(label, 5)}


def test_a_pixel_changes_its_surroundings_alone(made):
    _, _, generate = made
    # An odd pixel is in no smaller map: it is seen by the last size's two layers.
    rows, columns = np.array([15]), np.array([17])
    changed = jnp.abs(generate(relabelled(rows, columns)) - generate(BATCH))
    touched = np.argwhere(np.asarray(changed.max(axis=(0, 3))) > 1e-6)
    assert len(touched)
    # The first one's output gets it, so one 3x3 window is between it and the image.
    assert np.abs(touched - [15, 17]).max() == 1


def test_a_region_changes_what_is_far_from_it(made):
    _, _, generate = made
    changed = jnp.abs(generate(relabelled(slice(0, 8), slice(0, 8))) - generate(BATCH))
    # At the last size two layers see it, 1 px far, and at the one before, 4 px.
    assert float(changed[:, 16:20, 16:20].max()) > 1e-3


def test_the_discriminator_sees_the_map(made):
    system, state, generate = made
    images = generate(BATCH)
    score = jax.jit(lambda s, b: system.score(nets_of(system, s), b, images))
    own = score(state, BATCH)
    other = score(state, relabelled(slice(8, 16), slice(8, 16)))
    assert own.shape == (4,)
    assert float(jnp.abs(own - other).min()) > 1e-5


def test_the_condition_can_be_one_channel():
    one_hot, index = (
        build(condition=c)._condition(BATCH) for c in ("one_hot", "index")
    )
    np.testing.assert_array_equal(one_hot, BATCH["one_hot"])
    assert index.shape == (4, 32, 32, 1)
    np.testing.assert_allclose(index[..., 0], BATCH["label"] / 2.0 - 1.0)


def test_r1_leaves_the_map_out_unless_told_otherwise(made):
    system, state, _ = made

    def critic(images, condition):  # Gradients 2 and 3 at each of their values.
        return 2.0 * images.sum((1, 2, 3)) + 3.0 * condition.sum((1, 2, 3))

    real, condition = BATCH["image"], BATCH["one_hot"]
    pixels = 32 * 32
    assert float(system._r1(critic, real, condition)) == 0.5 * pixels * 4 * 2**2
    both = build(r1_condition=True)._r1(critic, real, condition)
    assert float(both) == 0.5 * pixels * (4 * 2**2 + 5 * 3**2)


def test_augmentation_moves_image_and_map_alike(made):
    system = build(ada=0.6)
    nets = nets_of(system, made[1])
    memory = {"ada_probability": jnp.ones(())}
    seen = {}

    def discriminator(images, condition):
        seen.update(images=images, condition=condition)

    label = BATCH["label"] / 4.0
    images = jnp.stack([label] * 4, axis=-1)
    system._critic(discriminator, nets, memory)(images, label[..., None])
    moved = np.asarray(seen["condition"][..., 0])
    assert np.abs(moved - label).max() > 0.1
    for image, condition in zip(seen["images"], moved, strict=True):
        slope, offset = np.polyfit(condition.ravel(), image[..., 0].ravel(), 1)
        np.testing.assert_allclose(image[..., 0], slope * condition + offset, atol=1e-4)


def test_an_unknown_condition_lists_the_known():
    with pytest.raises(UsageError, match="condition='onehot'") as error:
        build(condition="onehot")
    assert "one_hot" in error.value.hint
