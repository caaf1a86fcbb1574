"""SEAN's styles: where they come from, and what they change."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fixtures import brats_spec, make_batch
from jaxsyn import systems
from jaxsyn.engine.step import Engine
from jaxsyn.engine.system import Stage
from jaxsyn.errors import DataError, UsageError
from jaxsyn.synthesis.generator import Generator
from jaxsyn.systems.sean import mean_style, remember

SPEC = brats_spec(32)
STAGE = Stage(start=0, stop=10, image_size=32, batch_size=2)
TINY = {
    "ngf": 4,
    "ndf": 4,
    "encoder_ngf": 4,
    "style_dim": 8,
    "num_scales": 1,
    "kernel_init": "he",
}
BRAIN, OEDEMA, ENHANCING = 4, 2, 3


def build(spec=SPEC, **options):
    return systems.build({"name": "sean", **TINY, **options}, spec)


def engine_of(system, tx=None):
    return Engine(
        system=system,
        optimizers={n: tx for n in system.networks if tx},
        ema_decays={},
    )


def relabel(batch, old, new):
    """A batch with one label in another's place."""
    label = jnp.where(batch["label"] == old, new, batch["label"])
    return batch | {"label": label, "one_hot": jax.nn.one_hot(label, 5)}


# The second batch lacks the oedema, and no batch has the enhancing tumour.
FIRST = relabel(make_batch(SPEC, 2), ENHANCING, BRAIN)
SECOND = relabel(relabel(make_batch(SPEC, 2, seed=1), ENHANCING, BRAIN), OEDEMA, BRAIN)


@pytest.fixture(scope="module")
def step():
    """A system, its first state and its step; the first two move no parameter."""
    system = build(style_decay=0.5)
    rate = optax.join_schedules([lambda _: 0.0, lambda _: 1e-3], [2])
    engine = engine_of(system, optax.adam(rate, b1=0.0, b2=0.9))
    state = jax.jit(engine.init, static_argnames="stage")(FIRST, stage=STAGE)
    step = jax.jit(engine.step, static_argnames=("stage", "due"))
    return system, state, functools.partial(step, stage=STAGE, due=engine.due(0))


@pytest.fixture(scope="module")
def trained(step):
    """A system and its state after the first two steps."""
    system, state, step = step
    for batch in (FIRST, SECOND):
        state, _ = step(state, batch)
    return system, state


@pytest.fixture(scope="module")
def generator(trained):
    return Generator(trained[0], SPEC, trained[1], {})


LABELS = np.asarray(make_batch(SPEC, 2, seed=2)["label"])
IMAGES = np.random.default_rng(0).uniform(-1, 1, (2, 2, 32, 32, 4)).astype(np.float32)


def generate(generator, labels=LABELS, **extra):
    return generator.generate(labels, normalised=True, batch_size=2, extra=extra)


def test_the_mean_style_is_that_of_the_images_that_have_the_label(trained):
    system, state = trained
    encoder = system.networks["encoder"]
    expected = np.zeros((5, 8))
    weights = np.zeros(5)
    for weight, batch in ((0.5, FIRST), (1.0, SECOND)):
        style, present = encoder.apply(
            {"params": state.params["encoder"]},
            batch["image"],
            batch["one_hot"],
            train=False,
        )
        for image, label in np.argwhere(present):
            # Only in the first batch is there oedema: nothing has faded it since.
            own = 1.0 if label == OEDEMA else weight
            expected[label] += own * np.asarray(style[image, label])
            weights[label] += own
    assert weights[ENHANCING] == 0
    assert (weights[[0, OEDEMA, BRAIN]] == [3, 2, 3]).all()
    expected /= np.maximum(weights, 1)[:, None]
    np.testing.assert_allclose(mean_style(state.memory), expected, rtol=1e-4, atol=1e-5)


def test_without_decay_the_mean_is_that_of_all_images():
    memory = build(style_dim=1).memory({})
    styles = np.array([[[2.0], [8.0]], [[0.0], [4.0]], [[6.0], [6.0]], [[0.0], [0.0]]])
    styles = np.pad(styles, ((0, 0), (0, 3), (0, 0)))
    present = styles[..., 0] > 0
    for i in range(4):
        memory = remember(memory, styles[i : i + 1], present[i : i + 1], 1.0)
    np.testing.assert_allclose(mean_style(memory)[:, 0], [4, 6, 0, 0, 0])


def test_a_label_that_stays_away_keeps_its_mean():
    memory = build(style_dim=1).memory({})
    here, away = np.full((1, 5, 1), 3.0), np.zeros((1, 5, 1))
    memory = remember(memory, here, here[..., 0] > 0, 0.5)
    for _ in range(3):
        memory = remember(memory, away, away[..., 0] > 0, 0.5)
    np.testing.assert_array_equal(mean_style(memory), 3.0)


def test_images_are_made_in_the_mean_styles(trained, generator):
    system, state = trained
    other = state.replace(
        memory=state.memory | {"style_sum": -state.memory["style_sum"]}
    )
    image = generate(generator)
    changed = generate(Generator(system, SPEC, other, {}))
    assert np.abs(image - changed).max() > 1e-3


def test_a_reference_gives_the_styles(generator):
    mean = generate(generator)
    one, other = (
        generate(generator, style_image=i, style_label=LABELS) for i in IMAGES
    )
    assert np.abs(one - mean).max() > 1e-3
    assert np.abs(one - other).max() > 1e-3
    # Without label maps the reference has those of the images that are made.
    np.testing.assert_array_equal(generate(generator, style_image=IMAGES[0]), one)
    # Each image has its own reference.
    mixed = np.stack([IMAGES[0][0], IMAGES[1][1]])
    mixed = generate(generator, style_image=mixed)
    np.testing.assert_allclose(mixed, [one[0], other[1]], atol=1e-5)


def test_labels_that_the_reference_lacks_keep_their_mean_styles(generator):
    brains = np.full_like(LABELS, BRAIN)
    mean = generate(generator, brains)
    background = np.zeros_like(LABELS)
    same = generate(generator, brains, style_image=IMAGES[0], style_label=background)
    np.testing.assert_allclose(same, mean, atol=1e-5)
    other = generate(generator, brains, style_image=IMAGES[0], style_label=brains)
    assert np.abs(other - mean).max() > 1e-3


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"style_image": IMAGES[0][..., :3]}, r"style_image .*\(32, 32, 3\)"),
        (
            {"style_image": IMAGES[0], "style_label": LABELS[:, :16]},
            r"style_label .*\(16, 32\); expected \(32, 32\)",
        ),
    ],
)
def test_a_reference_of_another_shape(generator, extra, message):
    with pytest.raises(DataError, match=message):
        generate(generator, **extra)


def test_an_image_size_that_does_not_divide():
    spec = dataclasses.replace(SPEC, image_size=34)
    engine = engine_of(build(spec))
    with pytest.raises(UsageError, match="34 px") as error:
        jax.eval_shape(lambda b: engine.init(b, stage=STAGE), make_batch(spec, 1))
    assert "multiple of 32" in error.value.hint


def test_the_generator_learns(trained, step):
    # A few steps on one batch bring the features of its images nearer the real ones'.
    (_, state), (_, _, step) = trained, step
    distances = []
    for _ in range(12):
        state, scalars = step(state, FIRST)
        distances.append(float(scalars["generator/features"]))
    assert np.mean(distances[-3:]) < 0.85 * distances[0], distances
