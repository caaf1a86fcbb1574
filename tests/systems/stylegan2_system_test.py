"""StyleGAN2 of noise: what it makes, and what its phases do."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fixtures import brats_spec, make_batch
from jaxsyn import systems
from jaxsyn.data.codec import MaskCodec
from jaxsyn.engine.nets import Nets
from jaxsyn.engine.step import Engine
from jaxsyn.engine.system import Stage
from jaxsyn.errors import UsageError

SPEC = brats_spec(16)
STAGE = Stage(start=0, stop=10, image_size=16, batch_size=4)
TINY = {
    "latent": 4,
    "style_dim": 8,
    "mapping_layers": 2,
    "fmap_base": 128,
    "fmap_max": 8,
}
BATCH = make_batch(SPEC, 4)


def build(spec=SPEC, **options):
    return systems.build({"name": "stylegan2", **TINY, **options}, spec)


def engine_of(system, tx=None):
    tx = tx or optax.adam(2e-3, b1=0.0, b2=0.99)
    return Engine(
        system=system,
        optimizers=dict.fromkeys(system.networks, tx),
        ema_decays={},
    )


def initial(system):
    return jax.jit(engine_of(system).init, static_argnames="stage")(BATCH, stage=STAGE)


def generate(system, state, seed=0, batch=BATCH):
    made = jax.jit(engine_of(system).generate, static_argnames="stage")
    return made(state, batch, stage=STAGE, seed=seed)


def nets_of(system, state, stage=STAGE, seed=0):
    return Nets(
        system.networks,
        state.params,
        state.stats,
        rng=jax.random.key(seed),
        stage=stage,
        step=jnp.zeros((), jnp.int32),
        memory=state.memory,
    )


def measure(system, loss, state, stage=STAGE, **memory):
    """A loss's terms, memory and scalars."""

    @jax.jit
    def measured(state):
        nets = nets_of(system, state, stage)
        found = getattr(system, loss)(nets, BATCH, {**state.memory, **memory})
        return found.terms, found.memory, found.scalars

    return measured(state)


@pytest.fixture(scope="module")
def pairs():
    system = build(makes="pairs")
    return system, initial(system)


def test_pairs_are_images_then_label_maps(pairs):
    system, state = pairs
    made = generate(system, state)
    assert made.shape == (4, 16, 16, 5)
    decoded = system.decode(made)
    np.testing.assert_array_equal(decoded["image"], made[..., :4])
    assert float(jnp.abs(decoded["image"]).max()) <= 1.0
    assert (decoded["label"].shape, decoded["label"].dtype) == ((4, 16, 16), jnp.int32)
    assert set(np.unique(decoded["label"])) <= set(range(5))
    real = system.decode(system._real(BATCH))
    np.testing.assert_array_equal(real["image"], BATCH["image"])
    np.testing.assert_array_equal(real["label"], BATCH["label"])


@pytest.mark.parametrize(
    ("options", "channels", "kinds"),
    [
        ({}, 1, {"label"}),
        ({"codec": "one_hot"}, 5, {"label"}),
        ({"makes": "pairs", "codec": "one_hot"}, 9, {"image", "label"}),
        ({"makes": "images"}, 4, {"image"}),
    ],
)
def test_what_it_makes(options, channels, kinds):
    system = build(**options)
    state = jax.eval_shape(lambda: engine_of(system).init(BATCH, stage=STAGE))
    made = jax.eval_shape(
        lambda s: engine_of(system).generate(s, BATCH, stage=STAGE), state
    )
    assert made.shape == (4, 16, 16, channels)
    decoded = system.decode(system._real(BATCH))
    assert set(decoded) == kinds
    if "label" in kinds:
        np.testing.assert_array_equal(decoded["label"], BATCH["label"])


def test_the_seed_gives_variety_and_the_batch_nothing(pairs):
    system, state = pairs
    other = make_batch(SPEC, 4, seed=9)
    one, again, two = (
        generate(system, state, s, b) for s, b in ((1, BATCH), (1, other), (2, BATCH))
    )
    np.testing.assert_array_equal(one, again)
    assert float(jnp.abs(one - two).max()) > 1e-2
    assert float(jnp.abs(one[0] - one[1]).max()) > 1e-2


def test_truncation_ends_at_the_mean(pairs):
    _, state = pairs
    variety = []
    for psi in (1.0, 0.5, 0.0):
        made = generate(build(makes="pairs", truncation=psi), state)
        variety.append(float(made[..., -1].std(axis=0).mean()))
    assert variety[0] > 1.2 * variety[1] > 0
    assert variety[2] < 1e-5  # Noise, which remains, has no strength yet.


def test_styles_are_mixed_from_some_layer_on(pairs):
    system, state = pairs
    for mixing, kinds in ((0.0, {1}), (1.0, {2})):
        mixes = build(makes="pairs", mixing=mixing)
        cuts = set()
        for seed in range(12):
            styles = np.asarray(mixes._styles(nets_of(mixes, state, seed=seed), 2))
            assert styles.shape == (2, 6, 8)
            distinct = {len(np.unique(w, axis=0)) for w in styles}
            assert distinct == kinds
            changes = np.abs(np.diff(styles[0], axis=0)).max(1) > 0
            cuts |= {int(i) for i in np.flatnonzero(changes)}
        assert cuts == (set(range(5)) if mixing else set())


def test_the_score_is_of_each_by_itself(pairs):
    system, state = pairs
    made = generate(system, state)
    score = jax.jit(lambda s, b, m: system.score(nets_of(system, s), b, m))
    scores = score(state, BATCH, made)
    assert scores.shape == (4,)
    alone = score(state, {k: v[:1] for k, v in BATCH.items()}, made[:1])
    np.testing.assert_allclose(scores[0], alone[0], rtol=1e-4, atol=1e-6)


def test_phases_come_as_often_as_they_should():
    engine = engine_of(build())
    counts = {}
    for step in range(32):
        for name in engine.due(step):
            counts[name] = counts.get(name, 0) + 1
    assert counts == {"discriminator": 32, "generator": 32, "path": 8, "r1": 2}
    assert {p.name: p.scale for p in engine.system.phases}["r1"] == 16
    assert "path" not in {p.name for p in build(path_weight=0.0).phases}


def test_r1_is_weighted_by_size_and_batch_where_no_weight_is_given(pairs):
    _, state = pairs
    stage = Stage(start=0, stop=1, image_size=16, batch_size=8)
    auto, unit = (
        measure(build(makes="pairs", r1_gamma=gamma), "r1_loss", state, stage)[0]["r1"]
        for gamma in (0.0, 1.0)
    )
    # 0.0002 * 16 * 16 / 8
    np.testing.assert_allclose(auto / unit, 0.0064, rtol=1e-5)
    assert unit > 0


def test_path_lengths_are_drawn_to_their_running_mean(pairs):
    system, state = pairs
    terms, memory, scalars = measure(
        system, "path_loss", state, path_mean=jnp.float32(3.0)
    )
    length, mean = scalars["length"], memory["path_mean"]
    np.testing.assert_allclose(mean, 0.99 * 3.0 + 0.01 * length, rtol=1e-5)
    # The mean square over two images is at least the square of their mean.
    assert terms["path"] >= 2.0 * (length - mean) ** 2 * (1 - 1e-5)


def test_generation_needs_a_power_of_two():
    for size in (4, 24):
        engine = engine_of(build(brats_spec(size)))
        batch = make_batch(brats_spec(size), 1)
        with pytest.raises(UsageError, match=f"images of {size} px") as error:
            jax.eval_shape(functools.partial(engine.init, stage=STAGE), batch)
        assert "64" in error.value.hint


def test_unknown_words_list_the_known():
    with pytest.raises(UsageError, match="makes='mask'") as error:
        build(makes="mask")
    assert "pairs" in error.value.hint
    with pytest.raises(UsageError, match="codec='onehot'"):
        build(codec="onehot")


@pytest.mark.parametrize("ada", [0.0, 0.6])
def test_the_discriminator_learns_and_is_held_back(ada):
    # The step without regularisers: of the label maps, on a still generator.
    system = build(ada=ada, ada_images=40)
    engine = engine_of(system)
    state = initial(system)
    step = jax.jit(functools.partial(engine.step, stage=STAGE, due=("discriminator",)))
    losses, probabilities = [], []
    for _ in range(25):
        state, scalars = step(state, BATCH)
        terms = scalars["discriminator/fake"] + scalars["discriminator/real"]
        losses.append(float(terms))
        probabilities.append(float(state.memory["ada_probability"]))
    assert np.isfinite(losses).all()
    if not ada:
        assert np.mean(losses[-5:]) < 0.7 * losses[0], losses
        assert probabilities[-1] == 0.0
    else:  # By a tenth a step, up or down.
        changes = np.abs(np.diff([0.0, *probabilities]))
        assert (np.isclose(changes, 0.1, atol=1e-5) | (changes < 1e-6)).all()
        assert max(probabilities) > 0.5, probabilities


def test_the_mean_style_follows(pairs):
    _, state = pairs
    system = build(makes="pairs", mixing=0.0, w_decay=0.75)
    _, memory, _ = measure(system, "generator_loss", state, w_mean=jnp.ones(8))
    w = system._styles(nets_of(system, state), 4)[:, 0]
    np.testing.assert_allclose(memory["w_mean"], 0.75 + 0.25 * w.mean(0), rtol=1e-5)


def test_a_code_of_label_maps_is_that_of_the_codec():
    codec = MaskCodec.of_spec(SPEC, "index")
    np.testing.assert_array_equal(build()._real(BATCH), codec.encode(BATCH["label"]))
