"""How much a generator's images look like real ones: a table of metrics.

Real images are those of a part of a prepared set. Synthetic ones are rendered from
their label maps, so that anatomies are the same on both sides; or they are those of a
synthesis job.
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
from jaxsyn.evaluate import synthetic, tables
from jaxsyn.evaluate.features import RememberingInception
from jaxsyn.evaluate.segmenter import Segmenter
from jaxsyn.metrics import quality
from jaxsyn.metrics.frechet import frechet_distance
from jaxsyn.metrics.quality_measures import PAIRED
from jaxsyn.synthesis.export import check_lineages
from jaxsyn.synthesis.fitting import check_fits, check_no_leak, tested_patients
from jaxsyn.synthesis.generator import Generator

PARTS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True, kw_only=True)
class QualityConfig:
    """Whose images are compared with which.

    Attributes:
      job: `quality`.
      generator: The workdir of a training; or
      export: that of a synthesis job, in the format `brats` or `nifti`.
      data: The real data, prepared as the training's.
      part: Whose label maps and images; `test` patients must be new to the generator.
      metrics: Of `jaxsyn.metrics.quality`.
      segmenter: A cell's folder of a judge, whose U-Net gives `fd_unet`; none: no such.
      seed: Which synthetic images, and of whatever is drawn.
    """

    job: str
    data: Mapping[str, Any]
    generator: str = ""
    export: str = ""
    part: str = "test"
    metrics: Sequence[str] = quality.DEFAULT
    segmenter: str = ""
    seed: int = 0

    def __post_init__(self):
        if self.part not in PARTS:
            what = f"config.part={self.part!r}"
            raise settings.unknown(what, self.part, list(PARTS))
        if bool(self.generator) == bool(self.export):
            raise UsageError(
                f"config.generator is {self.generator!r} and config.export is"
                f" {self.export!r}.",
                hint="Name the workdir of a training: --config.generator=WORKDIR, or of"
                " a synthesis job: --config.export=WORKDIR",
            )
        paired = sorted({*self.metrics} & {*PAIRED})
        if self.export and paired:
            raise UsageError(
                f"config.metrics has {', '.join(paired)}, but exported cases are no"
                " counterparts of real ones.",
                hint="Leave these out, or give config.generator.",
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
    workdir_lib.check(workdir, config)
    default_dir = workdir.parent / "prepared"
    prepared = data.open(default_dir)
    fake = _synthetic(job, data, prepared, default_dir)
    workdir_lib.claim(workdir, config, data=prepared.key)
    real = dequantise(np.asarray(prepared.cache(job.part).image))
    rows = quality.evaluate(
        real,
        fake,
        modalities=prepared.spec.modalities,
        extractor=_extractor(Path(data.prepared_dir or default_dir) / "features"),
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


def _extractor(memory):
    """Inception, if its weights have been obtained."""
    found = quality.default_extractor()
    return found and RememberingInception(weights=found.weights, folder=memory)


def _synthetic(job, data, prepared, default_dir) -> Float[np.ndarray, "n h w c"]:
    """The synthetic images, in [-1, 1]; none of them learnt from who is tested."""
    if job.export:
        folder = Path(job.export)
        if job.part == "test":
            check_lineages(folder, tested_patients(prepared))
        made = synthetic.of_export(folder, data, default_dir)
        return dequantise(np.asarray(made.cache("train").image))
    generator = Generator.load(job.generator)
    check_fits(generator, prepared)
    if job.part == "test":
        check_no_leak(generator, prepared)
    labels = np.asarray(prepared.cache(job.part).label)
    return generator.generate(labels, seed=job.seed, normalised=True)


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
