"""Preparation on an Apache Beam runner: the direct one, on this machine."""

import sys

import numpy as np
import pytest

from jaxsyn.data import beam, sources
from jaxsyn.data.prepare import prepare
from jaxsyn.data.preprocess import PrepareSettings
from jaxsyn.errors import DataError, ResourceError, UsageError
from toy_cases import damage, write_cases

DIRECT = "--runner=DirectRunner --direct_num_workers=1"


@pytest.fixture
def needed():
    pytest.importorskip("apache_beam", reason="the extra `beam` is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = write_cases(tmp_path_factory.mktemp("cases"), 4)
    damage(folder / "p3")
    return folder


def prepared(folder, out_dir, **options):
    settings = PrepareSettings(image_size=16, fractions=(0.5, 0.25, 0.25))
    source = sources.load("brats")
    return prepare(source, folder, settings, out_dir=out_dir, jobs=1, **options)


def test_a_runner_makes_what_this_machine_makes(needed, folder, tmp_path):
    here = prepared(folder, tmp_path / "here", on_bad_case="skip")
    there = prepared(folder, tmp_path / "there", on_bad_case="skip", beam=DIRECT)
    assert there.key == here.key and there.counts == here.counts
    assert there.refused == here.refused and set(there.refused) == {"p3"}
    for part in ("train", "validation", "test"):
        one, other = here.cache(part), there.cache(part)
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.label, other.label)
        assert one.rows == other.rows
    assert not [*there.path.rglob(".beam-*")]


def test_a_bad_case_ends_the_job_by_name(needed, folder, tmp_path):
    with pytest.raises(DataError, match="Case p3 cannot be used"):
        prepared(folder, tmp_path, beam=DIRECT)


def _fail(item):
    raise ValueError(f"no luck with {item}")


def test_a_failed_pipeline_is_an_error_of_ours(needed, tmp_path):
    with pytest.raises((ResourceError, ValueError), match="no luck|pipeline failed"):
        [*beam.in_parallel(_fail, [1, 2], folder=tmp_path, options=DIRECT)]
    assert not [*tmp_path.iterdir()]


def test_without_beam_the_command_that_installs_it_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(UsageError, match=r"(?s)not installed.*jaxsyn\[beam\]"):
        [*beam.in_parallel(len, ["a"], folder=tmp_path, options="")]
