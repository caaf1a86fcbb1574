"""The judge on the phantom, in this process: rows, leaks, stops, segmenting."""

import json

import numpy as np
import pytest

from configs import quality_brats, segment
from jaxsyn.data import nifti
from jaxsyn.data.cache import Cache
from jaxsyn.data.prepared import PreparedSet
from jaxsyn.engine import loop
from jaxsyn.engine.interrupt import Preempted
from jaxsyn.errors import CheckpointError, DataError, UsageError
from jaxsyn.evaluate import image_quality, judge
from jaxsyn.evaluate import rows as rows_lib
from jaxsyn.evaluate import segment as segment_job
from jaxsyn.evaluate.segmenter import Segmenter
from jaxsyn.synthesis.generator import Generator
from judges import FRACTIONS, config_of, rows_of


def test_the_table_has_every_row_region_and_metric(filled):
    workdir, _ = filled
    table = rows_of(workdir / "table.csv")
    keys = {(r["row"], r["region"], r["metric"]) for r in table}
    assert len(table) == len(keys) == 4 * 3 * 2
    assert {r["seeds"] for r in table} == {"2"}
    text = (workdir / "table.md").read_text()
    assert "*none, in the paper*" in text and "0.85" in text
    assert "2 test patients" in text and "convention 'nan'" in text


def test_a_mean_is_that_of_the_cases_of_each_seed(filled):
    workdir, _ = filled
    cases = rows_of(workdir / "cases.csv")
    seeds = {}
    for r in cases:
        if (r["row"], r["region"], r["metric"]) == ("both", "WT", "sensitivity"):
            seeds.setdefault(r["seed"], []).append(float(r["value"]))
    assert [len(values) for values in seeds.values()] == [2, 2]
    (entry,) = [
        r
        for r in rows_of(workdir / "table.csv")
        if (r["row"], r["region"], r["metric"]) == ("both", "WT", "sensitivity")
    ]
    means = [np.mean(values) for values in seeds.values()]
    np.testing.assert_allclose(float(entry["mean"]), np.mean(means))
    np.testing.assert_allclose(float(entry["sd"]), np.std(means, ddof=1), atol=1e-12)


def test_what_rows_are_trained_on(filled, folder):
    workdir, config = filled
    made = judge.Judge.from_config(config.to_dict(), workdir)
    prepared = made.data.open(folder / "prepared")
    rendered, _ = made._synthetic(prepared)
    real = prepared.cache("train")
    assert [len(copy) for copy in rendered] == 2 * [len(real)]
    lengths = {}
    for row in made.rows:
        slices = rows_lib.training_slices(row, prepared, rendered)
        synthetic = sum(case.startswith("syn") for case, _ in slices.rows)
        patients = {c for c, _ in slices.rows if not c.startswith("syn")}
        lengths[row.name] = len(slices) - synthetic, len(patients)
        # One and a half copies of two patients are three synthetic cases.
        copies = {c for c, _ in slices.rows if c.startswith("syn")}
        assert len(copies) == round(2 * row.synthetic)
    assert lengths["none"] == lengths["both"] == (len(real), 2)
    assert lengths["synthetic"] == (0, 0) and lengths["tuned"][1] == 1


def test_synthetic_slices_are_warped_maps_and_their_images(filled, folder):
    workdir, config = filled
    rendered = [Cache.open(path) for path in workdir.glob("synthetic-*")]
    assert len(rendered) == 2
    prepared = PreparedSet.open(next((folder / "prepared").glob("brats-*")))
    one, other = (
        {
            (case.split("_", 1)[1], index): copy.label[i]
            for i, (case, index) in enumerate(copy.rows)
        }
        for copy in rendered
    )
    assert all(copy.label.max() < len(prepared.spec.labels) for copy in rendered)
    assert all(copy.image.std() > 0 for copy in rendered)
    assert one.keys() == other.keys()
    assert np.mean([np.array_equal(one[key], other[key]) for key in one]) < 0.5


def test_a_finished_table_trains_nothing(filled, monkeypatch, capsys):
    workdir, config = filled
    monkeypatch.setattr(loop.Run, "train", None)
    before = (workdir / "table.md").read_bytes()
    judge.run(config, workdir)
    assert (workdir / "table.md").read_bytes() == before
    assert "| both |" in capsys.readouterr().out


def test_fine_tuning_starts_from_the_other_rows_weights(filled):
    workdir, _ = filled
    first = json.loads((workdir / "cells/synthetic-0/metrics.jsonl").open().readline())
    tuned = json.loads((workdir / "cells/tuned-0/metrics.jsonl").open().readline())
    assert first["step"] == tuned["step"] == 2
    one, other = (Segmenter.load(workdir / f"cells/{r}-0") for r in ("none", "tuned"))
    assert one.meta["depth"] == other.meta["depth"] == 0


def test_a_row_may_be_trained_for_other_steps_than_the_others(filled):
    workdir, _ = filled
    for row, steps in (("synthetic", 4), ("tuned", 2)):
        result = json.loads((workdir / f"cells/{row}-0/result.json").read_text())
        assert result["tested_steps"] == [steps]
    assert (
        "4 steps of batch 4 for every row, 2 for tuned"
        in (workdir / "table.md").read_text()
    )


def test_a_stopped_table_goes_on_to_the_same_numbers(filled, folder, monkeypatch):
    workdir, config = filled
    again = config_of(folder, rows=config.rows[:1], seeds=(0,))
    train_whole, calls = loop.Run.train, []

    def stopped(self, state):
        # As a signal after the second of four steps would.
        calls.append(1)
        if len(calls) > 1:
            return train_whole(self, state)
        stage = self.stages[0]
        half = type(self)(**{**vars(self), "stages": (stage_until(stage, 2),)})
        train_whole(half, state)
        raise Preempted("Stopped.", hint="Again.")

    monkeypatch.setattr(loop.Run, "train", stopped)
    with pytest.raises(Preempted):
        judge.run(again, folder / "stopped")
    assert not (folder / "stopped/table.md").exists()
    judge.run(again, folder / "stopped")
    one, other = (
        [path.read_text() for path in (place / "cells/none-0/tests").iterdir()]
        for place in (workdir, folder / "stopped")
    )
    assert one == other
    assert (workdir / "cells/none-0/validation.jsonl").read_bytes() == (
        folder / "stopped/cells/none-0/validation.jsonl"
    ).read_bytes()


def stage_until(stage, step):
    return type(stage)(**{**vars(stage), "stop": step})


def test_a_test_patient_that_the_generator_saw_is_named(folder, generator):
    config = config_of(folder, generator)
    config.data.prepare.split_seed = 1
    with pytest.raises(DataError, match="among those the generator was") as error:
        judge.run(config, folder / "leak")
    seen = Generator.load(generator).trained_on["names"]
    assert any(name in str(error.value) for name in seen)


def test_a_generator_of_other_images_is_refused(folder, generator):
    config = config_of(folder, generator)
    config.data.prepare.image_size = 16
    config.system.widths = (4, 4)
    with pytest.raises(UsageError, match="generator's image_size is 32, .* 16"):
        judge.run(config, folder / "size")


def test_a_changed_training_does_not_pass_for_a_finished_one(filled):
    workdir, config = filled
    changed = config.copy_and_resolve_references()
    changed.train.steps = 6
    with pytest.raises(CheckpointError, match="train.steps: 4 -> 6"):
        judge.run(changed, workdir)


@pytest.fixture(scope="module")
def segmented(filled, folder):
    """The phantom's cases, one without its segmentation, segmented."""
    workdir, _ = filled
    (phantom,) = (folder / "prepared").glob("phantom-*")
    cases = sorted(p for p in phantom.iterdir() if p.is_dir())
    source = folder / "cases"
    for case in cases[:2]:
        (source / case.name).mkdir(parents=True)
        for file in case.iterdir():
            if not (case == cases[1] and "seg" in file.name):
                (source / case.name / file.name).symlink_to(file)
    config = segment.get_config()
    config.segmenter = str(workdir / "cells/none-0")
    config.source_dir = str(source)
    segment_job.run(config, folder / "segmented")
    return source, folder / "segmented", config


def test_label_volumes_lie_where_the_images_do(segmented):
    source, out, _ = segmented
    for case in sorted(source.iterdir()):
        image = nifti.read(next(case.glob("*t1.nii.gz")))
        made = nifti.read(out / f"{case.name}.nii.gz")
        assert made.data.shape == image.data.shape and made.data.dtype == np.uint8
        np.testing.assert_allclose(made.affine, image.affine)
        assert set(np.unique(made.data)) <= {0, 1, 2, 4}  # BraTS' own values.


def test_cases_with_a_reference_have_rows(segmented):
    source, out, _ = segmented
    first, second = sorted(case.name for case in source.iterdir())
    rows = rows_of(out / "cases.csv")
    assert {r["case"] for r in rows} == {first} and len(rows) == 3 * 2
    lines = (out / "cases.jsonl").read_text().splitlines()
    assert [json.loads(line)["region"] for line in lines] == [r["region"] for r in rows]
    # Against the files, counted by hand.
    made = nifti.read(out / f"{first}.nii.gz").data
    known = nifti.read(next((source / first).glob("*seg.nii.gz"))).data
    pair = np.isin(made, (1, 2, 4)), np.isin(known, (1, 2, 4))
    dice = 2 * np.count_nonzero(pair[0] & pair[1]) / sum(map(np.count_nonzero, pair))
    (row,) = [r for r in rows if (r["region"], r["metric"]) == ("WT", "dice")]
    np.testing.assert_allclose(float(row["value"]), dice)


def test_what_is_segmented_is_kept(segmented, monkeypatch):
    _, out, config = segmented
    rows = (out / "cases.csv").read_bytes()
    monkeypatch.setattr(Segmenter, "segment", None)
    segment_job.run(config, out)
    assert (out / "cases.csv").read_bytes() == rows


def test_a_segmenter_must_be_named_and_there(segmented, tmp_path):
    _, _, config = segmented
    for folder, error, words in (
        ("", UsageError, "No config.segmenter"),
        (str(tmp_path), CheckpointError, "No checkpoints"),
    ):
        config = config.copy_and_resolve_references()
        config.segmenter = folder
        with pytest.raises(error, match=words):
            segment_job.run(config, tmp_path / "out")


def test_images_of_another_size_are_refused(filled):
    workdir, _ = filled
    segmenter = Segmenter.load(workdir / "cells/none-0")
    with pytest.raises(DataError, match=r"shape \(2, 16, 16, 4\); expected \[N, 32"):
        segmenter.segment(np.zeros((2, 16, 16, 4)))
    features = segmenter.features(np.zeros((3, 32, 32, 4)), batch_size=2)
    assert features.shape == (3, 8)


def test_image_quality_with_and_without_a_u_net(filled, folder, generator):
    workdir, _ = filled
    config = quality_brats.get_config("runlocal")
    config.data.phantom.patients = 5
    config.data.prepare.fractions = FRACTIONS
    config.data.prepared_dir = str(folder / "prepared")
    config.generator = str(generator)
    config.metrics = ("histogram", "ssim")
    config.segmenter = str(workdir / "cells/none-0")
    image_quality.run(config, folder / "quality")
    rows = rows_of(folder / "quality/quality.csv")
    found = {(r["metric"], r["modality"]) for r in rows}
    assert ("ssim", "flair") in found and ("fd_unet", "all") in found
    assert all(np.isfinite(float(r["value"])) for r in rows)
    assert "fd_unet" in (folder / "quality/quality.md").read_text()
    config.data.prepare.split_seed = 1
    with pytest.raises(DataError, match="among those the generator was"):
        image_quality.run(config, folder / "quality-leak")
    # Of what it was trained on, on purpose.
    config.data.prepare.split_seed, config.part = 0, "train"
    image_quality.run(config, folder / "quality-train")


def test_images_are_no_distance_from_themselves(filled):
    workdir, _ = filled
    segmenter = Segmenter.load(workdir / "cells/none-0")
    images = np.random.default_rng(0).uniform(-1, 1, (12, 32, 32, 4))
    same = image_quality.distance_in_unet(images, images[::-1], segmenter)
    other = image_quality.distance_in_unet(images, -np.abs(images), segmenter)
    assert abs(same.value) < 1e-6 < other.value
