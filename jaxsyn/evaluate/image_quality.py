"""How much a generator's images look like real ones: a table of metrics.

Real images are those of a part of a prepared set; synthetic ones are rendered from
their label maps, so that anatomies are the same on both sides.
"""

from collections.abc import Mapping, Sequence
import dataclasses
from pathlib import Path
from typing import Any

from jaxtyping import Float
import numpy as np

from jaxsyn import settings, storage
from jaxsyn import workdir as workdir_lib
from jaxsyn.data.feed import DataSettings
from jaxsyn.data.preprocess import dequantise
from jaxsyn.errors import UsageError
from jaxsyn.evaluate import tables
from jaxsyn.evaluate.segmenter import Segmenter
from jaxsyn.metrics import quality
from jaxsyn.metrics.frechet import frechet_distance
from jaxsyn.synthesis.fitting import check_fits, check_no_leak
from jaxsyn.synthesis.generator import Generator

PARTS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True, kw_only=True)
class QualityConfig:
    """Whose images are compared with which.

    Attributes:
      job: `quality`.
      generator: The workdir of a training.
      data: The real data, prepared as the training's.
      part: Whose label maps and images; `test` patients must be new to the generator.
      metrics: Of `jaxsyn.metrics.quality`.
      segmenter: A cell's folder of a judge, whose U-Net gives `fd_unet`; none: no such.
      seed: Which synthetic images, and of whatever is drawn.
    """

    job: str
    generator: str
    data: Mapping[str, Any]
    part: str = "test"
    metrics: Sequence[str] = quality.DEFAULT
    segmenter: str = ""
    seed: int = 0

    def __post_init__(self):
        if self.part not in PARTS:
            what = f"config.part={self.part!r}"
            raise settings.unknown(what, self.part, list(PARTS))
        if not self.generator:
            raise UsageError(
                "No config.generator is given.",
                hint="Name the workdir of a training: --config.generator=WORKDIR",
            )


def run(config: Any, workdir: Path) -> None:
    """Renders, measures, prints the table and saves it in `workdir`.

    Args:
      config: A `ConfigDict` as in configs/quality_brats.py.
      workdir: Where quality.md, quality.csv and quality.jsonl go.

    Raises:
      JaxsynError: One of its kinds, for all that a user can mend.
    """
    config = config.to_dict()
    job = settings.build(QualityConfig, config, "config")
    data = DataSettings.from_config(job.data)
    generator = Generator.load(job.generator)
    workdir_lib.claim(workdir, config)
    prepared = data.open(workdir.parent / "prepared")
    check_fits(generator, prepared)
    if job.part == "test":
        check_no_leak(generator, prepared)
    cache = prepared.cache(job.part)
    real = dequantise(np.asarray(cache.image))
    fake = generator.generate(np.asarray(cache.label), seed=job.seed, normalised=True)
    rows = quality.evaluate(
        real,
        fake,
        modalities=prepared.spec.modalities,
        extractor=quality.default_extractor(),
        metrics=job.metrics,
        seed=job.seed,
    )
    if job.segmenter:
        rows.append(distance_in_unet(real, fake, Segmenter.load(job.segmenter)))
    table = quality.markdown(rows)
    tables.write_rows(workdir, "quality", map(dataclasses.asdict, rows))
    with (
        storage.writing(workdir),
        storage.whole_file(workdir / "quality.md") as file,
    ):
        file.write(f"{table}\n".encode())
    print(f"{table}\n\nSaved in {workdir}")


def distance_in_unet(
    real: Float[np.ndarray, "n h w c"],
    fake: Float[np.ndarray, "m h w c"],
    segmenter: Segmenter,
) -> quality.Row:
    """The Fréchet distance of what a U-Net's bridge makes of all modalities.

    It is no FID, and can be compared only where the U-Net is the same.
    """
    found = frechet_distance(segmenter.features(real), segmenter.features(fake))
    return quality.Row(
        metric="fd_unet",
        modality="all",
        value=found.value,
        n_real=len(real),
        n_fake=len(fake),
        method="Fréchet distance of the bridge's means in the judge's U-Net",
        warning=found.warning,
    )
