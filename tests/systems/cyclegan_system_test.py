import dataclasses
import functools

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
from jaxsyn.systems import _pool

SPEC = brats_spec(16)
STAGE = Stage(start=0, stop=10, image_size=16, batch_size=4)
TINY = {"ngf": 4, "ndf": 4, "downs": 1, "blocks": 1, "critic_layers": 2}


def build(spec=SPEC, **options):
    options = {"kernel_init": "he", "pool_size": 6, **TINY, **options}
    return systems.build({"name": "cyclegan", **options}, spec)


def nets_of(system, state):
    return Nets(
        system.networks,
        state.params,
        state.stats,
        rng=jax.random.key(0),
        stage=STAGE,
        step=state.step,
    )


@pytest.fixture(scope="module")
def training():
    """A system, its batch, and its states and losses over a short training."""
    system, batch = build(), make_batch(SPEC, 4)
    tx = optax.adam(2e-3, b1=0.5)
    engine = Engine(
        system=system, optimizers=dict.fromkeys(system.networks, tx), ema_decays={}
    )
    init = jax.jit(engine.init, static_argnames="stage")
    step = jax.jit(engine.step, static_argnames=("stage", "due"))
    states, losses = [init(batch, stage=STAGE)], []
    for i in range(30):
        state, scalars = step(states[-1], batch, stage=STAGE, due=engine.due(i))
        states.append(state)
        losses.append(jax.device_get(scalars))
    return system, batch, states, losses


def numbered(*values):
    """Images of 2x2 px, each full of one number."""
    return jnp.ones((len(values), 2, 2, 1)) * jnp.array(values).reshape(-1, 1, 1, 1)


def exchange(pool, images, seed=0):
    given, pool = jax.jit(_pool.exchange)(pool, images, jax.random.key(seed))
    return list(given[:, 0, 0, 0]), list(pool["images"][:, 0, 0, 0]), pool


def test_a_pool_keeps_and_gives_back_what_fills_it():
    given, kept, pool = exchange(_pool.empty(3, (2, 2, 1)), numbered(1.0, 2.0))
    assert given == [1, 2]
    assert kept == [1, 2, 0]
    given, kept, pool = exchange(pool, numbered(3.0))
    assert given == [3]
    assert kept == [1, 2, 3]
    assert pool["count"] == 3


def test_a_full_pool_swaps_every_other_image():
    full = {"images": numbered(1.0, 2.0, 3.0, 4.0), "count": jnp.int32(4)}
    swaps, places = 0, []
    for seed in range(100):
        given, kept, pool = exchange(full, numbered(9.0), seed)
        assert pool["count"] == 4
        if given == [9]:
            assert kept == [1, 2, 3, 4]
        else:
            swaps += 1
            places.append(kept.index(9))
            assert sorted([*kept, *given]) == [1, 2, 3, 4, 9]  # None is lost.
    assert 35 < swaps < 65  # Outside, one time in 500.
    assert set(places) == {0, 1, 2, 3}


def test_images_of_one_call_may_be_swapped_for_each_other():
    full = {"images": numbered(0.0), "count": jnp.int32(1)}
    handed_in = np.arange(1.0, 21.0)
    given, kept, _ = exchange(full, numbered(*handed_in))
    assert sorted([*given, *kept]) == [0, *handed_in]
    delays = handed_in - np.array(given)
    assert (delays >= 0).all()
    assert (delays > 1).any()


def test_a_pool_of_none_gives_back_what_it_gets():
    given, kept, _ = exchange(_pool.empty(0, (2, 2, 1)), numbered(1.0, 2.0))
    assert given == [1, 2]
    assert kept == []


def test_the_pools_hold_the_fakes_of_earlier_steps(training):
    system, batch, states, _ = training
    made = []
    for state in states[:2]:
        nets = nets_of(system, state)
        made.append(jax.jit(lambda b, n=nets: system.generate(n, b))(batch))
    first, second = (state.memory["image_pool"] for state in states[1:3])
    assert first["count"] == 4
    np.testing.assert_allclose(first["images"][:4], made[0], atol=1e-4)
    assert second["count"] == 6
    # Two of the second step's four fill it; the others may replace any.
    for image in second["images"]:
        assert jnp.abs(jnp.concatenate(made) - image[None]).max((1, 2, 3)).min() < 1e-4
    labels = states[2].memory["labels_pool"]
    assert labels["images"].shape == (6, 16, 16, 5)
    assert jnp.abs(labels["images"]).max(axis=(1, 2, 3)).min() > 0


def test_critics_are_shown_the_pool(training):
    system, batch, states, _ = training
    state = states[-1]
    pools = [
        {
            name: {**pool, "images": jnp.full_like(pool["images"], value)}
            for name, pool in state.memory.items()
        }
        for value in (-1.0, 1.0)
    ]

    @jax.jit
    def terms(memory):
        return system.critics_loss(nets_of(system, state), batch, memory).terms

    low, high = map(terms, pools)
    for kind in ("image", "labels"):
        assert low[f"{kind}_fake"] != high[f"{kind}_fake"]
        assert low[f"{kind}_real"] == high[f"{kind}_real"]


def test_no_loss_compares_pairs(training):
    # With another image beside each label map every loss is as before.
    system, batch, states, _ = training

    @jax.jit
    def terms(image):
        shuffled = {**batch, "image": image}
        nets, memory = nets_of(system, states[1]), build(pool_size=0).memory(batch)
        critics = build(pool_size=0).critics_loss(nets, shuffled, memory).terms
        return {**critics, **system.generators_loss(nets, shuffled, memory).terms}

    paired, unpaired = (
        terms(batch["image"]),
        terms(batch["image"][jnp.array([2, 0, 3, 1])]),
    )
    assert len(paired) == 8
    for name, value in paired.items():
        np.testing.assert_allclose(unpaired[name], value, rtol=1e-4, err_msg=name)


def test_what_goes_there_and_back_returns(training):
    *_, losses = training
    for name in ("generators/labels_cycle", "generators/image_cycle"):
        first, last = (
            np.mean([x[name] for x in part]) for part in (losses[:3], losses[-3:])
        )
        assert last < 0.95 * first, name
    assert all(np.isfinite(v) for x in losses for v in x.values())


def generator_terms(system, spec):
    batch = make_batch(spec, 1)

    def terms(batch):
        nets = Nets(
            system.networks,
            {},
            {},
            rng=jax.random.key(0),
            stage=STAGE,
            step=jnp.zeros((), jnp.int32),
            initializing=True,
        )
        return system.generators_loss(nets, batch, {}).terms

    return functools.partial(jax.eval_shape, terms, batch)


def test_identity_is_off_where_channels_differ_and_says_so_once(caplog):
    caplog.set_level("INFO", logger="jaxsyn")
    terms = generator_terms(build(), SPEC)
    assert not [name for name in {**terms(), **terms()} if "identity" in name]
    assert caplog.messages == [
        "CycleGAN's identity loss is off: images have 4 channels, label maps 5."
    ]


def test_identity_is_on_where_they_are_as_many(caplog):
    caplog.set_level("INFO", logger="jaxsyn")
    spec = brats_spec(16, modalities=("t1", "t1ce", "t2", "flair", "pd"))
    terms = generator_terms(build(spec), spec)()
    assert {"image_identity", "labels_identity"} < set(terms)
    none = generator_terms(build(spec, identity=0.0), spec)()
    assert "image_identity" not in none
    assert not caplog.messages


def test_an_image_size_that_cannot_be_halved():
    spec = dataclasses.replace(SPEC, image_size=18)
    with pytest.raises(UsageError, match="18x18 px cannot be halved 2 times"):
        generator_terms(build(spec, downs=2), spec)()
