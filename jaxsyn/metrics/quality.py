"""The judge of image quality: every metric, for each modality and their mean."""

from collections import defaultdict
from collections.abc import Sequence
import dataclasses

import numpy as np

from jaxsyn.errors import UsageError
from jaxsyn.metrics import inception_weights
from jaxsyn.metrics.inception import Inception
from jaxsyn.metrics.quality_measures import (
    MEASURES,
    OF_FEATURES,
    Extractor,
    Images,
    Pair,
    Row,
    measure,
)

DEFAULT = ("fid", "kid", "manifold", "swd", "histogram")
MEAN = "mean"


def default_extractor() -> Inception | None:
    """Inception, or None where its weights have not been obtained.

    Raises:
      DataError: There are weights, but not the published ones.
    """
    if not inception_weights.default_path().is_file():
        return None
    return Inception.load()


def frechet_by_modality(
    real: Images, fake: Images, extractor: Extractor, modalities: Sequence[str]
) -> list[Row]:
    """The Fréchet distance of each modality and their mean; see `evaluate`.

    They are called `fid` only if made by Inception with verified weights, or else
    `fd_` and the extractor's name.
    """
    return evaluate(
        real, fake, modalities=modalities, extractor=extractor, metrics=("fid",)
    )


def evaluate(
    real: Images,
    fake: Images,
    *,
    modalities: Sequence[str],
    extractor: Extractor | None,
    metrics: Sequence[str] = DEFAULT,
    seed: int = 0,
) -> list[Row]:
    """Compares synthetic with real images.

    A metric that cannot be computed gives a row without a value that says why; it
    does not stop the others.

    Args:
      real: Real images in [-1, 1].
      fake: Synthetic images in [-1, 1]. For `psnr`, `ssim` and `ms_ssim`, each is the
        counterpart of the real image at its place.
      modalities: Names of the channels.
      extractor: Of features; see `default_extractor`. Without one, `fid`, `kid` and
        `manifold` are skipped.
      metrics: Those of `DEFAULT`, `psnr`, `ssim` or `ms_ssim`.
      seed: Of whatever is drawn.

    Raises:
      UsageError: A metric is unknown, or the images are not as they must be.
    """
    if unknown := set(metrics) - set(MEASURES):
        raise UsageError(
            f"Unknown metrics: {', '.join(sorted(unknown))}.",
            hint=f"Known are: {', '.join(MEASURES)}.",
        )
    _check(real, fake, modalities)
    pairs = [
        Pair(name, real[..., i : i + 1], fake[..., i : i + 1], extractor, seed)
        for i, name in enumerate(modalities)
    ]
    rows = []
    for metric in metrics:
        if extractor is None and metric in OF_FEATURES:
            why = f"skipped without Inception's weights: {inception_weights.COMMAND}"
            rows.append(pairs[0].row(metric, None, modality=MEAN, warning=why))
            continue
        found = [row for pair in pairs for row in measure(metric, pair)]
        rows += found + (_means(found, len(pairs)) if len(pairs) > 1 else [])
    return rows


def markdown(rows: Sequence[Row]) -> str:
    """A table of the rows, and below it how their numbers were made."""
    lines = [
        "| metric | modality | value | standard error | real | synthetic | note |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        numbers = (_text(row.value), _text(row.standard_error), row.n_real, row.n_fake)
        cells = (row.metric, row.modality, *numbers, row.warning)
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    methods = {row.metric: row.method for row in rows if row.method}
    notes = [f"* {metric}: {method}" for metric, method in methods.items()]
    return "\n".join([*lines, "", *notes, ""])


def _means(rows, modalities):
    """The mean of each metric that all modalities have."""
    by_metric = defaultdict(list)
    for row in rows:
        by_metric[row.metric].append(row)
    return [_mean(g) for g in by_metric.values() if len(g) == modalities]


def _mean(rows):
    values = [row.value for row in rows]
    errors = [row.standard_error for row in rows]
    return dataclasses.replace(
        rows[0],
        modality=MEAN,
        value=None if None in values else float(np.mean(values)),
        # Modalities of one patient are not independent: the mean is the upper bound.
        standard_error=None if None in errors else float(np.mean(errors)),
    )


def _check(real, fake, modalities):
    for name, images in (("Real", real), ("Synthetic", fake)):
        if images.ndim != 4 or images.shape[-1] != len(modalities) or not len(images):
            raise UsageError(
                f"{name} images are {images.shape}, not [N, H, W, {len(modalities)}].",
                hint=f"The modalities are: {', '.join(modalities)}.",
            )
        low, high = images.min(), images.max()
        if not -1.001 <= low <= high <= 1.001:  # NaN is refused, too.
            raise UsageError(
                f"{name} images lie in [{low}, {high}], not in [-1, 1].",
                hint="Metrics take images as generators make them.",
            )


def _text(number):
    return "–" if number is None else f"{number:.4g}"
