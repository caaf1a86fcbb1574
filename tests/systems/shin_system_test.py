"""Shin et al. 2018: what its images are made of."""

import dataclasses
import logging
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fixtures import brats_spec, make_batch
from jaxsyn import systems
from jaxsyn.data import device
from jaxsyn.data.sources import oasis_tissues
from jaxsyn.engine.step import Engine
from jaxsyn.engine.system import Stage
from jaxsyn.errors import UsageError
from jaxsyn.spec import Label

BRATS = brats_spec(16)
# Tissues and a lesion: background, csf, grey, white, lesion.
LESION = Label(name="lesion", values=(4,))
TISSUES = dataclasses.replace(BRATS, labels=(*oasis_tissues.LABELS, LESION))


def build(spec=TISSUES, **options):
    return systems.build({"name": "shin", **options}, spec)


def batch_of(labels, spec=TISSUES):
    """A batch of one label map."""
    return device.label_features(jnp.asarray(labels)[None], spec)


def test_hard_maps_are_the_labels():
    labels = np.array([[0, 1], [2, 3]])
    maps = build(tissue_sigma=0.0).tissue_maps(batch_of(labels))
    expected = np.stack([labels == 1, labels == 2, labels == 3], axis=-1)
    np.testing.assert_array_equal(maps[0], expected)


def test_smooth_maps_are_shares_of_the_brain():
    # A row of background, csf, csf, lesion: at its middle csf weighs 1 from the pixel
    # itself and g(1) from its neighbour; the lesion g(1). Background weighs nothing.
    labels = np.array([[0, 1, 1, 4]])
    maps = build(tissue_sigma=2.0).tissue_maps(batch_of(labels))[0, 0]

    def g(distance):
        return math.exp(-(distance**2) / 8)

    first, second, lesion = 1 + g(1), 1 + g(1), g(1) + g(2)
    expected = [
        0,
        first / (first + g(2)),
        second / (second + g(1)),
        lesion / (lesion + 1),
    ]
    np.testing.assert_allclose(maps[:, 0], expected, rtol=1e-6)
    np.testing.assert_array_equal(maps[:, 1:], 0)


def test_the_condition_has_each_label_once():
    # Background and lesion as one-hot maps, then csf, grey and white.
    labels = np.array([[0, 1, 2], [3, 4, 4]])
    made = build(tissue_sigma=0.0).condition(batch_of(labels))
    np.testing.assert_array_equal(
        jnp.argmax(made, axis=-1)[0], np.array([[0, 2, 3], [4, 1, 1]])
    )
    assert made.shape == (1, 2, 3, 5)
    np.testing.assert_array_equal(made.sum(-1), 1)


def test_without_tissue_labels_the_brain_is_the_only_tissue(caplog):
    with caplog.at_level(logging.INFO, "jaxsyn"):
        system = build(BRATS, tissue_sigma=0.0)
    assert len([r for r in caplog.records if "tissue" in r.message]) == 1
    batch = make_batch(BRATS, 1)
    np.testing.assert_array_equal(
        system.tissue_maps(batch)[..., 0], np.asarray(batch["label"]) == 4
    )
    assert system.condition(batch).shape[-1] == 5


def test_given_maps_stand_beside_all_labels():
    # Paper 002's input: five labels and three tissues.
    system = build(BRATS, tissues=("csf", "grey", "white"))
    batch = make_batch(BRATS, 2)
    maps = jnp.linspace(0.0, 1.0, 2 * 16 * 16 * 3).reshape(2, 16, 16, 3)
    made = system.condition(batch | {"tissue": maps})
    np.testing.assert_array_equal(made[..., :5], batch["one_hot"])
    np.testing.assert_array_equal(made[..., 5:], maps)
    with pytest.raises(UsageError, match="no label csf, grey, white"):
        system.condition(batch)


def test_maps_of_another_number_of_tissues():
    batch = batch_of(np.zeros((2, 2), int)) | {"tissue": jnp.zeros((1, 2, 2, 1))}
    with pytest.raises(UsageError, match=r"\(1, 2, 2, 1\)") as error:
        build().condition(batch)
    assert "csf, grey, white" in error.value.hint


def test_labels_of_which_none_is_a_tissue():
    spec = dataclasses.replace(BRATS, labels=BRATS.labels[:4])
    with pytest.raises(UsageError, match="oedema.* is a tissue"):
        build(spec)


def test_the_maps_given_decide_the_image():
    options = {"ngf": 2, "ndf": 2, "num_layers": 1, "kernel_init": "he"}
    system = build(BRATS, tissues=("csf", "grey", "white"), **options)
    engine = Engine(system=system, optimizers={}, ema_decays={})
    stage = Stage(start=0, stop=1, image_size=16, batch_size=2)
    maps = jnp.zeros((2, 16, 16, 3))
    batch = make_batch(BRATS, 2) | {"tissue": maps.at[..., 0].set(1.0)}
    other = batch | {"tissue": maps.at[..., 2].set(1.0)}
    no_update = jax.jit(engine.init, static_argnames="stage")
    state = no_update(batch, stage=stage).replace(opt={})
    images = [engine.generate(state, b, stage=stage) for b in (batch, other)]
    assert float(jnp.abs(images[0] - images[1]).max()) > 1e-3
