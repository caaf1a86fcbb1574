"""The judge: names, means, and what is said where there is no number."""

import numpy as np
import pytest

from jaxsyn.errors import DataError, UsageError
from jaxsyn.metrics import inception_weights, quality
from jaxsyn.metrics.frechet import frechet_distance
from jaxsyn.metrics.inception import Inception
from jaxsyn.metrics.similarity import ssim

MODALITIES = ("t1", "flair")


class Means:
    """Mean and spread of each image: an extractor in a line."""

    name = "unet"

    def __call__(self, images):
        return np.stack([images.mean((1, 2, 3)), images.std((1, 2, 3))], -1)


def images(count, seed, side=16):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (count, side, side, 2)).astype(np.float32)


def test_frechet_by_modality_is_never_called_fid_without_inception():
    real, fake = images(9, 0), images(7, 1)
    rows = quality.frechet_by_modality(real, fake, Means(), MODALITIES)
    assert [row.metric for row in rows] == ["fd_unet"] * 3
    assert [row.modality for row in rows] == ["t1", "flair", "mean"]
    by_hand = [
        frechet_distance(Means()(real[..., i : i + 1]), Means()(fake[..., i : i + 1]))
        for i in range(2)
    ]
    expected = [d.value for d in by_hand]
    np.testing.assert_allclose(
        [r.value for r in rows], [*expected, np.mean(expected)], rtol=1e-10
    )
    assert {(row.n_real, row.n_fake, row.method) for row in rows} == {(9, 7, "unet")}


@pytest.mark.parametrize(
    ("sha256", "name"), [("", "fd_inception"), (inception_weights.SHA256, "fid")]
)
def test_only_verified_weights_make_a_fid(monkeypatch, sha256, name):
    monkeypatch.setattr(inception_weights, "digest", lambda weights: sha256)
    monkeypatch.setattr(Inception, "__call__", lambda self, x: Means()(x))
    rows = quality.frechet_by_modality(
        images(5, 0), images(5, 1), Inception({}), MODALITIES
    )
    assert {row.metric for row in rows} == {name}
    assert f"weights {sha256[:12]}, bilinear to 299 px" in rows[0].method


def test_evaluate_gives_all_metrics_in_flat_rows():
    real, fake = images(12, 0), images(8, 1)
    rows = quality.evaluate(real, fake, modalities=MODALITIES, extractor=Means())
    names = list(dict.fromkeys(row.metric for row in rows))
    assert names == [
        *("fd_unet", "kd_unet", "precision_unet", "recall_unet", "density_unet"),
        *("coverage_unet", "swd", "swd_16"),
        *("histogram_wasserstein", "histogram_intersection"),
    ]
    assert len(rows) == 3 * len(names)
    assert all(np.isfinite(row.value) for row in rows)
    kernel = [row for row in rows if row.metric == "kd_unet"]
    assert all(row.standard_error > 0 for row in kernel)
    assert kernel[0].warning == "subsets have 4 samples, not 1000, of 8"
    sliced = next(row for row in rows if row.metric == "swd")
    assert (sliced.n_real, sliced.n_fake) == (8, 8)


def test_paired_metrics_take_images_to_the_unit_interval():
    real, fake = images(3, 0), images(3, 1)
    rows = quality.evaluate(
        real, fake, modalities=MODALITIES, extractor=None, metrics=("ssim", "psnr")
    )
    scores = ssim((real[..., 1:] + 1) / 2, (fake[..., 1:] + 1) / 2, data_range=1.0)
    assert rows[1].value == pytest.approx(scores.mean())
    assert rows[1].standard_error == pytest.approx(scores.std(ddof=1) / np.sqrt(3))
    same = quality.evaluate(
        real, real, modalities=MODALITIES, extractor=None, metrics=("psnr",)
    )
    assert same[-1].value == np.inf and same[-1].standard_error is None


def test_without_weights_fid_is_skipped_and_the_command_is_given(monkeypatch, tmp_path):
    monkeypatch.setenv("JAXSYN_CACHE", str(tmp_path))
    assert quality.default_extractor() is None
    rows = quality.evaluate(
        images(3, 0),
        images(3, 1),
        modalities=MODALITIES,
        extractor=None,
        metrics=("fid", "histogram"),
    )
    assert (rows[0].metric, rows[0].value, rows[0].modality) == ("fid", None, "mean")
    assert "python -m jaxsyn.metrics.inception --get" in rows[0].warning
    assert rows[1].value is not None
    np.savez(inception_weights.default_path(), a=np.zeros(1))
    with pytest.raises(DataError, match="SHA-256"):
        quality.default_extractor()


def test_a_metric_that_fails_stops_no_other():
    rows = quality.evaluate(
        images(3, 0),
        images(2, 1),
        modalities=MODALITIES,
        extractor=Means(),
        metrics=("manifold", "ssim", "histogram"),
    )
    failed = [row for row in rows if row.value is None]
    assert [row.metric for row in failed] == ["manifold"] * 3 + ["ssim"] * 3
    assert "k is 5 for 3 real and 2 synthetic" in failed[0].warning
    assert rows[-1].value is not None


def test_there_is_no_mean_over_some_of_the_modalities():
    real, fake = images(3, 0), images(3, 1)
    fake[..., 1] = -1.0  # Nothing but background.
    rows = quality.evaluate(
        real, fake, modalities=MODALITIES, extractor=None, metrics=("histogram",)
    )
    assert [(row.metric, row.modality) for row in rows] == [
        ("histogram_wasserstein", "t1"),
        ("histogram_intersection", "t1"),
        ("histogram", "flair"),
    ]
    assert "synthetic images" in rows[-1].warning and rows[-1].value is None


def test_the_same_seed_gives_the_same_rows():
    arguments = images(8, 0), images(8, 1)
    options = {"modalities": MODALITIES, "extractor": Means()}
    one, again = (quality.evaluate(*arguments, **options, seed=3) for _ in range(2))
    assert one == again
    assert one != quality.evaluate(*arguments, **options, seed=4)


@pytest.mark.parametrize(
    ("real", "message"),
    [
        (images(3, 0)[..., :1], r"Real images are \(3, 16, 16, 1\), not .N, H, W, 2."),
        (images(3, 0) * 100, "Real images lie in .* not in .-1, 1."),
        (images(3, 0) * np.nan, "Real images lie in .nan"),
        (images(0, 0), "Real images are"),
    ],
)
def test_images_of_another_kind_are_refused(real, message):
    with pytest.raises(UsageError, match=message):
        quality.evaluate(real, images(3, 1), modalities=MODALITIES, extractor=None)


def test_unknown_metrics_are_refused():
    with pytest.raises(UsageError, match="Unknown metrics: lpips.*\n.*fid, kid"):
        quality.evaluate(
            images(2, 0),
            images(2, 1),
            modalities=MODALITIES,
            extractor=None,
            metrics=("fid", "lpips"),
        )


def test_the_table_is_markdown():
    counts = {"n_real": 4, "n_fake": 5}
    rows = [
        quality.Row(
            metric="kid",
            modality="t1",
            value=0.123456,
            standard_error=0.01,
            method="how",
            **counts,
        ),
        quality.Row(metric="swd", modality="mean", value=None, warning="why", **counts),
    ]
    assert quality.markdown(rows).splitlines()[2:] == [
        "| kid | t1 | 0.1235 | 0.01 | 4 | 5 |  |",
        "| swd | mean | – | – | 4 | 5 | why |",
        "",
        "* kid: how",
    ]
