import json

import numpy as np
import pytest

from jaxsyn import spec
from jaxsyn.errors import DataError, UsageError

LABELS = (
    spec.Label(name="background", values=(0,)),
    spec.Label(name="enhancing", values=(4, 3)),
    spec.Label(name="brain"),
)
SPEC = spec.DataSpec(
    image_size=8,
    modalities=("t1", "t2"),
    labels=LABELS,
    intensities=(spec.IntensityMap(low=0.0, high=10.0),) * 2,
)


def test_both_values_of_enhancing_tumour_are_one_index():
    values = np.array([[0, 3], [4, 0]], np.int16)
    np.testing.assert_array_equal(
        spec.encode_labels(values, LABELS, "f"), [[0, 1], [1, 0]]
    )


def test_floats_that_are_whole_are_fine():
    values = np.array([0.0, 4.0000001])
    encoded = spec.encode_labels(values, LABELS, "f")
    assert encoded.dtype == np.uint8
    np.testing.assert_array_equal(encoded, [0, 1])


def test_values_outside_the_table_are_listed_with_the_file():
    with pytest.raises(DataError, match=r"seg.nii.gz: label values \[2, 255\]") as err:
        spec.encode_labels(np.array([0, 2, 255]), LABELS, "seg.nii.gz")
    assert "4/3 enhancing" in err.value.hint


def test_interpolated_labels_are_refused():
    with pytest.raises(DataError, match=r"\[0.5\] are not whole"):
        spec.encode_labels(np.array([0.0, 0.5]), LABELS, "f")


def test_nan_labels_are_refused():
    with pytest.raises(DataError, match="are not whole"):
        spec.encode_labels(np.array([0.0, np.nan]), LABELS, "f")


def test_intensities_go_there_and_back():
    intensity = spec.IntensityMap(low=100.0, high=300.0)
    np.testing.assert_allclose(
        intensity.apply(np.array([50, 100, 200, 300, 400])), [-1, -1, 0, 1, 1]
    )
    np.testing.assert_allclose(intensity.invert(np.array([-1, 0, 1])), [100, 200, 300])


def test_a_map_without_extent_is_refused():
    with pytest.raises(DataError, match="no extent"):
        spec.IntensityMap(low=1.0, high=1.0)


def test_json_round_trip():
    assert spec.DataSpec.from_json(json.loads(json.dumps(SPEC.to_json()))) == SPEC


def test_an_unknown_label_lists_those_there_are():
    with pytest.raises(UsageError, match="No label 'oedema'"):
        SPEC.label_index("oedema")


def test_indices_outside_the_table():
    SPEC.check_indices(np.array([0, 2]), "labels")
    with pytest.raises(DataError, match=r"labels: label values \[3\]"):
        SPEC.check_indices(np.array([0, 3]), "labels")


TISSUES = spec.DataSpec(
    image_size=8,
    modalities=("t1",),
    labels=(
        spec.Label(name="background", values=(0,)),
        spec.Label(name="csf", values=(5,), tissue=True),
        spec.Label(name="necrotic", values=(1,)),
        spec.Label(name="oedema", values=(2,)),
        spec.Label(name="brain"),
    ),
)


@pytest.mark.parametrize(
    ("groups", "names", "classes", "class_of_label"),
    [
        (
            {},
            ("background", "csf", "necrotic", "oedema"),
            (0, 1, 2, 3),
            (0, 1, 2, 3, 0),
        ),
        (
            {"tumour": ("oedema", "necrotic")},
            ("background", "csf", "tumour"),
            (0, 1, 2),
            (0, 1, 2, 2, 0),
        ),
        (  # Into a label, which need not be named twice, nor be the first.
            {"background": ("csf",), "oedema": ("necrotic",)},
            ("background", "oedema"),
            (0, 2),
            (0, 0, 1, 1, 0),
        ),
        (  # A derived label is a class if it is named.
            {"tissue": ("brain", "csf")},
            ("background", "tissue", "necrotic", "oedema"),
            (0, 1, 2, 3),
            (0, 1, 2, 3, 1),
        ),
        (
            {"brain": ()},
            ("background", "csf", "necrotic", "oedema", "brain"),
            (0, 1, 2, 3, 4),
            (0, 1, 2, 3, 4),
        ),
    ],
)
def test_merged_labels_are_one_class(groups, names, classes, class_of_label):
    merged = TISSUES.merge(groups)
    assert merged.class_names == names and merged.classes == classes
    assert merged.class_of_label == class_of_label
    assert merged.label_names == TISSUES.label_names
    assert spec.DataSpec.from_json(json.loads(json.dumps(merged.to_json()))) == merged
    assert [merged.class_index(name) for name in names] == [*classes]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"tumour": ("edema",)}, "No label 'edema'"),
        ({"a": ("csf",), "b": ("oedema", "csf")}, "'csf' is in two classes, 'a' and"),
        ({"a": ("csf",), "csf": ("oedema",)}, "'csf' is in two classes"),
        ({"tumour": ()}, "The class 'tumour' has no labels"),
    ],
)
def test_merging_that_makes_no_sense(groups, message):
    with pytest.raises(UsageError, match=message):
        TISSUES.merge(groups)


def test_a_class_that_is_merged_away_is_none():
    merged = TISSUES.merge({"tumour": ("oedema", "necrotic")})
    for name in ("oedema", "brain"):
        with pytest.raises(UsageError, match=f"No class '{name}'") as error:
            merged.class_index(name)
        assert "background, csf, tumour" in error.value.hint
