"""What is SAMR's own: regions, the atlas, decoders, and what its options leave out."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from weights import random_variables

from fixtures import brats_spec, make_batch
from jaxsyn import systems
from jaxsyn.data import nifti
from jaxsyn.engine.step import Engine
from jaxsyn.engine.system import Stage
from jaxsyn.errors import DataError, UsageError
from jaxsyn.models.samr import SamrGenerator

SPEC = brats_spec(16, modalities=("t1", "t2"))
STAGE = Stage(start=0, stop=1, image_size=16, batch_size=2)
TINY = {
    "ngf": 4,
    "downs": 1,
    "blocks": 1,
    "ndf": 4,
    "atlas_bins": 3,
    "segmenter_ngf": 4,
    "segmenter_downs": 2,
    "kernel_init": "he",
}


def build(spec=SPEC, **options):
    return systems.build({"name": "samr", **TINY, **options}, spec)


def shapes(system, batch):
    engine = Engine(system=system, optimizers={}, ema_decays={})
    return jax.eval_shape(lambda b: engine.init(b, stage=STAGE), batch)


def slices(images, labels, positions):
    """Training slices as a cache has them, of grey values in 0 to 65535."""
    return types.SimpleNamespace(
        image=np.array(images, np.uint16),
        label=np.array(labels, np.uint8),
        position=np.array(positions, np.float32),
    )


def two_heights():
    """Two slices at the base with a brain in the top row, one at the vertex."""
    labels = np.zeros((3, 16, 16))
    labels[:2, 0] = 4
    labels[2, 8] = 2
    images = np.zeros((3, 16, 16, 2))
    images[0, ..., 0], images[1, ..., 0], images[2, ..., 1] = 20000, 40000, 65535
    return slices(images, labels, [0.0, 0.1, 1.0])


def test_regions_by_hand():
    label = np.zeros((1, 16, 16), int)
    label[0, 0, :5] = [0, 1, 2, 3, 4]  # Background, three of tumour, brain.
    one_hot = jnp.eye(5)[label]
    batch = {"one_hot": one_hot, "boundary": jnp.zeros((1, 16, 16, 1))}
    found = {k: v[0, 0, :5, 0].tolist() for k, v in build().regions(batch).items()}
    assert found == {
        "background": [1, 0, 0, 0, 0],
        "brain": [0, 0, 0, 0, 1],
        "lesion": [0, 1, 1, 1, 0],
    }
    found = build(lesion=["oedema"]).regions(batch)
    assert found["lesion"][0, 0, :5, 0].tolist() == [0, 0, 1, 0, 0]
    assert found["brain"][0, 0, :5, 0].tolist() == [0, 1, 0, 1, 1]
    assert found["background"].sum() == 16 * 16 - 4
    whole = build(label_wise=False).regions(batch)
    assert list(whole) == ["whole"] and whole["whole"].min() == 1


def test_the_atlas_by_hand():
    batch = make_batch(SPEC, 3)
    memory = build().fitted(two_heights()).memory(batch)
    # Means of 20000 and 40000, and of one; the bin between has none, the lower serves.
    first, last = 30000 / 65535 * 2 - 1, 1.0
    expected = [[first, -1], [first, -1], [-1, last]]
    np.testing.assert_allclose(memory["atlas"][:, 3, 3], expected, atol=1e-6)
    brain = np.zeros((3, 16, 16))
    brain[:2, 0] = brain[2, 8] = 1
    np.testing.assert_array_equal(memory["brain"], brain)


def test_the_atlas_of_a_file(tmp_path):
    path = tmp_path / "atlas.nii.gz"
    data = np.ones((16, 16, 4, 3), np.float32)
    nifti.write(path, data, np.eye(4))
    with pytest.raises(DataError, match="has 3 channels, the data have 2"):
        build(atlas_file=str(path)).fitted(two_heights())
    data[..., 1, :], data[0] = 2, 0
    nifti.write(path, data[..., :2], np.eye(4))
    system = build(atlas_file=str(path), atlas_bins=4).fitted(two_heights())
    memory = system.memory(make_batch(SPEC, 1))
    # The file is 0 in the column that is the patient's left, elsewhere 1 or 2.
    levels = memory["atlas"][:, 5, 5, 0]
    np.testing.assert_allclose(levels, [0, 1, 0, 0], atol=0.01)
    assert memory["brain"].max() == 1  # Of the training slices, as ever.


def test_shown_are_the_slice_below_its_own_and_the_one_above():
    system = build()
    memory = {"atlas": jnp.arange(3.0).reshape(3, 1, 1, 1) * jnp.ones((1, 16, 16, 2))}
    batch = make_batch(SPEC, 4) | {"position": jnp.array([0.0, 0.4, 0.8, 1.0])}
    shown = system.atlas_slices(batch, memory)
    assert shown.shape == (4, 16, 16, 6)
    expected = [[0, 0, 1], [0, 1, 2], [1, 2, 2], [1, 2, 2]]
    np.testing.assert_array_equal(shown[:, 0, 0, ::2], expected)


def test_without_a_height_the_label_maps_brain_tells_it():
    system = build().fitted(two_heights())
    labels = np.zeros((2, 16, 16), int)
    labels[0, 8], labels[1, 0] = 4, 1  # As at the vertex, and as at the base.
    batch = {"one_hot": jnp.eye(5)[labels]}
    shown = system.atlas_slices(batch, system.memory(batch))
    assert shown[:, 0, 0, 3].tolist() == [1.0, -1.0]


def test_the_atlas_is_remembered_and_changes_the_image():
    system, batch = build(), make_batch(SPEC, 2)
    memory = system.memory(batch)  # Not fitted: the mean of the batch.
    np.testing.assert_allclose(memory["atlas"][2], batch["image"].mean(0), atol=1e-6)
    generator = system.networks["generator"]
    args = batch["one_hot"], system.atlas_slices(batch, memory)
    variables = random_variables(generator, *args, train=False)

    @jax.jit
    def generate(memory):
        def nets(_, *args):
            return generator.apply(variables, *args, train=False)

        nets.memory = memory
        return system.generate(nets, batch)

    image = generate(memory)
    changed = generate(memory | {"atlas": -memory["atlas"]})
    assert float(jnp.abs(image - changed).max()) > 0.01


def test_each_decoder_makes_one_modality():
    model = SamrGenerator(2, ngf=4, downs=1, blocks=0)
    batch = make_batch(SPEC, 1)
    inputs = batch["one_hot"], batch["image"]
    params = random_variables(model, *inputs, train=False)["params"]

    def energy(params, modality):
        image = model.apply({"params": params}, *inputs, train=False)
        return jnp.square(image[..., modality]).sum()

    gradient = jax.jit(jax.grad(energy))
    for modality in (0, 1):
        moved = {
            name: max(float(jnp.abs(x).max()) for x in jax.tree.leaves(part))
            for name, part in gradient(params, modality).items()
        }
        assert moved.pop(f"decoder_{1 - modality}") == 0
        assert min(moved.values()) > 0.01


def test_networks_and_phases_of_the_ablations():
    pairs = ("background", "brain", "lesion")
    six = {f"{region}_{scale}" for region in pairs for scale in ("full", "half")}
    batch = make_batch(SPEC, 1)

    def networks(**options):
        system = build(**options)
        params = shapes(system, batch).params
        trained = [name for phase in system.phases for name in phase.trains]
        assert sorted(trained) == sorted(params)  # Each by one phase.
        return params

    full = networks()
    assert set(full) == {"generator", "segmenter"} | six
    assert set(networks(consistency=0.0)) == {"generator"} | six
    ablated = networks(label_wise=False)
    assert set(ablated) - {"generator", "segmenter"} == {"whole_full", "whole_half"}
    assert "atlas" in full["generator"]
    assert "atlas" not in networks(atlas=False)["generator"]
    assert "decoder_1" in full["generator"]
    assert "decoder_1" not in networks(stretch_out=False)["generator"]
    inputs = networks(atlas_to_discriminator=True)["lesion_half"]["conv_0"]["kernel"]
    assert inputs.shape[2] == 5 + 2 + 3 * 2


def test_a_discriminator_sees_its_region_alone():
    system, batch, seen = build(atlas=False), make_batch(SPEC, 1), {}

    def nets(name, x, *_):
        seen[name] = x
        return batch["image"] if name == "generator" else [x]

    system.discriminator_loss(nets, batch, {})
    label = np.asarray(batch["label"])
    both = np.concatenate([batch["one_hot"], batch["image"]], axis=-1)
    np.testing.assert_array_equal(seen["brain_full"], both * (label == 4)[..., None])
    lesion = both * np.isin(label, (1, 2, 3))[..., None]
    np.testing.assert_array_equal(seen["lesion_full"], lesion)
    # 3x3 means at stride 2; away from the rim, of nine pixels.
    expected = lesion[0, 7:10, 7:10].mean((0, 1))
    np.testing.assert_allclose(seen["lesion_half"][0, 4, 4], expected, atol=1e-6)
    assert expected.any()


def losses_by_hand(**options):
    """Of a fake of 3 and a real image of 1, which are features; logits are one less."""
    system = build(label_wise=False, atlas=False, **options)
    batch = make_batch(SPEC, 2)
    batch |= {"image": jnp.ones((2, 16, 16, 2))}

    def nets(name, x, *_):
        if name == "generator":
            return 3 * batch["image"]
        if name == "segmenter":
            return jnp.zeros((2, 16, 16, 5))
        return [x[..., -1:], x[..., -1:] - 1]

    phases = {phase.name: phase.loss(nets, batch, {}).terms for phase in system.phases}
    return jax.tree.map(float, phases)


def test_losses_by_hand():
    # Each sum is over two discriminators. In the generalised Dice loss p is 1/5
    # everywhere: 1 - 2 · 1/5 / (1 + 1).
    terms = losses_by_hand()
    expected = {"fake": 2 * np.log1p(np.exp(2)), "real": 2 * np.log(2)}
    assert terms["discriminator"] == pytest.approx(expected, rel=1e-4)
    assert terms["segmenter"] == {"real": pytest.approx(0.8)}
    expected = {
        "adversarial": 2 * np.log1p(np.exp(-2)),
        "features": 5 * 2 * (3 - 1) ** 2,
        "consistency": 0.8,
    }
    assert terms["generator"] == pytest.approx(expected, rel=1e-4)


def test_losses_of_the_published_code_by_hand():
    options = {"game": "lsgan", "feature_distance": "l1", "consistency": 2.0}
    terms = losses_by_hand(**options, update_u_on_fake=True)
    assert terms["discriminator"] == {"fake": 2 * 2**2, "real": 2 * 1**2}
    # The segmenter learns from both.
    assert terms["segmenter"] == dict.fromkeys(("real", "fake"), pytest.approx(1.6))
    assert terms["generator"]["adversarial"] == 2 * (2 - 1) ** 2
    assert terms["generator"]["features"] == pytest.approx(5 * 2 * (3 - 1))


def test_the_segmenter_learns_and_the_generator_obeys_it():
    system = build(ngf=8, label_wise=False, feature_matching=0.0, consistency=5.0)
    batch = make_batch(SPEC, 4)
    tx = optax.adam(1e-2, b1=0.5)
    optimizers = dict.fromkeys(system.networks, tx)
    engine = Engine(system=system, optimizers=optimizers, ema_decays={})
    state = jax.jit(engine.init, static_argnames="stage")(batch, stage=STAGE)
    advance = jax.jit(engine.step, static_argnames=("stage", "due"))
    history = []
    for _ in range(60):
        state, scalars = advance(state, batch, stage=STAGE, due=engine.due(0))
        history.append(jax.device_get(scalars))
    for name in ("segmenter/real", "generator/consistency"):
        assert history[-1][name] < 0.6 * history[0][name]


@pytest.mark.parametrize(
    ("option", "match"),
    [
        ({"game": "lsgna"}, "config.system.game='lsgna'"),
        ({"feature_distance": "l2"}, "config.system.feature_distance='l2'"),
        ({"lesion": ["edema"]}, "No label 'edema'"),
        (
            {"lesion": ["necrotic", "oedema", "enhancing", "brain"]},
            "necrotic, oedema, enhancing, brain are lesion",
        ),
    ],
)
def test_unknown_words(option, match):
    with pytest.raises(UsageError, match=match):
        build(**option)


def test_a_size_that_cannot_be_halved():
    spec = dataclasses.replace(SPEC, image_size=18)
    with pytest.raises(UsageError, match="18x18 px cannot be halved 2 times") as error:
        shapes(build(spec, downs=2), make_batch(spec, 1))
    assert "multiples of 4" in error.value.hint
