"""What every system has to do, shown for each."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fixtures import brats_spec, make_batch, make_volumes
from jaxsyn import systems
from jaxsyn.data import device
from jaxsyn.engine.checkpoint import Checkpoints
from jaxsyn.engine.mesh import Layout
from jaxsyn.engine.step import Engine
from jaxsyn.engine.system import Stage
from jaxsyn.errors import UsageError
from jaxsyn.systems.wgan3d import Wgan3d

SPEC = brats_spec(32)
STAGE = Stage(start=0, stop=10, image_size=32, batch_size=4)
# With the published initialisation, gain 0.02, first gradients drown in rounding.
SMALL = {"ngf": 4, "ndf": 4, "kernel_init": "he"}
STYLEGAN2 = {
    "latent": 8,
    "style_dim": 8,
    "mapping_layers": 2,
    "fmap_base": 128,
    "fmap_max": 8,
}
TINY = {
    "borde": {**SMALL, "hidden": 8, "feature_matching": 10.0},
    "samr": {
        **SMALL,
        "downs": 1,
        "blocks": 1,
        "atlas_bins": 3,
        "segmenter_ngf": 4,
        "segmenter_downs": 2,
    },
    # Its first norm sees one equal pixel an image: it multiplies gradients by 300.
    "sean": {**SMALL, "encoder_ngf": 4, "style_dim": 8, "feature_matching": 0.1},
    "spade": SMALL,
    "spade-vae": {**SMALL, "vae": True},
    "pix2pixhd": {**SMALL, "downs": 1, "blocks": 1},
    "pix2pixhd-enhancer": {
        **SMALL,
        "downs": 1,
        "blocks": 1,
        "num_scales": 1,
        "enhancer": True,
    },
    "cyclegan": {**SMALL, "downs": 1, "blocks": 1, "critic_layers": 1, "pool_size": 6},
    "pix2pix": SMALL,
    "shin": {**SMALL, "generator": "resnet", "blocks": 1},
    "platscher": SMALL,
    "platscher-spade": {**SMALL, "generator": "spade"},
    "unet": {"widths": (4, 8, 8)},
    "wgan3d": {"ngf": 4, "ndf": 2, "num_layers": 1, "kernel_init": "he"},
    "pgan": {"first_size": 32, "fmap_base": 128, "fmap_max": 8, "latent": 8},
    "stylegan2": STYLEGAN2,
    "cstylegan2": {**STYLEGAN2, "path_weight": 0.0},  # It is long in compiling.
}
MASK_MAKERS = ("wgan3d", "pgan", "stylegan2")
GENERATORS = [case for case in TINY if case not in ("unet", *MASK_MAKERS)]


def build(case: str, **options):
    return systems.build({"name": case.split("-")[0], **TINY[case], **options}, SPEC)


def engine_of(system, tx=None):
    tx = tx or optax.adam(1e-3, b1=0.0, b2=0.9)
    return Engine(
        system=system,
        optimizers={name: tx for name in system.networks},
        ema_decays={},
        dtype=jnp.float32,
    )


@pytest.fixture
def doubles(monkeypatch):
    """Makes every float32 a float64.

    Sums over devices are rounded otherwise than one device's, and where that carries
    a value over the kink of a ReLU its gradient jumps. Doubles are rounded too little.
    """
    monkeypatch.setattr(jnp, "float32", jnp.float64)
    with jax.enable_x64(True):
        yield


def examples(system, count=4):
    """A batch of slices or, for a system that makes volumes, of volumes."""
    make = make_volumes if isinstance(system, Wgan3d) else make_batch
    return make(SPEC, count)


def init_and_step(system, devices=1, tx=None, steps=1, count=4):
    layout = Layout.over(jax.devices()[:devices])
    engine = engine_of(system, tx)
    batch = layout.put_batch(jax.device_get(examples(system, count)))
    init = jax.jit(
        engine.init, static_argnames="stage", out_shardings=layout.replicated
    )
    advance = jax.jit(engine.step, static_argnames=("stage", "due"))
    states = [init(batch, stage=STAGE)]
    for step in range(steps):
        state, scalars = advance(states[-1], batch, stage=STAGE, due=engine.due(step))
        states.append(state)
    return states, scalars


def generate(system, state, batch, seed=0):
    made = jax.jit(engine_of(system).generate, static_argnames="stage")
    return made(state, batch, stage=STAGE, seed=seed)


def test_every_system_is_tested():
    assert {case.split("-")[0] for case in TINY} == set(systems.names())


@pytest.fixture(scope="module", params=TINY)
def trained(request):
    """A system, its states before and after a step, and the step's scalars."""
    system = build(request.param)
    states, scalars = init_and_step(system)
    return system, states, scalars


@pytest.mark.parametrize("trained", GENERATORS, indirect=True)
def test_images_have_the_modalities_and_the_range(trained):
    system, states, _ = trained
    image = generate(system, states[0], make_batch(SPEC, 4))
    assert image.shape == (4, 32, 32, 4)
    assert image.dtype == jnp.float32
    assert float(jnp.abs(image).max()) <= 1.0
    assert float(image.std()) > 0


def test_a_step_moves_every_parameter(trained):
    # Every gradient reaches its network: with b1 = 0 a parameter that has one moves
    # by the learning rate, and one that has none stays.
    _, (before, after), scalars = trained
    assert all(np.isfinite(v) for v in jax.device_get(scalars).values())
    still = [
        jax.tree_util.keystr(path)
        for (path, old), new in zip(
            jax.tree_util.tree_leaves_with_path(before.params),
            jax.tree.leaves(after.params),
            strict=True,
        )
        if np.array_equal(old, new)
    ]
    assert not still


def test_what_a_checkpoint_gives_back_goes_on_the_same(trained, tmp_path):
    # A step is a function of the state alone: it is exact if the state is.
    _, (_, state), _ = trained
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.save(state, 1, {})
    checkpoints.wait()
    restored = checkpoints.restore(1, jax.tree.map(jnp.zeros_like, state))
    checkpoints.close()
    assert jax.tree.structure(restored) == jax.tree.structure(state)
    for a, b in zip(jax.tree.leaves(restored), jax.tree.leaves(state), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("trained", GENERATORS, indirect=True)
def test_the_label_map_decides_the_image(trained):
    system, states, _ = trained
    batch, other = make_batch(SPEC, 4), make_batch(SPEC, 4, seed=9)
    label = batch["label"].at[0, 12:20, 12:20].set(1)
    region = batch | device.label_features(label, SPEC)
    image, changed, same = (
        generate(system, states[-1], b)
        for b in (batch, region, batch | {"image": other["image"]})
    )
    np.testing.assert_array_equal(image, same)  # The real image plays no part.
    difference = jnp.abs(image - changed)
    assert float(difference[0, 12:20, 12:20].max()) > 1e-3
    # What is made of other label maps stays.
    np.testing.assert_allclose(difference[1:], 0.0, atol=1e-5)


@pytest.mark.parametrize("case", ["borde", "spade-vae"])
def test_the_seed_gives_variety(case):
    system = build(case)
    (state, *_), _ = init_and_step(system, steps=0 or 1)
    batch = make_batch(SPEC, 2)
    one, again, other = (generate(system, state, batch, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert float(jnp.abs(one - other).max()) > 1e-4


@pytest.mark.parametrize(
    "devices", [4, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 8))]
)
@pytest.mark.parametrize("case", TINY)
@pytest.mark.usefixtures("doubles")
def test_one_device_equals_several(case, devices):
    if len(jax.devices()) < devices:
        pytest.skip(f"Set JAXSYN_TEST_DEVICES={devices} for this.")
    system, sgd = build(case), optax.sgd(1e-3)
    one, several = (
        init_and_step(system, n, sgd, steps=2, count=max(4, devices))[0][-1]
        for n in (1, devices)
    )
    for (path, a), b in zip(
        jax.tree_util.tree_leaves_with_path(one), jax.tree.leaves(several), strict=True
    ):
        name = jax.tree_util.keystr(path)
        assert a.dtype in (jnp.float64, jnp.int32, jnp.bool), name
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9, err_msg=name)
    images = [
        generate(system, jax.device_get(s), examples(system, 2)) for s in (one, several)
    ]
    np.testing.assert_allclose(*images, rtol=1e-8, atol=1e-8)


def test_an_unknown_system_lists_the_known():
    with pytest.raises(UsageError, match="config.system.name='spde'") as error:
        systems.build({"name": "spde"}, SPEC)
    assert "Did you mean 'spade'?" in error.value.hint


def test_an_unknown_option_lists_the_known():
    with pytest.raises(UsageError, match="config.system.nfg is not known"):
        systems.build({"name": "spade", "nfg": 3}, SPEC)


def test_an_image_size_that_does_not_divide():
    spec = dataclasses.replace(SPEC, image_size=34)
    for name in ("spade", "borde"):
        with pytest.raises(UsageError, match="34"):
            system = systems.build({"name": name}, spec)
            jax.eval_shape(
                lambda batch, s=system: engine_of(s).init(batch, stage=STAGE),
                make_batch(spec, 1),
            )
