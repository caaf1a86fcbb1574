"""From the data part of a configuration to batches for the training loop."""

from collections.abc import Iterator, Mapping, Sequence
import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxsyn import settings
from jaxsyn.data import device, pipeline, prepare, sources
from jaxsyn.data.augment import NONE, Augment
from jaxsyn.data.blocks import Blocks
from jaxsyn.data.cache import Cache
from jaxsyn.data.phantom import write_phantom
from jaxsyn.data.prepared import PreparedSet
from jaxsyn.data.preprocess import PrepareSettings
from jaxsyn.data.subset import Subset, holding
from jaxsyn.spec import DataSpec

CACHES = ("memory", "mmap", "device")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhantomSettings:
    """The data set that stands in where no folder is given.

    Attributes:
      patients: How many; 0 for no phantom.
      kind: Of `phantom.write_phantom`: `tumour`, `healthy`, `stroke-dwi` or
        `stroke-ctp`, in the folders of BraTS and ISLES.
      seed: Which ones.
      shape: Voxels of a volume.
      spacing_mm: Side of a voxel.
    """

    patients: int = 0
    kind: str = "tumour"
    seed: int = 0
    shape: tuple[int, int, int] = (240, 240, 155)
    spacing_mm: float = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataSettings:
    """The data part of a configuration; configs/common.py explains its keys."""

    source: str
    source_dir: str = ""
    prepared_dir: str = ""
    on_bad_case: str = "error"
    cache: str = "memory"
    jobs: int = 0
    beam: str = ""
    holding: Sequence[str] = ()
    patients: int = 0
    prepare: PrepareSettings = PrepareSettings()
    augment: Augment = Augment()
    phantom: PhantomSettings = PhantomSettings()

    def __post_init__(self):
        if self.cache not in CACHES:
            raise settings.unknown(
                f"config.data.cache={self.cache!r}", self.cache, list(CACHES)
            )

    @classmethod
    def from_config(
        cls, values: Mapping[str, Any], where: str = "config.data"
    ) -> "DataSettings":
        """Reads nested dictionaries, that part of the configuration.

        Raises:
          UsageError: A key is unknown, or a value makes no sense.
        """
        parts = {
            "prepare": PrepareSettings,
            "augment": Augment,
            "phantom": PhantomSettings,
        }
        built = {
            name: settings.build(part, values.get(name, {}), f"{where}.{name}")
            for name, part in parts.items()
        }
        rest = {key: value for key, value in values.items() if key not in parts}
        return settings.build(cls, rest, where, **built)

    def open(self, default_dir: Path) -> PreparedSet:
        """Prepares the set, or opens it, and limits it to the patients asked for.

        Args:
          default_dir: Where prepared sets are put if `prepared_dir` is empty.

        Raises:
          DataError: The source folder is missing, a case cannot be used, or there are
            fewer training patients than `patients`.
        """
        return self._open(Path(self.prepared_dir or default_dir)).of_patients(
            self.patients
        )

    def find_source_dir(self, out_dir: Path) -> Path | str:
        """The folder of cases; the phantom's, written there if it is not, if none."""
        if self.source_dir or not self.phantom.patients:
            return self.source_dir
        return self._write_phantom(Path(self.prepared_dir or out_dir))

    def slices_of(
        self, prepared: PreparedSet, part: str, depth: int = 0, *, in_memory=False
    ) -> Cache | Blocks | Subset:
        """A part's slices, or volumes, of those that hold what they should.

        Args:
          prepared: The set.
          part: Of it.
          depth: Slices of a volume; 0 for slices alone.
          in_memory: Read them now, rather than as they are used.

        Raises:
          DataError: None of them holds what all should hold.
        """
        slices = prepared.cache(part, in_memory=in_memory)
        if depth:
            slices = Blocks(slices, depth)
        return holding(slices, prepared.spec, self.holding) if self.holding else slices

    def _open(self, out_dir):
        if (out_dir / "manifest.json").exists():  # A prepared set itself.
            return PreparedSet.open(out_dir)
        return prepare.prepare(
            sources.load(self.source),
            self.find_source_dir(out_dir),
            self.prepare,
            out_dir=out_dir,
            jobs=self.jobs or None,
            beam=self.beam,
            on_bad_case=self.on_bad_case,
        )

    def _write_phantom(self, out_dir):
        phantom = self.phantom
        shape = "x".join(map(str, phantom.shape))
        kind = "" if phantom.kind == "tumour" else f"{phantom.kind}-"
        name = f"phantom-{kind}{phantom.patients}-{shape}-{phantom.seed}"
        folder = out_dir / name
        write_phantom(
            folder,
            patients=phantom.patients,
            kind=phantom.kind,
            seed=phantom.seed,
            shape=phantom.shape,
            spacing_mm=phantom.spacing_mm,
            jobs=self.jobs,
        )
        return folder


class Feed:
    """Slices or volumes as batches: a function of the seed and the step.

    Attributes:
      resident: With `cache="device"`, the slices themselves; empty otherwise.
    """

    def __init__(
        self,
        cache: Cache | Blocks | Subset,
        spec: DataSpec,
        *,
        seed: int,
        resides: bool = False,
        augment: Augment = NONE,
        replicated: jax.sharding.Sharding | None = None,
    ):
        """Takes what is to be fed.

        Args:
          cache: Slices, or blocks of them, or some of these.
          spec: What they mean.
          seed: Which order.
          resides: Whether slices are put on the accelerators once, all of them.
          augment: How slices are changed.
          replicated: Where resident slices go.
        """
        self._cache, self._spec = cache, spec
        self._seed, self._augment = seed, augment
        self._resides = resides
        self.resident = device.put(cache, replicated) if resides else {}

    def __len__(self) -> int:
        return len(self._cache)

    def batches(self, start_step: int, batch_size: int) -> Iterator[Any]:
        """Yields this process's part of each raw batch from `start_step` on."""
        place = {
            "batch_size": batch_size,
            "seed": self._seed,
            "process_index": jax.process_index(),
            "process_count": jax.process_count(),
        }
        if not self._resides:
            return pipeline.batches(self._cache, start_step=start_step, **place)
        return self._rows(start_step, place)

    def prepare(self, raw: Any, resident: Any, key: jax.Array) -> device.Batch:
        """Makes the batch that systems see; runs inside `jit`."""
        stored = device.gather(resident, raw["row"]) if self._resides else raw
        batch = device.features(
            stored["image"], stored["label"], self._spec, key, self._augment
        )
        return {**batch, "position": stored["position"]}

    def _rows(self, step, place):
        while True:
            rows = pipeline.local_rows(len(self._cache), step, **place)
            yield {"row": rows.astype(np.int32)}
            step += 1
