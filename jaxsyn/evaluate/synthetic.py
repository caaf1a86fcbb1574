"""The synthetic cases a judge trains on: label maps of training cases, rendered."""

from collections.abc import Iterator
import dataclasses
import hashlib
import itertools
import json
import logging
from pathlib import Path
import zlib

import jax
import numpy as np
from tqdm import tqdm

from jaxsyn import settings, storage
from jaxsyn.data import cache as cache_lib
from jaxsyn.data import prepare, sources
from jaxsyn.data.augment import PRESETS
from jaxsyn.data.cache import Cache
from jaxsyn.data.feed import DataSettings
from jaxsyn.data.prepared import PreparedSet
from jaxsyn.data.preprocess import quantise
from jaxsyn.data.splits import in_drawn_order
from jaxsyn.errors import UsageError
from jaxsyn.synthesis.export import TABLE, check_whole
from jaxsyn.synthesis.generator import Generator

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SyntheticSettings:
    """How synthetic cases are made.

    Attributes:
      seed: Which ones.
      warp: One of `augment.PRESETS`, whose flips and warps change the label maps
        before they are rendered, so that anatomies differ; `none` keeps them.
      export: The workdir of a synthesis job, in the format `brats` or `nifti`, whose
        cases are taken instead.
      dir: Where rendered sets are put, for judges that share them; by default each
        judge has its own, in its workdir.
    """

    seed: int = 0
    warp: str = "classical"
    export: str = ""
    dir: str = ""

    def __post_init__(self):
        if self.warp not in PRESETS:
            what = f"config.synthetic.warp={self.warp!r}"
            raise settings.unknown(what, self.warp, list(PRESETS))


def make(
    generator: Generator,
    prepared: PreparedSet,
    options: SyntheticSettings,
    copies: int,
    out_dir: Path,
    *,
    whole_cases: bool = False,
) -> list[Cache]:
    """Renders the label maps of the training cases, or opens what was rendered.

    Args:
      generator: Who renders.
      prepared: Whose label maps.
      options: How.
      copies: How often each label map is rendered, each time warped another way.
      out_dir: Copies are put here, each in a folder of its own.
      whole_cases: Whether all slices of a case are warped alike, as volumes need it.

    Returns:
      The copies. The cases of each are in an order drawn at random, so that the first
      part of it is a fair sample.
    """
    source, size = prepared.cache("train"), prepared.spec.image_size
    fingerprint = generator.fingerprint
    made = []
    for copy in range(copies):
        key = {
            "seed": options.seed,
            "warp": options.warp,
            "generator": fingerprint,
            "labels": prepared.key,
            "copy": copy,
            "whole_cases": whole_cases,
        }
        name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]
        folder = out_dir / f"synthetic-{name}"
        with storage.writing(out_dir):
            out_dir.mkdir(parents=True, exist_ok=True)
            with storage.lock(out_dir / f".{folder.name}.lock"):
                if not folder.exists():
                    _LOG.info("Rendering %d synthetic slices.", len(source))
                    cache_lib.write(
                        folder,
                        _examples(generator, source, options, copy, whole_cases),
                        count=len(source),
                        image_size=size,
                        channels=len(prepared.spec.modalities),
                    )
        made.append(Cache.open(folder))
    return made


def of_export(folder: Path, data: DataSettings, out_dir: Path) -> PreparedSet:
    """Prepares the cases of a synthesis job as the real ones are.

    Args:
      folder: The job's workdir.
      data: How the real ones are prepared.
      out_dir: Prepared sets are put here.

    Raises:
      DataError: A file of it is damaged.
      UsageError: It has no cases in the format `brats` or `nifti`.
    """
    cases, source = folder / "brats", data.source
    if (folder / "nifti" / TABLE).exists():
        cases, source = folder / "nifti", "table"
    if not cases.is_dir():
        raise UsageError(
            f"There is no folder {cases}.",
            hint="Name the workdir of a synthesis job with config.export.format=nifti,"
            " or brats.",
        )
    check_whole(folder)
    everything = dataclasses.replace(
        data.prepare, fractions=(1.0, 0.0, 0.0), split="patient", split_file=""
    )
    return prepare.prepare(
        sources.load(source),
        cases,
        everything,
        out_dir=out_dir,
        jobs=data.jobs or None,
    )


def _examples(generator, source, options, copy, whole_cases) -> Iterator[dict]:
    """Yields the slices of a copy, case by case."""
    cases = {
        case: list(group)
        for case, group in itertools.groupby(
            range(len(source)), key=lambda i: source.rows[i][0]
        )
    }
    with tqdm(total=len(source), desc="Rendering", unit="slice") as progress:
        for case in in_drawn_order(cases, f"{options.seed}/{copy}"):
            # The same for every case and copy: what is drawn depends on both.
            seed = zlib.crc32(f"{options.seed}/{copy}/{case}".encode()) >> 1
            labels = np.asarray(source.label[cases[case]])
            labels = _warped(labels, PRESETS[options.warp], seed, whole_cases)
            images = generator.generate(labels, seed=seed, normalised=True)
            for i, row in enumerate(cases[case]):
                yield {
                    "image": quantise(images[i]),
                    "label": labels[i],
                    "case": f"syn{copy}_{case}".encode(),
                    "slice": source.rows[row][1],
                }
            progress.update(len(labels))


def _warped(labels, augment, seed, whole_case, batch_size=16):
    """Changes label maps [N, H, W], each by itself or all alike."""
    if not (augment.warps or augment.flip or augment.flip_vertical):
        return labels
    key = jax.random.key(seed)
    keys = jax.random.split(key, len(labels))
    if whole_case:
        keys = jax.numpy.broadcast_to(key, keys.shape)
    made = []
    for start in range(0, len(labels), batch_size):
        chunk = labels[start : start + batch_size]
        filled = np.zeros((batch_size, *labels.shape[1:]), np.uint8)
        filled[: len(chunk)] = chunk
        chosen = keys[np.minimum(np.arange(start, start + batch_size), len(keys) - 1)]
        made.append(np.asarray(_warp(filled, chosen, augment))[: len(chunk)])
    return np.concatenate(made)


@jax.jit(static_argnums=2)
def _warp(labels, keys, augment):
    def one(label, key):
        blank = jax.numpy.zeros((1, *label.shape, 1))
        return augment.apply(blank, label[None], key)[1][0]

    return jax.vmap(one)(labels, keys)
