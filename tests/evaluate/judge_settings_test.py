"""The judge's settings: patients, selection of weights, merged classes, volumes."""

import json

import numpy as np
import pytest

from jaxsyn.data.cache import Cache
from jaxsyn.data.preprocess import dequantise
from jaxsyn.errors import DataError, UsageError
from jaxsyn.evaluate import judge, scoring
from jaxsyn.evaluate import rows as rows_lib
from jaxsyn.evaluate.segmenter import Segmenter
from judges import config_of, rows_of

MUL, ADD = np.multiply, np.add


def test_a_judge_of_one_patient_sees_no_other(folder, generator):
    rows = (
        {"name": "few", "patients": 0, "synthetic_cases": 1, "augment": "classical"},
        {"name": "balanced", "synthetic_cases": 2},
    )
    config = config_of(folder, generator, rows=rows, class_weights="balanced_real")
    config.data.patients = 1
    config.synthetic.dir = str(folder / "shared")
    judge.run(config, folder / "alone")
    made = judge.Judge.from_config(config.to_dict(), folder / "alone")
    prepared = made.data.open(folder / "prepared")
    (patient,) = prepared.split.parts["train"]
    (case,) = [c for c, whose in prepared.patient_of.items() if whose == patient]
    rendered, _ = made._synthetic(prepared)
    assert [{c for c, _ in copy.rows} for copy in rendered] == [
        {f"syn0_{case}"},
        {f"syn1_{case}"},
    ]
    real = Cache.open(prepared.path / "cache/train")
    share = [c for c, _ in real.rows].count(case)
    assert {len(copy) for copy in rendered} == {share} and share < len(real)
    slices = rows_lib.training_slices(made.rows[1], prepared, rendered)
    assert [c for c, _ in slices.rows] == share * [case] + [
        f"syn{copy}_{case}" for copy in range(2) for _ in range(share)
    ]
    # The weights are those of this patient.
    counts = np.bincount(
        np.concatenate(
            [real.label[i].ravel() for i, (c, _) in enumerate(real.rows) if c == case]
        ),
        minlength=5,
    )
    of_class = counts[:4] + [counts[4], 0, 0, 0]
    system = made._system(made.rows[1], prepared, slices)
    np.testing.assert_allclose(
        system["class_weights"], of_class.sum() / 4 / of_class, rtol=1e-5
    )
    # Another judge finds what was rendered; one of other patients does not.
    before = {p: p.stat().st_mtime_ns for p in (folder / "shared").rglob("*.npy")}
    assert len(before) == 4
    judge.run(config.copy_and_resolve_references(), folder / "alone-too")
    config.data.patients = 2
    judge.run(config, folder / "two")
    after = {p: p.stat().st_mtime_ns for p in (folder / "shared").rglob("*.npy")}
    assert before.items() < after.items() and len(after) == 6
    recipes = [
        json.loads((folder / name / "cells/few-0/config.json").read_text())
        for name in ("alone", "two")
    ]
    assert recipes[0]["data"] != recipes[1]["data"]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"rows": ({"name": "a", "synthetic": 1.0},)}, "no generator is given"),
        ({"rows": ({"name": "a", "synthetic_cases": 3},)}, "no generator is given"),
        ({"rows": ({"name": "a", "patients": 0},)}, "nothing to be trained on"),
        ({"rows": ({"name": "a", "augment": "clasical"},)}, "augment='clasical'"),
        ({"rows": ({"name": "a"}, {"name": "a"})}, "Rows share a name: a, a"),
        ({"rows": ({"name": "a", "start_from": "b"},)}, "starts from 'b'"),
        ({"rows": ({"name": "a", "reel": 1},)}, r"config.rows\[0\].reel is not known"),
        ({"rows": ()}, "0 rows"),
        ({"seeds": ()}, "0 seeds"),
        ({"class_weights": "even"}, "class_weights='even'"),
        ({"selection": {"by": "first"}}, "selection.by='first'"),
        ({"selection": {"by": "mean_last", "patience": 2}}, "cannot stop early"),
        ({"selection": {"looks": 2, "last": 3}}, "makes no sense"),
        ({"train": {"epochs": 3}}, "rows with more slices would be trained longer"),
        ({"system": {"name": "unet", "lose": 1}}, "config.system.lose is not known"),
    ],
)
def test_configurations_that_make_no_sense(folder, tmp_path, parts, words):
    with pytest.raises(UsageError, match=words):
        judge.run(
            config_of(folder, rows=({"name": "a"},), **parts)
            if "rows" not in parts
            else config_of(folder, **parts),
            tmp_path / "run",
        )


def test_a_part_without_patients_is_named(folder, tmp_path):
    config = config_of(folder, rows=({"name": "a"},))
    config.data.prepare.fractions = (0.8, 0.2, 0.0)
    with pytest.raises(DataError, match="No patients are left for test"):
        judge.run(config, tmp_path / "test")
    config.data.prepare.fractions = (0.8, 0.0, 0.2)
    config.selection.by = "best"
    with pytest.raises(DataError, match="left for validation"):
        judge.run(config, tmp_path / "validation")


def test_too_many_patients_are_asked_for(folder, tmp_path):
    config = config_of(folder, rows=({"name": "fine"}, {"name": "a", "patients": 9}))
    with pytest.raises(DataError, match="9 patients are wanted; .* part has 2"):
        judge.run(config, tmp_path / "run")
    assert not (tmp_path / "run" / "cells").exists()  # Nothing was trained before.


def test_without_validation_patients_the_last_weights_are_tested(folder):
    config = config_of(folder, rows=({"name": "a"},))
    config.data.prepare.fractions = (0.6, 0.0, 0.4)
    judge.run(config, folder / "no-validation")
    cell = folder / "no-validation/cells/a-0"
    assert json.loads((cell / "result.json").read_text())["tested_steps"] == [4]
    scores = [json.loads(x) for x in (cell / "validation.jsonl").open()]
    assert [each["score"] for each in scores] == [None, None]


@pytest.mark.parametrize(
    ("patience", "scores", "best", "looks"),
    [(0, (0.1, 0.4, 0.4, 0.3), 2, 4), (1, (0.3, 0.2, 0.9, 0.9), 1, 2)],
)
def test_the_best_weights_are_kept_and_patience_ends(
    folder, tmp_path, monkeypatch, patience, scores, best, looks
):
    given = iter(scores)
    monkeypatch.setattr(scoring, "mean_dice", lambda *_: next(given))
    config = config_of(folder, rows=({"name": "a"},))
    config.selection = {"by": "best", "looks": 4, "patience": patience, "last": 1}
    judge.run(config, tmp_path / "run")
    cell = tmp_path / "run/cells/a-0"
    assert json.loads((cell / "result.json").read_text())["tested_steps"] == [best]
    assert len((cell / "validation.jsonl").read_text().splitlines()) == looks
    assert int(Segmenter.load(cell).state.step) == best
    assert not (cell / "checkpoints").exists()


def test_volumes_are_segmented_by_a_network_for_volumes(folder):
    config = config_of(folder, rows=({"name": "a"},))
    config.depth = 8
    config.system.update({"widths": (2, 4), "norms": "up", "dropout": 0.02})
    judge.run(config, folder / "volumes")
    segmenter = Segmenter.load(folder / "volumes/cells/a-0")
    assert segmenter.depth == 8
    images = np.random.default_rng(0).uniform(-1, 1, (11, 32, 32, 4))
    together = segmenter.probabilities(images, batch_size=16)
    assert together.shape == (11, 32, 32, 4)
    np.testing.assert_allclose(together.sum(-1), 1.0, atol=1e-5)
    np.testing.assert_allclose(
        together, segmenter.probabilities(images, batch_size=8), atol=1e-5
    )


def test_one_seed_of_balanced_weights_averaged_over_the_last_looks(folder):
    config = config_of(folder, rows=({"name": "a"},), class_weights="balanced")
    config.system.loss = "weighted_dice"
    config.selection = {"by": "mean_last", "looks": 4, "last": 2}
    judge.run(config, folder / "last")
    result = json.loads((folder / "last/cells/a-0/result.json").read_text())
    assert result["tested_steps"] == [3, 4]
    cases = rows_of(folder / "last/cases.csv")
    assert {r["look"] for r in cases} == {"0", "1"}


def test_merged_classes_and_the_loss_of_the_test_part(folder, generator):
    rows = (
        {"name": "real"},
        {"name": "synthetic", "patients": 0, "synthetic": 1.0},
    )
    config = config_of(folder, generator, rows=rows, class_weights="balanced")
    config.merge = {"tumour": ("necrotic", "oedema", "enhancing")}
    config.metrics.regions = {"T": ("tumour",)}
    config.metrics.loss = True
    config.system.loss = "weighted_dice"
    config.selection = {"by": "mean_last", "looks": 2, "last": 2}
    judge.run(config, folder / "merged")
    cell = folder / "merged/cells/real-0"
    result = json.loads((cell / "result.json").read_text())
    assert result["tested_steps"] == [2, 4] and [*result["losses"]] == ["2", "4"]
    # The loss again, of the probabilities: what is tested last is kept.
    segmenter = Segmenter.load(cell)
    made = judge.Judge.from_config(config.to_dict(), folder / "merged")
    prepared = made.data.open(folder / "prepared")
    test = prepared.cache("test")
    images, labels = dequantise(np.asarray(test.image)), np.asarray(test.label)
    p = segmenter.probabilities(images).astype(float)
    assert p.shape[-1] == 2
    y = np.stack([~np.isin(labels, (1, 2, 3)), np.isin(labels, (1, 2, 3))], -1)
    train = np.asarray(prepared.cache("train").label)
    share = np.isin(train, (1, 2, 3)).mean()
    weights = np.array([1 / (1 - share), 1 / share]) / 2
    losses, sizes = [], []
    for start in range(0, len(y), 4):
        some = slice(start, start + 4)
        both, either = ((f(y[some], p[some])).sum((0, 1, 2)) for f in (MUL, ADD))
        losses.append(1 - 2 * (weights @ both) / (weights @ either))
        sizes.append(len(y[some]))
    expected = np.average(losses, weights=sizes)
    np.testing.assert_allclose(result["losses"]["4"], expected, rtol=1e-4)
    found = segmenter.segment(images)
    assert {*np.unique(found)} <= {0, 1}
    # So is the Dice of all of the tumour.
    for r in rows_of(folder / "merged/cases.csv"):
        if (r["row"], r["look"], r["metric"]) == ("real", "1", "dice"):
            own = [i for i, (case, _) in enumerate(test.rows) if case == r["case"]]
            both = np.count_nonzero((found[own] == 1) & y[own, ..., 1])
            either = np.count_nonzero(found[own]) + np.count_nonzero(y[own, ..., 1])
            np.testing.assert_allclose(float(r["value"]), 2 * both / either)
    table = rows_of(folder / "merged/table.csv")
    found = {r["row"]: float(r["mean"]) for r in table if r["metric"] == "loss"}
    mean = np.mean([*result["losses"].values()])
    np.testing.assert_allclose(found["real"], mean)
    head, _, line, *_ = (folder / "merged/table.md").read_text().splitlines()
    assert head == "| trained on | T dice | T sensitivity | loss |"
    assert line.endswith(f" {mean:.4g} |")


def test_classes_that_there_are_not(folder, tmp_path):
    config = config_of(folder, rows=({"name": "a"},))
    config.merge = {"tumour": ("necrotic", "oedema", "enhancing")}
    with pytest.raises(UsageError, match="No class 'enhancing' is segmented"):
        judge.run(config, tmp_path / "region")  # Regions name it still.
    config.merge = {"tumour": ("edema",)}
    with pytest.raises(UsageError, match="No label 'edema'"):
        judge.run(config, tmp_path / "label")
