"""What a synthesis job wrote, as the synthetic cases of a judge."""

import json

import numpy as np
import pytest

from configs import judge_borde_brats, quality_brats, synthesize_brats
from fixtures import save_training
from jaxsyn.data.feed import DataSettings
from jaxsyn.errors import DataError, UsageError
from jaxsyn.evaluate import image_quality, rows, synthetic
from jaxsyn.evaluate.judge import Judge
from jaxsyn.synthesis import synthesize
from jaxsyn.synthesis.export import check_lineages

SYSTEM = {"name": "pix2pix", "ngf": 4, "ndf": 4, "kernel_init": "he"}


@pytest.fixture(scope="module", params=["brats", "nifti"])
def made(request, tmp_path_factory):
    """The folder, how data are prepared, the real set, and the export."""
    folder = tmp_path_factory.mktemp("export")
    config = synthesize_brats.get_config(f"runlocal,format={request.param}")
    data = DataSettings.from_config(config.data.to_dict())
    prepared = data.open(folder / "prepared")
    seen = prepared.split.parts["train"]
    save_training(folder / "images", SYSTEM, prepared.spec, seen)
    config.generator = str(folder / "images")
    synthesize.run(config, folder / "synthetic")
    return folder, data, prepared, folder / "synthetic"


def test_its_cases_are_prepared_as_the_real_ones(made):
    folder, data, prepared, export = made
    opened = synthetic.of_export(export, data, folder / "prepared")
    assert opened.spec.label_names == prepared.spec.label_names
    assert opened.counts["train"] == sum(opened.counts.values())
    cache, real = opened.cache("train"), prepared.cache("train")
    # Label maps are real here: what comes back is what went out, but for resampling.
    rows_of = [i for i, (case, _) in enumerate(cache.rows) if case == "syn_0000"]
    agree = np.asarray(cache.label[rows_of]) == np.asarray(real.label[: len(rows_of)])
    assert agree.mean() > 0.95
    row = rows.Row(name="both", synthetic=2.0)
    slices = rows.training_slices(row, prepared, [cache])
    assert len(slices) == len(real) + len(cache)


def test_more_cases_than_there_are(made):
    folder, data, prepared, export = made
    cache = synthetic.of_export(export, data, folder / "prepared").cache("train")
    row = rows.Row(name="many", synthetic=5.0)
    with pytest.raises(DataError, match="wants 5 synthetic cases; there are 2"):
        rows.training_slices(row, prepared, [cache])


def test_a_test_patient_behind_it(made):
    *_, prepared, export = made
    check_lineages(export, prepared.split.parts["test"])
    with pytest.raises(DataError, match="1 of the test patients are behind"):
        check_lineages(export, prepared.split.parts["train"])
    with pytest.raises(DataError, match="is no finished export"):
        check_lineages(export / "sheets", prepared.split.parts["test"])


def test_its_images_are_compared_with_real_ones(made, tmp_path):
    folder, data, prepared, export = made
    config = quality_brats.get_config("runlocal")
    config.data.prepared_dir = str(folder / "prepared")
    config.update({"export": str(export), "metrics": ("histogram",)})
    image_quality.run(config, tmp_path / "quality")
    lines = (tmp_path / "quality/quality.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    made_slices = synthetic.of_export(export, data, folder / "prepared").counts
    assert {row["n_fake"] for row in found} == {made_slices["train"]}
    assert {row["n_real"] for row in found} == {prepared.counts["test"]}
    config.metrics = ("ssim",)
    with pytest.raises(UsageError, match="ssim, but exported cases"):
        image_quality.run(config, tmp_path / "paired")
    config.update({"metrics": ("swd",), "generator": str(folder / "images")})
    with pytest.raises(UsageError, match="config.generator is .* and config.export"):
        image_quality.run(config, tmp_path / "both")


def test_an_export_in_another_format(made, tmp_path):
    folder, data, *_ = made
    with pytest.raises(UsageError, match="There is no folder"):
        synthetic.of_export(tmp_path, data, folder / "prepared")


def test_a_judge_takes_one_origin(tmp_path):
    config = judge_borde_brats.get_config("runlocal")
    config.synthetic.export = "somewhere"
    assert Judge.from_config(config.to_dict(), tmp_path).rendering.export
    config.generator = "elsewhere"
    with pytest.raises(UsageError, match="Both config.generator and"):
        Judge.from_config(config.to_dict(), tmp_path)
