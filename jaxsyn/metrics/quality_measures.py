"""What the judge of image quality can compute for one modality."""

from collections.abc import Callable
import dataclasses
import functools
from typing import Protocol

from jaxtyping import Float
import numpy as np

from jaxsyn.errors import JaxsynError
from jaxsyn.metrics import similarity
from jaxsyn.metrics.frechet import frechet_distance
from jaxsyn.metrics.histograms import histogram_distance
from jaxsyn.metrics.inception import Inception
from jaxsyn.metrics.kernel import kernel_distance
from jaxsyn.metrics.manifold import manifold
from jaxsyn.metrics.swd import sliced_wasserstein

PAIRED = ("psnr", "ssim", "ms_ssim")
OF_FEATURES = ("fid", "kid", "manifold")
BACKGROUND = -0.98  # Intensities up to here are left out of the histograms.

Images = Float[np.ndarray, "n h w c"]


class Extractor(Protocol):
    """From images [N, H, W, 1] in [-1, 1] to features [N, D].

    It may also have a `method`: a line on its weights and preprocessing.

    Attributes:
      name: Ends the names of its metrics: `unet` gives `fd_unet`, `kd_unet`.
    """

    name: str

    def __call__(self, images: Images) -> Float[np.ndarray, "n d"]: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One number of a report.

    Attributes:
      metric: Its name; `fid` and `kid` are those of verified Inception weights.
      modality: Of the images, or `mean` over modalities.
      value: The number; None if it could not be computed.
      standard_error: Of the value, where it is known.
      n_real: Real images.
      n_fake: Synthetic images.
      method: How it was computed.
      warning: Why there is no value, or what makes it unsafe; or nothing.
    """

    metric: str
    modality: str
    value: float | None
    standard_error: float | None = None
    n_real: int
    n_fake: int
    method: str = ""
    warning: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Pair:
    """One modality of both sets.

    Attributes:
      modality: Its name.
      real: Real images, of one channel.
      fake: Synthetic images, of one channel.
      extractor: Of features.
      seed: Of whatever is drawn.
    """

    modality: str
    real: Images
    fake: Images
    extractor: Extractor | None
    seed: int

    @functools.cached_property
    def features(self) -> tuple[np.ndarray, np.ndarray]:
        """Of real and of synthetic images."""
        return self.extractor(self.real), self.extractor(self.fake)

    def row(self, metric: str, value: float | None, **fields) -> Row:
        """A row of this pair; `fields` go before what is known of it."""
        known = {
            "modality": self.modality,
            "n_real": len(self.real),
            "n_fake": len(self.fake),
        }
        return Row(metric=metric, value=value, **known | fields)

    def of_features(self, published: str, other: str, value: float, **fields) -> Row:
        """A row named as published or else after the extractor."""
        extractor = self.extractor
        verified = isinstance(extractor, Inception) and extractor.verified
        name = published if verified else f"{other}_{extractor.name}"
        method = getattr(extractor, "method", extractor.name)
        return self.row(name, value, method=method, **fields)


def measure(metric: str, pair: Pair) -> list[Row]:
    """The rows of a metric in `MEASURES`; one that says why if there is no value."""
    try:
        return MEASURES[metric](pair)
    except JaxsynError as error:
        return [pair.row(metric, None, warning=str(error).replace("\n", ";"))]


def _fid(pair):
    found = frechet_distance(*pair.features)
    return [pair.of_features("fid", "fd", found.value, warning=found.warning)]


def _kid(pair):
    found = kernel_distance(*pair.features, seed=pair.seed)
    fields = {"standard_error": found.standard_error, "warning": found.warning}
    return [pair.of_features("kid", "kd", found.value, **fields)]


def _manifold(pair):
    found = manifold(*pair.features)
    return [
        pair.of_features(name, name, getattr(found, name))
        for name in ("precision", "recall", "density", "coverage")
    ]


def _swd(pair):
    n = min(len(pair.real), len(pair.fake))
    found = sliced_wasserstein(pair.real[:n], pair.fake[:n], seed=pair.seed)
    values = {"swd": found.average}
    values |= {f"swd_{side}": value for side, value in found.levels.items()}
    fields = {"n_real": n, "n_fake": n, "method": "times 1000"}
    return [pair.row(name, value, **fields) for name, value in values.items()]


def _histogram(pair):
    found = histogram_distance(pair.real, pair.fake, value_range=(BACKGROUND, 1.0))
    method = f"256 bins above {BACKGROUND}, where background ends"
    return [
        pair.row(f"histogram_{name}", getattr(found, name), method=method)
        for name in ("wasserstein", "intersection")
    ]


def _paired(name):
    def mean_over_pairs(pair):
        # Similarity compares mean intensities: they must not be negative.
        real, fake = ((np.asarray(x) + 1.0) / 2.0 for x in (pair.real, pair.fake))
        scores = getattr(similarity, name)(real, fake, data_range=1.0)
        error = None
        if len(scores) > 1 and np.isfinite(scores).all():
            error = float(scores.std(ddof=1) / np.sqrt(len(scores)))
        method = "mean over pairs, intensities in [0, 1]"
        row = pair.row(name, float(scores.mean()), standard_error=error, method=method)
        return [row]

    return mean_over_pairs


MEASURES: dict[str, Callable[[Pair], list[Row]]] = {
    "fid": _fid,
    "kid": _kid,
    "manifold": _manifold,
    "swd": _swd,
    "histogram": _histogram,
    **{name: _paired(name) for name in PAIRED},
}
