"""Lesions of one data set in the brains of another, without any files."""

import dataclasses
import types

import numpy as np
import pytest

from fixtures import brats_spec
from jaxsyn.data.cache import Cache
from jaxsyn.errors import UsageError
from jaxsyn.spec import DataSpec, IntensityMap, Label
from jaxsyn.synthesis.cases import plain_info
from jaxsyn.synthesis.lesions import Transplantation
from jaxsyn.synthesis.real_masks import RealMasks
from jaxsyn.synthesis.transplanted import TransplantedMasks

SPEC = brats_spec(16)
NECROTIC, OEDEMA, ENHANCING, BRAIN = 1, 2, 3, 4
HOW = Transplantation(lesion=("oedema", "enhancing"), mirror=0.0, min_voxels=1)
# The same names as ours, in another order, and no brain.
DONORS = DataSpec(
    image_size=16,
    modalities=(),
    labels=tuple(
        Label(name=name, values=(i,))
        for i, name in enumerate(("background", "enhancing", "oedema", "cyst"))
    ),
)
# Healthy brains in three tissues.
HEALTHY = dataclasses.replace(
    DONORS,
    modalities=("t1",),
    labels=tuple(
        Label(name=name, values=(i,))
        for i, name in enumerate(("background", "csf", "grey", "white"))
    ),
    intensities=(IntensityMap(low=0.0, high=7.0),),
)


def masks_of(spec, volumes):
    """Real masks, seed 0, of one volume a patient, of voxels of 1 mm."""
    rows = [(name, i) for name, label in volumes.items() for i in range(len(label))]
    cache = Cache(
        image=np.zeros((len(rows), 16, 16, 1), np.uint16),
        label=np.concatenate([*volumes.values()]),
        rows=tuple(rows),
    )
    cases = {
        name: plain_info(name, spec, len(label), (1.0, 1.0, 1.0))
        for name, label in volumes.items()
    }
    prepared = types.SimpleNamespace(spec=spec, cases=cases, cache=lambda _: cache)
    return RealMasks(prepared, "train", 0)


def brain(tissue, lesion=None):
    """A square brain, a little right of the middle, with a lesion in its corner."""
    label = np.zeros((3, 16, 16), np.uint8)
    label[:, 3:13, 5:15] = tissue
    if lesion:
        label[:, 3:5, 5:7] = lesion
    return label


def lesion(depth=3):
    """Of two labels and one that is none of a lesion, not in the brain alone."""
    label = np.zeros((depth, 16, 16), np.uint8)
    label[1, 6:8, 2:8] = 2  # Oedema, for donors.
    label[1, 7, 6] = 1
    label[1, 9, 9] = 3
    return label


def test_names_decide_what_a_label_means_and_places_where_it_lies():
    source = TransplantedMasks(
        masks_of(SPEC, {"a": brain(BRAIN, lesion=OEDEMA)}),
        masks_of(DONORS, {"b": lesion()}),
        SPEC,
        HOW,
    )
    case = source.draw(0)
    expected = brain(BRAIN)  # Its own lesion is gone.
    expected[1, 6:8, 5:8] = OEDEMA
    expected[1, 7, 6] = ENHANCING
    np.testing.assert_array_equal(case.label, expected)
    assert case.lineage["labels"] == "a" and case.lineage["lesion"] == "b"
    assert case.lineage["patients"] == ["a", "b"]
    assert case.lineage["lesions_drawn"] == 1
    assert case.info.intensities == SPEC.intensities


def test_a_mirrored_lesion_is_on_the_other_side_of_the_image():
    source = TransplantedMasks(
        masks_of(SPEC, {"a": brain(BRAIN)}),
        masks_of(DONORS, {"b": lesion()}),
        SPEC,
        dataclasses.replace(HOW, mirror=1.0),
    )
    case = source.draw(0)
    expected = brain(BRAIN)
    expected[1, 6:8, 8:14] = OEDEMA
    expected[1, 7, 9] = ENHANCING
    np.testing.assert_array_equal(case.label, expected)
    assert case.lineage["mirrored"]


def test_brains_can_lie_on_each_other():
    # The donor's brain begins at the left edge: five columns from the other.
    donor = np.roll(brain(BRAIN), -5, axis=2)
    donor[1, 6, 3] = OEDEMA
    pair = masks_of(SPEC, {"a": brain(BRAIN)}), masks_of(SPEC, {"b": donor})
    how = dataclasses.replace(HOW, align="brain")
    made = TransplantedMasks(*pair, SPEC, how).draw(0).label
    np.testing.assert_array_equal(np.argwhere(made == OEDEMA), [[1, 6, 8]])
    mirrored = dataclasses.replace(how, mirror=1.0)
    made = TransplantedMasks(*pair, SPEC, mirrored).draw(0).label
    # Column 3 of 0 to 9 becomes 6, of 5 to 14.
    np.testing.assert_array_equal(np.argwhere(made == OEDEMA), [[1, 6, 11]])
    # Where there is no brain, the middle of the image stands for it, or another place.
    pair = pair[0], masks_of(DONORS, {"b": lesion()})
    made = TransplantedMasks(*pair, SPEC, how).draw(0).label
    expected = brain(BRAIN)
    expected[1, 6:8, 5:10] = OEDEMA  # Two columns on, cut off at the brain's edge.
    expected[1, 7, 8] = ENHANCING
    np.testing.assert_array_equal(made, expected)
    how = dataclasses.replace(how, middle_mm=(0.0, 1.0, 2.0))
    made = TransplantedMasks(*pair, SPEC, how).draw(0).label
    np.testing.assert_array_equal(np.argwhere(made == ENHANCING), [[1, 6, 6]])


def test_shifts_are_drawn_and_written_down():
    source = TransplantedMasks(
        masks_of(SPEC, {"a": np.full((5, 16, 16), BRAIN, np.uint8)}),
        masks_of(DONORS, {"b": lesion(depth=5)}),
        SPEC,
        dataclasses.replace(HOW, shift_mm=2.0),
    )
    shifts = []
    for number in range(8):
        case = source.draw(number)
        moved = np.argwhere(case.label == ENHANCING)[0] - [1, 7, 6]
        shifts.append(case.lineage["shift_mm"])
        np.testing.assert_array_equal(moved, np.round(shifts[-1]))
        again = source.draw(number)
        np.testing.assert_array_equal(again.label, case.label)
    assert np.ptp(shifts, axis=0).min() > 1 and np.abs(shifts).max() <= 2


def test_healthy_brains_of_other_labels_become_the_brain_around_lesions():
    label = brain(2)
    label[:, 5:, 5:] = np.where(label[:, 5:, 5:] > 0, 3, 0)
    label[0, 3, 5] = 1
    source = TransplantedMasks(
        masks_of(HEALTHY, {"a": label}), masks_of(DONORS, {"b": lesion()}), SPEC, HOW
    )
    case = source.draw(0)
    np.testing.assert_array_equal(case.label > 0, label > 0)
    assert {*np.unique(case.label)} == {0, OEDEMA, ENHANCING, BRAIN}
    # Intensities of our modalities, not of theirs.
    assert case.info.intensities == SPEC.intensities


def test_any_donor_may_come_and_depends_on_the_number_alone():
    donors = {name: lesion() for name in "bcdef"}
    source = TransplantedMasks(
        masks_of(SPEC, {"a": brain(BRAIN)}), masks_of(DONORS, donors), SPEC, HOW
    )
    drawn = [source.draw(number).lineage["lesion"] for number in range(12)]
    assert len(set(drawn)) >= 4
    assert drawn == [source.draw(number).lineage["lesion"] for number in range(12)]


def test_a_small_lesion_is_drawn_again():
    far = np.zeros((3, 16, 16), np.uint8)
    far[1, 0, 0] = 1  # Outside the brain.
    source = TransplantedMasks(
        masks_of(SPEC, {"a": brain(BRAIN)}),
        masks_of(DONORS, {"b": lesion(), "c": far}),
        SPEC,
        HOW,
    )
    found = [source.draw(number).lineage for number in range(10)]
    assert {each["lesion"] for each in found} == {"b"}
    assert max(each["lesions_drawn"] for each in found) > 1
    assert all(each["patients"] == ["a", "b"] for each in found)


@pytest.mark.parametrize(
    ("spec", "how", "message"),
    [
        (DONORS, HOW, "no labels csf, grey, white"),
        (dataclasses.replace(SPEC, image_size=32), HOW, "16 pixels a side, .* 32"),
        (SPEC, dataclasses.replace(HOW, lesion=("necrotic",)), "No label 'necrotic'"),
        (SPEC, dataclasses.replace(HOW, lesion=("cyst",)), "No label 'cyst'"),
        (SPEC, dataclasses.replace(HOW, keep=("csf",)), "No label 'csf'"),
    ],
)
def test_sets_that_do_not_fit(spec, how, message):
    brains, donors = (
        masks_of(HEALTHY, {"a": brain(1)}),
        masks_of(DONORS, {"b": lesion()}),
    )
    with pytest.raises(UsageError, match=message):
        TransplantedMasks(brains, donors, spec, how)
