"""Patients are in one part each, whatever their order."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from jaxsyn.data.splits import Split, check_covers, divide, slice_name
from jaxsyn.errors import DataError

NAMES = st.lists(st.text("abcXYZ019_", min_size=1, max_size=6), unique=True)
FRACTIONS = st.sampled_from(
    [(0.8, 0.1, 0.1), (0.6, 0.2, 0.2), (1.0, 0.0, 0.0), (0.5, 0.0, 0.5), (0, 0.3, 0.7)]
)


@settings(max_examples=60, deadline=None)
@given(names=NAMES, fractions=FRACTIONS, seed=st.integers(0, 9), data=st.data())
def test_every_patient_is_in_one_part_whatever_the_order(names, fractions, seed, data):
    split = divide(names, fractions, seed=seed)
    placed = [name for part in split.parts.values() for name in part]
    assert sorted(placed) == sorted(names)
    shuffled = data.draw(st.permutations(names))
    assert divide(shuffled, fractions, seed=seed) == split
    sizes = [len(split.parts[p]) for p in ("train", "validation", "test")]
    asked = [fraction > 0 for fraction in fractions]
    assert not any(
        size for size, wanted in zip(sizes, asked, strict=True) if not wanted
    )
    if len(names) >= sum(asked):
        assert all(size for size, wanted in zip(sizes, asked, strict=True) if wanted)
        for size, fraction in zip(sizes, fractions, strict=True):
            assert abs(size - fraction * len(names)) < 2


@pytest.mark.parametrize(
    "count, sizes",
    [(0, (0, 0, 0)), (1, (1, 0, 0)), (2, (1, 1, 0)), (3, (1, 1, 1)), (5, (3, 1, 1))]
    + [(10, (8, 1, 1)), (20, (16, 2, 2)), (369, (295, 37, 37))],
)
def test_sizes(count, sizes):
    split = divide([f"p{i}" for i in range(count)], (0.8, 0.1, 0.1), seed=0)
    assert tuple(map(len, split.parts.values())) == sizes


def test_seeds_divide_differently_and_always_alike():
    names = [f"p{i}" for i in range(20)]
    splits = [divide(names, (0.5, 0.25, 0.25), seed=seed) for seed in range(3)]
    assert len({split.sha256 for split in splits}) == 3
    # Written down: a new version must not move patients from test to train.
    assert splits[0].parts["test"] == ("p16", "p19", "p4", "p7", "p8")


def test_a_split_survives_its_file(tmp_path):
    split = divide(["a", "b", "c"], (0.8, 0.1, 0.1), seed=0)
    path = tmp_path / "split.json"
    path.write_text(json.dumps(split.to_json()))
    loaded = Split.load(path)
    assert (loaded, loaded.sha256) == (split, split.sha256)


def test_the_hash_knows_the_division_not_its_order():
    one = Split(unit="patient", parts={"train": ("a", "b"), "test": ("c",)})
    other = Split(unit="patient", parts={"test": ("c",), "train": ("b", "a")})
    moved = Split(unit="patient", parts={"train": ("a",), "test": ("b", "c")})
    assert one.sha256 == other.sha256 != moved.sha256


def test_a_patient_in_two_parts_is_named():
    with pytest.raises(DataError, match="patient 'ann' is in train and in test"):
        Split(unit="patient", parts={"train": ("bob", "ann"), "test": ("ann",)})


def test_a_patient_in_no_part_is_named():
    split = Split(unit="patient", parts={"train": ("a",), "test": ("b",)})
    check_covers(split, ["a", "b"])
    with pytest.raises(DataError, match="no part for 1 patients: c"):
        check_covers(split, ["a", "b", "c", "c"])


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "no division"),
        ("[]", "no division"),
        ('{"train": 3}', "no division"),
        ('{"train": ["a"], "valid": ["b"]}', r"unknown parts \['valid'\]"),
        ('{"unit": "scan", "train": ["a"]}', "unit 'scan'"),
        ('{"train": ["a"], "test": ["a"]}', "'a' is in train and in test"),
    ],
)
def test_a_bad_split_file_is_refused(tmp_path, text, message):
    path = tmp_path / "split.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        Split.load(path)
    with pytest.raises(DataError, match="no division"):
        Split.load(tmp_path / "missing.json")


def test_slices_have_names_that_sort():
    assert slice_name("case", 7) == "case:007"
