import dataclasses

import numpy as np
import pytest

from fixtures import brats_spec, label_maps
from jaxsyn.data import device, sources
from jaxsyn.data.blocks import Blocks
from jaxsyn.data.cache import Cache
from jaxsyn.data.feed import DataSettings
from jaxsyn.data.prepare import prepare
from jaxsyn.data.preprocess import PrepareSettings
from jaxsyn.data.splits import slice_name
from jaxsyn.data.subset import Subset, holding, of_patients
from jaxsyn.errors import DataError, UsageError
from toy_cases import write_cases

SPEC = brats_spec()


def cache_of(labels):
    count = len(labels)
    image = np.arange(count * 256 * 4, dtype=np.uint16).reshape(count, 16, 16, 4)
    return Cache(image=image, label=labels, rows=tuple(("a", i) for i in range(count)))


@pytest.fixture
def cache():
    labels = label_maps(5)
    labels[[0, 1, 3]] = np.where(labels[[0, 1, 3]] == 1, 4, labels[[0, 1, 3]])
    return cache_of(labels)  # Slices 2 and 4 alone hold label 1.


def test_slices_that_hold_a_label(cache):
    some = holding(cache, SPEC, ["necrotic"])
    assert len(some) == 2 and some.rows == (("a", 2), ("a", 4))
    np.testing.assert_array_equal(some.image[np.array([1])], cache.image[[4]])
    np.testing.assert_allclose(some.position[np.array([0, 1])], [0.5, 1.0])
    assert len(holding(cache, SPEC, ["necrotic", "brain"])) == 5


def test_volumes_that_hold_a_label():
    labels = label_maps(8)
    labels[labels == 1] = 4
    labels[7, 5, 5] = 1
    some = holding(Blocks(cache_of(labels), 4), SPEC, ["necrotic"])
    assert some.rows == (("a", 4),)
    np.testing.assert_array_equal(some.label[np.array([0])], labels[None, 4:])


def test_it_can_reside_on_the_device(cache):
    resident = device.put(Subset(cache, np.array([3, 1])))
    np.testing.assert_array_equal(resident["label"], cache.label[[3, 1]])
    assert resident["image"].dtype == np.uint16


def test_labels_that_there_are_not(cache):
    with pytest.raises(UsageError, match="No label 'core'"):
        holding(cache, SPEC, ["core"])
    blank = cache_of(np.zeros((3, 16, 16), np.uint8))
    with pytest.raises(DataError, match="None of 3 slices or volumes holds brain"):
        holding(blank, SPEC, ["brain"])


def test_patients_of_a_smaller_number_are_among_those_of_a_larger():
    rows = [(f"p{i % 6}-{i // 12}", i) for i in range(24)]  # Two cases a patient.
    patient_of = {case: case[:2] for case, _ in rows}
    found = [of_patients(rows, patient_of, count) for count in range(1, 7)]
    assert [len(places) for places in found] == [4, 8, 12, 16, 20, 24]
    for fewer, more in zip(found, found[1:], strict=False):
        assert set(fewer) < set(more)
    assert found[-1] == of_patients(rows, patient_of, -1) == list(range(24))
    assert of_patients(rows[::-1], patient_of, 2) == [23 - i for i in found[1]][::-1]
    with pytest.raises(DataError, match="7 patients are wanted; .* has 6"):
        of_patients(rows, patient_of, 7)


def test_a_training_takes_the_patients_asked_for(tmp_path):
    prepared = prepare(
        sources.load("brats"),
        write_cases(tmp_path / "in", 4),
        PrepareSettings(image_size=16, fractions=(1.0, 0.0, 0.0)),
        out_dir=tmp_path / "out",
        jobs=1,
    )
    data = DataSettings(source="brats")
    everything = data.slices_of(prepared, "train")
    few = data.slices_of(prepared.of_patients(2), "train")
    assert len({case for case, _ in few.rows}) == 2
    blocks = data.slices_of(prepared.of_patients(2), "train", 2)
    assert {case for case, _ in blocks.rows} == {case for case, _ in few.rows}
    place = everything.rows.index(few.rows[-1])
    np.testing.assert_array_equal(
        few.image[np.array([len(few) - 1])], everything.image[[place]]
    )


@pytest.mark.parametrize("split", ["patient", "slice"])
def test_a_set_of_fewer_patients_is_as_if_there_were_no_others(tmp_path, split):
    data = DataSettings.from_config(
        {
            "source": "brats",
            "source_dir": str(write_cases(tmp_path / "in", 4)),
            "patients": 2,
            "jobs": 1,
            "prepare": {
                "image_size": 16,
                "fractions": (0.75, 0.0, 0.25),
                "split": split,
            },
        }
    )
    few = data.open(tmp_path / "out")
    whole = dataclasses.replace(data, patients=0).open(tmp_path / "out")
    assert few.path == whole.path and few.key != whole.key
    rows = few.cache("train").rows
    assert {case for case, _ in rows} < {case for case, _ in whole.cache("train").rows}
    assert few.cache("test").rows == whole.cache("test").rows
    named = {
        slice_name(*row) if split == "slice" else few.patient_of[row[0]] for row in rows
    }
    assert set(few.split.parts["train"]) == named
    assert few.split.parts["test"] == whole.split.parts["test"]
    assert few.cache("train").label.shape == (len(rows), 16, 16)
    with pytest.raises(DataError, match="9 patients are wanted"):
        whole.of_patients(9)
