"""Prepared sets: complete or absent, and made of what their key says."""

import dataclasses
import functools
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from jaxsyn import integrity
from jaxsyn.data import builders, sources, staging, workers
from jaxsyn.data import prepare as prepare_lib
from jaxsyn.data.cases import read_case
from jaxsyn.data.feed import DataSettings
from jaxsyn.data.prepared import PreparedSet
from jaxsyn.data.preprocess import PrepareSettings, dequantise, prepare_case
from jaxsyn.errors import DataError, ResourceError, UsageError
from toy_cases import LPS, damage, volumes, write_case, write_cases

PACKAGE = Path(prepare_lib.__file__).parents[2]
SETTINGS = PrepareSettings(image_size=16)


@pytest.fixture
def cases(tmp_path):
    return write_cases(tmp_path / "cases")


def prepare(cases, settings=SETTINGS, **options):
    options = {"out_dir": cases.parent / "out", "jobs": 1, **options}
    return prepare_lib.prepare(sources.load("brats"), cases, settings, **options)


def test_a_set_holds_every_slice_of_every_case(cases):
    prepared = prepare(cases)
    assert prepared.counts == {"train": 9, "validation": 3, "test": 3}
    assert not prepared.refused
    assert sorted(prepared.cases) == ["p0", "p1", "p2", "p3", "p4"]
    for part in ("train", "validation", "test"):
        cache = prepared.cache(part)
        patients = {prepared.cases[case].patient for case, _ in cache.rows}
        assert patients == set(prepared.split.parts[part])
        for row, (case, index) in enumerate(cache.rows):
            expected = prepare_case(
                volumes(int(case[1])), SETTINGS, case=case, patient=case
            )
            at = expected.info.kept.index(index)
            np.testing.assert_array_equal(cache.image[row], expected.image[at])
            np.testing.assert_array_equal(cache.label[row], expected.label[at])
            assert prepared.cases[case] == expected.info


def test_slices_lead_back_to_the_source(cases):
    prepared = prepare(cases)
    cache = prepared.cache("test")
    info = prepared.cases[cache.rows[0][0]]
    image = info.intensities[1].invert(dequantise(np.asarray(cache.image[..., 1])))
    back = info.grid.volume(image, [i for _, i in cache.rows], order="linear")
    original = volumes(int(info.case[1])).images[1]
    clipped = np.minimum(original, info.intensities[1].high)
    assert np.abs(back - clipped).max() < 0.05
    np.testing.assert_array_equal(info.affine, LPS)


def test_the_spec_knows_the_median_training_volume(cases):
    prepared = prepare(cases)
    assert prepared.spec.image_size == 16
    assert prepared.spec.label_names == (
        "background",
        "necrotic",
        "oedema",
        "enhancing",
        "brain",
    )
    highs = [
        prepared.cases[p].intensities[0].high for p in prepared.split.parts["train"]
    ]
    assert prepared.spec.intensities[0].high == sorted(highs)[1]


def test_a_set_is_made_once(cases, monkeypatch):
    first = prepare(cases)
    monkeypatch.setattr(staging, "stage", None)  # Nothing may be read again.
    assert prepare(cases).path == first.path


def test_another_setting_gives_another_set(cases):
    first = prepare(cases)
    paths = {first.path}
    for change in ({"image_size": 20}, {"split_seed": 1}, {"high_percentile": 99.0}):
        paths.add(prepare(cases, dataclasses.replace(SETTINGS, **change)).path)
    assert len(paths) == 4


def test_another_file_gives_another_set(cases):
    first = prepare(cases)
    write_case(cases, "p0", seed=77)
    second = prepare(cases)
    assert second.path != first.path
    assert second.cases["p0"].intensities != first.cases["p0"].intensities
    write_case(cases, "p9")
    assert "p9" in prepare(cases).cases


def test_files_in_other_roles_give_another_set(cases, tmp_path):
    table = tmp_path / "cases.csv"
    row = f"{cases}/p0/p0_%s.nii.gz,{cases}/p0/p0_%s.nii.gz,{cases}/p0/p0_seg.nii.gz"
    settings = dataclasses.replace(SETTINGS, fractions=(1.0, 0.0, 0.0))
    found = []
    for first, second, patient in [
        ("t1", "t2", "a"),
        ("t2", "t1", "a"),
        ("t1", "t2", "b"),
    ]:
        text = f"case,patient,one,two,label\nx,{patient},{row % (first, second)}\n"
        table.write_text(text)
        found.append(
            prepare_lib.prepare(
                sources.load("table"), table, settings, out_dir=tmp_path / "out", jobs=1
            )
        )
    assert len({prepared.key for prepared in found}) == 3
    assert found[0].cases["x"].intensities == found[1].cases["x"].intensities[::-1]
    assert found[2].split.parts["train"] == ("b",)


def test_a_folder_that_moved_is_recognised(cases):
    first = prepare(cases)
    moved = cases.rename(cases.parent / "moved")
    assert prepare(moved).path == first.path


def test_a_bad_case_stops_the_job_and_leaves_the_others(cases):
    damage(cases / "p2")
    with pytest.raises(DataError, match="Case p2 cannot be used: .*_t2.nii.gz"):
        prepare(cases)
    [partial] = (cases.parent / "out").glob("*.partial")
    assert sorted(path.name for path in (partial / "cases").iterdir()) == [
        "p0.npz",
        "p1.npz",
    ]


def test_a_bad_case_can_be_left_out(cases):
    damage(cases / "p2")
    (cases / "p3" / "p3_flair.nii.gz").unlink()
    prepared = prepare(cases, on_bad_case="skip")
    assert sorted(prepared.refused) == ["p2", "p3"]
    assert "no flair" in prepared.refused["p3"]
    assert sorted(prepared.cases) == ["p0", "p1", "p4"]
    # Whoever does not want that is told, though the set is there.
    with pytest.raises(DataError, match="Case p3 cannot be used"):
        prepare(cases)
    write_case(cases, "p3", 3)
    with pytest.raises(DataError, match="Case p2 cannot be used"):
        prepare(cases)
    with pytest.raises(UsageError, match="on_bad_case 'ignore'"):
        prepare(cases, on_bad_case="ignore")


def test_a_folder_of_bad_cases_is_refused(tmp_path):
    damage(write_case(tmp_path / "cases", "p0"))
    with pytest.raises(DataError, match="None of 1 cases can be used"):
        prepare(tmp_path / "cases", on_bad_case="skip")


def test_settings_that_do_not_fit_the_images_are_refused(cases):
    with pytest.raises(UsageError, match="image of 12 pixels cannot be padded to 8"):
        prepare(cases, dataclasses.replace(SETTINGS, image_size=8))


def test_workers_make_the_same_set(cases):
    damage(cases / "p2")
    parallel = prepare(cases, jobs=2, on_bad_case="skip")
    alone = prepare(cases, jobs=1, on_bad_case="skip", out_dir=cases.parent / "other")
    assert parallel.key == alone.key
    assert parallel.cases == alone.cases
    assert parallel.refused == alone.refused
    np.testing.assert_array_equal(
        parallel.cache("train").image, alone.cache("train").image
    )


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("stage", ["staging", "records", "cache"])
def test_a_set_that_was_interrupted_is_gone_on_with(cases, monkeypatch, stage):
    target = {
        "staging": (staging.preprocess, "prepare_case"),
        "records": (builders, "write"),
        "cache": (builders, "read"),
    }[stage]
    original, calls = getattr(*target), []

    def interrupted(*args, **options):
        calls.append(args)
        if len(calls) == (3 if stage == "staging" else 1):
            raise Interrupted
        return original(*args, **options)

    monkeypatch.setattr(*target, interrupted)
    with pytest.raises(Interrupted):
        prepare(cases)
    [partial] = (cases.parent / "out").glob("brats-*")
    assert partial.suffix == ".partial"
    calls = []
    read = []
    monkeypatch.setattr(*target, original)
    prepare_case = staging.preprocess.prepare_case
    monkeypatch.setattr(
        staging.preprocess,
        "prepare_case",
        lambda *args, **names: (
            read.append(names["case"]) or prepare_case(*args, **names)
        ),
    )
    prepared = prepare(cases)
    assert read == (["p2", "p3", "p4"] if stage == "staging" else [])
    assert sum(prepared.counts.values()) == 15
    assert len(prepared.cache("train")) == 9
    assert not list((cases.parent / "out").glob("*.partial"))


def on(jobs):
    return functools.partial(workers.in_parallel, jobs=jobs)


KILLED = """
    import functools, pathlib, sys, time
    sys.path[:0] = {path!r}
    from jaxsyn.data import cases, sources, staging, workers
    from jaxsyn.data.preprocess import PrepareSettings

    def read(case):
        if case.name != "p0":
            print("hanging", flush=True)
            time.sleep(600)
        return cases.read_case(case)

    if __name__ == "__main__":
        staging.stage(
            sources.load("brats").find_cases({cases!r}),
            PrepareSettings(image_size=16),
            pathlib.Path({out!r}),
            spread=functools.partial(workers.in_parallel, jobs=2),
            read=read,
        )
"""


def test_a_killed_job_leaves_no_processes_and_is_gone_on_with(cases, tmp_path):
    script, out = tmp_path / "killed.py", tmp_path / "staged"
    text = KILLED.format(path=[str(PACKAGE)], cases=str(cases), out=str(out))
    script.write_text(textwrap.dedent(text))
    job = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert job.stdout.readline() == job.stdout.readline() == "hanging\n"
    children = _children(job.pid)
    assert len(children) >= 2
    job.send_signal(signal.SIGKILL)
    job.wait()
    deadline = time.monotonic() + 20
    while any(map(_alive, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_alive, children))
    assert [path.name for path in out.glob("*.npz")] == ["p0.npz"]
    before = (out / "p0.npz").stat()
    found = sources.load("brats").find_cases(cases)
    assert staging.stage(found, SETTINGS, out, spread=on(1), read=read_case) == {}
    assert len(list(out.glob("*.npz"))) == 5
    assert (out / "p0.npz").stat() == before


def _children(pid):
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[0] != "Z"
    except OSError:
        return False


def _die(case):
    os._exit(1)


def test_a_worker_that_dies_is_reported(cases, tmp_path):
    found = sources.load("brats").find_cases(cases)
    with pytest.raises(ResourceError, match="worker process died.*\n.*fewer than 2"):
        staging.stage(found, SETTINGS, tmp_path / "staged", spread=on(2), read=_die)


def test_a_split_file_is_followed_and_part_of_the_key(cases, tmp_path):
    path = tmp_path / "my.json"
    parts = {"train": ["p4"], "validation": ["p0", "p1"], "test": ["p2", "p3"]}
    path.write_text(json.dumps(parts))
    settings = dataclasses.replace(SETTINGS, split_file=str(path))
    prepared = prepare(cases, settings)
    assert prepared.counts == {"train": 3, "validation": 6, "test": 6}
    renamed = path.rename(tmp_path / "same.json")
    again = prepare(cases, dataclasses.replace(SETTINGS, split_file=str(renamed)))
    assert again.path == prepared.path
    renamed.write_text(json.dumps({"train": ["p0", "p1", "p2", "p3"]}))
    with pytest.raises(DataError, match="no part for 1 patients: p4"):
        prepare(cases, dataclasses.replace(SETTINGS, split_file=str(renamed)))


def test_a_split_by_slice_says_what_it_does(cases, caplog):
    settings = dataclasses.replace(SETTINGS, split="slice", fractions=(0.6, 0.2, 0.2))
    for _ in range(2):  # When it is made, and whenever it is used.
        caplog.clear()
        prepared = prepare(cases, settings)
        assert "slices of one patient are trained on and tested on" in caplog.text
    assert prepared.counts == {"train": 9, "validation": 3, "test": 3}
    cases_of = {p: {c for c, _ in prepared.cache(p).rows} for p in ("train", "test")}
    assert cases_of["train"] & cases_of["test"]
    rows = [row for p in prepared.counts for row in prepared.cache(p).rows]
    assert len(set(rows)) == 15


def test_a_split_changed_by_hand_is_noticed(cases):
    prepared = prepare(cases)
    path = prepared.path / "split.json"
    path.write_text(path.read_text().replace("p0", "p7"))
    with pytest.raises(DataError, match="split.json is damaged.*\n.*another division"):
        PreparedSet.open(prepared.path)
    integrity.write(prepared.path)
    with pytest.raises(DataError, match="not the division this set was made with"):
        PreparedSet.open(prepared.path)


def test_an_empty_or_unknown_part_is_refused(cases):
    prepared = prepare(cases, dataclasses.replace(SETTINGS, fractions=(0.5, 0.0, 0.5)))
    with pytest.raises(DataError, match="no slices in 'validation'.*\n.*train, test"):
        prepared.cache("validation")
    with pytest.raises(DataError, match="no slices in 'training'"):
        prepared.cache("training")


def test_a_folder_that_is_no_set_is_refused(tmp_path):
    with pytest.raises(DataError, match="is no prepared set"):
        PreparedSet.open(tmp_path)


def test_a_deleted_cache_is_made_again(cases):
    prepared = prepare(cases)
    before = np.array(prepared.cache("train").image)
    for path in (prepared.path / "cache" / "train").iterdir():
        path.unlink()
    (prepared.path / "cache" / "train").rmdir()
    np.testing.assert_array_equal(prepared.cache("train").image, before)


def test_a_prepared_set_is_used_without_tensorflow_or_jax(cases):
    prepared = prepare(cases)
    code = f"""
        import sys
        from jaxsyn.data.prepared import PreparedSet
        from jaxsyn.data import prepare, sampling
        prepared = PreparedSet.open({str(prepared.path)!r})
        print(prepared.cache("train").image.shape)
        heavy = {{"tensorflow", "tensorflow_datasets", "jax"}} & set(sys.modules)
        assert not heavy, heavy
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        cwd=PACKAGE,
    )
    assert done.stdout == "(9, 16, 16, 4)\n", done.stderr


@pytest.mark.parametrize(("name", "phantom"), [("brats", True), ("kits19", False)])
def test_without_a_folder_it_is_said_where_data_are_had(tmp_path, name, phantom):
    with pytest.raises(DataError, match="No data.source_dir is given") as error:
        DataSettings(source=name).open(tmp_path)
    assert ("phantom" in error.value.hint) == phantom
