import jax
import numpy as np
import pytest

from configs import common
from fixtures import brats_spec, make_batch
from jaxsyn import systems
from jaxsyn.engine.step import Engine
from jaxsyn.engine.system import Stage
from jaxsyn.errors import UsageError

SPEC = brats_spec(256)


def count(options, network="generator"):
    system = systems.build({"name": "borde", **options}, SPEC)
    engine = Engine(system=system, optimizers={}, ema_decays={})
    stage = Stage(start=0, stop=1, image_size=256, batch_size=1)
    batch = jax.eval_shape(lambda: make_batch(SPEC, 1))
    state = jax.eval_shape(lambda b: engine.init(b, stage=stage), batch)
    return sum(x.size for x in jax.tree.leaves(state.params[network]))


# Closed-form counts of the recommended reading, 256 px, five labels.
@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("semantic", 13_909_189),
        ("b+semantic", 17_997_925),
        ("b+2", 22_072_837),
        ("b+3", 26_154_661),
        ("b+4", 30_236_485),
    ],
)
def test_table_iv(row, expected):
    assert count({"regions": common.BORDE_REGIONS[row]}) == expected


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"multi_task": False, "residual": False, "noise": False}, 25_978_308),
        ({"residual": False, "noise": False}, 25_978_597),
        ({"noise": False}, 26_152_677),
        ({}, 26_154_661),
    ],
)
def test_table_v(flags, expected):
    assert count(flags) == expected


def test_discriminator():
    assert count({}, "discriminator") == 2_763_265
    assert count({"multi_task": False}, "discriminator") == 2_762_241


def test_prior_maps_follow_the_groups():
    spec = brats_spec(16)
    system = systems.build({"name": "borde"}, spec)
    batch = make_batch(spec, 2)
    boundary, foreground, oedema, core = system.prior_maps(batch)
    label = np.asarray(batch["label"])
    np.testing.assert_array_equal(boundary, batch["boundary"])
    np.testing.assert_array_equal(foreground[..., 0], label != 0)
    np.testing.assert_array_equal(oedema[..., 0], label == 2)
    np.testing.assert_array_equal(core[..., 0], label == 3)
    np.testing.assert_array_equal(core[..., 1], label == 1)


def test_labels_stand_for_all_that_are_segmented():
    system = systems.build(
        {"name": "borde", "regions": [["boundary"], ["labels"]]}, SPEC
    )
    batch = make_batch(SPEC, 1)
    _, labels = system.prior_maps(batch)
    assert labels.shape[-1] == 3
    for channel, index in enumerate((1, 2, 3)):
        expected = np.asarray(batch["label"]) == index
        np.testing.assert_array_equal(labels[..., channel], expected)


def test_the_exclusive_foreground_leaves_the_tumour_out():
    spec = brats_spec(16)
    system = systems.build({"name": "borde", "exclusive_foreground": True}, spec)
    batch = make_batch(spec, 1)
    foreground = system.prior_maps(batch)[1]
    np.testing.assert_array_equal(foreground[..., 0], np.asarray(batch["label"]) == 4)


def test_an_unknown_region_lists_the_labels():
    with pytest.raises(UsageError, match="No label 'edema'") as error:
        systems.build({"name": "borde", "regions": [["edema"]]}, SPEC)
    assert "oedema" in error.value.hint
