"""Which cases a row is trained on, and sets rendered once for several judges."""

import threading
import time
import types

import numpy as np
import pytest

from fixtures import brats_spec
from jaxsyn.data.cache import Cache
from jaxsyn.errors import DataError, UsageError
from jaxsyn.evaluate import rows, synthetic
from jaxsyn.evaluate.rows import Row

SPEC = brats_spec()


def cache_of(*cases):
    """Two slices a case."""
    count = 2 * len(cases)
    return Cache(
        image=np.zeros((count, 16, 16, 4), np.uint16),
        label=np.zeros((count, 16, 16), np.uint8),
        rows=tuple((case, i) for case in cases for i in range(2)),
    )


def prepared_of(*cases):
    return types.SimpleNamespace(
        key="key",
        spec=SPEC,
        patient_of=dict(zip(cases, cases, strict=True)),
        cache=lambda part: cache_of(*cases),
    )


PREPARED = prepared_of("a", "b")
RENDERED = [cache_of("syn0_b", "syn0_a"), cache_of("syn1_a", "syn1_b")]


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ({"synthetic_cases": 1}, 1),
        ({"synthetic_cases": 3}, 3),
        ({"synthetic": 0.1}, 1),  # Never none.
        ({"synthetic": 1.5}, 3),
        ({"synthetic": 2.0}, 4),
        ({}, 0),
    ],
)
def test_synthetic_cases_are_a_number_or_a_multiple(given, count):
    row = Row(name="row", **given)
    assert row.has_synthetic == (count > 0) and row.count_synthetic(2) == count
    found = [case for case, _ in rows.training_slices(row, PREPARED, RENDERED).rows]
    order = ["a", "b", "syn0_b", "syn0_a", "syn1_a", "syn1_b"]
    assert found == [case for case in order[: 2 + count] for _ in range(2)]


def test_more_synthetic_cases_than_there_are():
    row = Row(name="row", synthetic_cases=5, patients=0)
    with pytest.raises(DataError, match="wants 5 synthetic cases; there are 4"):
        rows.places(row, PREPARED, RENDERED)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"synthetic": 1.0, "synthetic_cases": 3}, "1.0 and synthetic_cases=3"),
        ({"synthetic_cases": -1}, "synthetic_cases=-1"),
        ({"steps": -1}, "steps=-1"),
        ({"patients": 0}, "nothing to be trained on"),
    ],
)
def test_rows_that_make_no_sense(given, words):
    with pytest.raises(UsageError, match=words):
        Row(name="row", **given)
    assert Row(name="row", patients=0, synthetic_cases=1).has_synthetic


class Renderer:
    """Renders slowly, remembers what, and fails once after so many cases."""

    fingerprint = "0"

    def __init__(self, fails_at=0):
        self.calls, self.fails_at = 0, fails_at

    def generate(self, labels, **_):
        self.calls += 1
        if self.calls == self.fails_at:
            raise KeyboardInterrupt
        time.sleep(0.1)
        return np.zeros((*labels.shape, 4), np.float32)


def make(renderer, folder, copies=1, prepared=PREPARED):
    options = synthetic.SyntheticSettings(warp="none")
    return synthetic.make(renderer, prepared, options, copies, folder)


def test_who_comes_second_waits_for_what_is_rendered(tmp_path):
    renderer, found = Renderer(), []
    several = [
        threading.Thread(target=lambda: found.append(make(renderer, tmp_path / "in")))
        for _ in range(3)
    ]
    for one in several:
        one.start()
    for one in several:
        one.join()
    assert renderer.calls == 2 and len(found) == 3  # Two cases, once.
    assert {len(copy) for copies in found for copy in copies} == {4}


def test_a_half_rendered_set_is_none(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        make(Renderer(fails_at=2), tmp_path)
    assert not list(tmp_path.glob("synthetic-*"))
    renderer = Renderer()
    (copy,) = make(renderer, tmp_path)
    assert renderer.calls == 2
    assert {case for case, _ in copy.rows} == {"syn0_a", "syn0_b"}


def test_more_copies_begin_with_those_there_are(tmp_path):
    make(Renderer(), tmp_path)
    renderer = Renderer()
    copies = make(renderer, tmp_path, copies=2)
    assert renderer.calls == 2
    assert [copy.rows[0][0][:4] for copy in copies] == ["syn0", "syn1"]
    other = prepared_of("a", "b")
    other.key = "other"
    make(renderer, tmp_path, prepared=other)
    assert renderer.calls == 4
