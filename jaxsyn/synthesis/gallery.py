"""One picture: the same label maps, drawn by several trained generators."""

from collections.abc import Mapping
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from jaxsyn import pictures, settings
from jaxsyn import workdir as workdir_lib
from jaxsyn.data.feed import DataSettings
from jaxsyn.data.preprocess import dequantise
from jaxsyn.errors import UsageError
from jaxsyn.samples import telling_slices
from jaxsyn.synthesis.fitting import check_fits, check_no_leak
from jaxsyn.synthesis.generator import Generator


@dataclasses.dataclass(frozen=True, kw_only=True)
class GalleryConfig:
    """Who draws what.

    Attributes:
      job: `gallery`.
      generators: A folder whose sub-folders are workdirs of trainings.
      data: The real data, prepared as for the trainings.
      part: Whose label maps: `test`, whose patients no generator may have seen, or
        another part.
      count: How many label maps.
      modality: Which of the images' channels is shown.
      seed: Which synthetic images.
    """

    job: str
    generators: str
    data: Mapping[str, Any]
    part: str = "test"
    count: int = 10
    modality: str = "flair"
    seed: int = 0


def run(config: Any, workdir: Path) -> None:
    """Draws, and saves gallery.png in `workdir`.

    Args:
      config: A `ConfigDict` as in configs/gallery.py.
      workdir: Where the picture goes.

    Raises:
      JaxsynError: One of its kinds, for all that a user can mend.
    """
    config = config.to_dict()
    job = settings.build(GalleryConfig, config, "config")
    data = DataSettings.from_config(job.data)
    generators = _load_all(Path(job.generators))
    channel = _channel(next(iter(generators.values())).spec, job.modality)
    workdir_lib.check(workdir, config)
    prepared = data.open(workdir.parent / "prepared")
    workdir_lib.claim(workdir, config, data=prepared.key)
    for generator in generators.values():
        check_fits(generator, prepared)
        if job.part == "test":
            check_no_leak(generator, prepared)
    cache = prepared.cache(job.part)
    chosen = telling_slices(cache.label, [case for case, _ in cache.rows], job.count)
    labels = np.asarray(cache.label[chosen])
    columns = {"labels": list(pictures.colour_labels(labels, prepared.spec.labels))}
    for name, generator in generators.items():
        made = generator.generate(labels, seed=job.seed, normalised=True)
        columns[name] = [pictures.grey(image) for image in made[..., channel]]
    real = dequantise(np.asarray(cache.image[chosen]))[..., channel]
    columns[f"real {job.modality}"] = [pictures.grey(image) for image in real]
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    path = pictures.save(pictures.grid(rows, [*columns]), workdir / "gallery.png")
    print(f"{len(chosen)} label maps by {len(generators)} generators: {path}")


def _load_all(folder):
    """The generators of images in a folder of workdirs, by the workdirs' names."""
    found = sorted(path.parent for path in folder.glob("*/checkpoints"))
    generators = {path.name: Generator.load(path) for path in found}
    chosen = {name: g for name, g in generators.items() if not g.makes_labels}
    if not chosen:
        raise UsageError(
            f"config.generators={str(folder)!r} holds no training of a generator that"
            " makes images of label maps.",
            hint="Name the folder in which their workdirs are:"
            " --config.generators=runs/gallery",
        )
    return chosen


def _channel(spec, modality):
    if modality not in spec.modalities:
        what = f"config.modality={modality!r}"
        raise settings.unknown(what, modality, list(spec.modalities))
    return spec.modalities.index(modality)
