"""A prepared set on disk. Reading one needs neither TensorFlow nor JAX.

Its folder holds:
- manifest.json: what it was made of and how, and where each slice came from;
- split.json: which patients are in train, validation and test;
- records/: the slices, a TFDS data set (see `builders`);
- cache/PART/: the same as plain arrays (see `cache`), which may be deleted;
- sha256.json, in it and in each cache: the hashes of these files (see `integrity`).
"""

from collections.abc import Mapping
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from jaxsyn import integrity, storage
from jaxsyn.data import cache as cache_lib
from jaxsyn.data import splits, subset
from jaxsyn.data.preprocess import CaseInfo
from jaxsyn.errors import DataError
from jaxsyn.spec import DataSpec

MANIFEST = "manifest.json"
PARTS = (MANIFEST, "split.json", "records")  # What is hashed; caches are apart.


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class PreparedSet:
    """What `prepare` left.

    Attributes:
      path: Its folder.
      key: Hash of sources and settings; of `of_patients`, their number too.
      spec: What its arrays mean.
      counts: Slices in each part, of all its patients.
      cases: How each case was prepared, by name.
      refused: The cases that were left out, and why.
      split: Which patients (or slices) are in which part.
      settings: The settings it was made with, as in the manifest.
      patients: How many training patients it is limited to; 0: all there are.
    """

    path: Path
    key: str
    spec: DataSpec
    counts: Mapping[str, int]
    cases: Mapping[str, CaseInfo]
    refused: Mapping[str, str]
    split: splits.Split
    settings: Mapping[str, Any]
    patients: int = 0

    @classmethod
    def open(cls, path: str | Path) -> "PreparedSet":
        """Opens a finished set, after checking its files as `integrity.check` does.

        Raises:
          DataError: There is none, a file of it is damaged, or its division was
            changed by hand.
        """
        path = Path(path)
        integrity.check(
            path,
            hint="Delete the set; it will be prepared again. To use another division,"
            " name its file in the settings.",
        )
        try:
            manifest = json.loads((path / MANIFEST).read_text())
        except (OSError, ValueError) as error:
            raise DataError(
                f"{path} is no prepared set: {error}",
                hint="Prepare it from its source first.",
            ) from error
        split = splits.Split.load(path / "split.json")
        if split.sha256 != manifest["split_sha256"]:
            raise DataError(
                f"{path / 'split.json'} is not the division this set was made with.",
                hint="To use another division, name its file in the settings.",
            )
        cases = map(CaseInfo.from_json, manifest["cases"])
        return cls(
            path=path,
            key=manifest["key"],
            spec=DataSpec.from_json(manifest["spec"]),
            counts=manifest["counts"],
            cases={info.case: info for info in cases},
            refused=manifest["refused"],
            split=split,
            settings=manifest["settings"],
        )

    @property
    def patient_of(self) -> dict[str, str]:
        """Whose each case is."""
        return {name: info.patient for name, info in self.cases.items()}

    def of_patients(self, count: int) -> "PreparedSet":
        """The same set as if so many of its training patients were all there are.

        Args:
          count: Of patients; those of a small number are among those of any larger.
            Below 1: all.

        Raises:
          DataError: There are not so many.
        """
        if count < 1:
            return self
        limited = dataclasses.replace(self, key=f"{self.key}-{count}", patients=count)
        rows = limited.cache("train").rows
        if self.split.unit == "slice":
            names = {splits.slice_name(case, index) for case, index in rows}
        else:
            names = {self.cases[case].patient for case, _ in rows}
        parts = {**self.split.parts, "train": tuple(sorted(names))}
        split = dataclasses.replace(self.split, parts=parts)
        return dataclasses.replace(limited, split=split)

    def cache(
        self, part: str, *, in_memory: bool = False
    ) -> cache_lib.Cache | subset.Subset:
        """Opens a part's arrays, after making them if they were deleted.

        Raises:
          DataError: The part is empty or unknown, or the files are damaged.
        """
        if not self.counts.get(part):
            filled = ", ".join(name for name, count in self.counts.items() if count)
            raise DataError(
                f"{self.path} has no slices in {part!r}.",
                hint=f"It has some in: {filled}.",
            )
        self._write_cache(part)
        folder = self.path / "cache" / part
        whole = cache_lib.Cache.open(folder, in_memory=in_memory)
        if part != "train" or not self.patients:
            return whole
        kept = subset.of_patients(whole.rows, self.patient_of, self.patients)
        return subset.Subset(whole, np.array(kept))

    def write_caches(self) -> None:
        """Makes the arrays of all parts that have none yet."""
        for part, count in self.counts.items():
            if count:
                self._write_cache(part)

    def _write_cache(self, part):
        """Copies a part from the records to plain arrays."""
        if (self.path / "cache" / part).exists():
            return
        from jaxsyn.data import builders  # Only here: TFDS takes long to import.

        folder = self.path / "cache"
        with (
            storage.writing(folder),
            tqdm(
                builders.read(self.path / "records", part),
                total=self.counts[part],
                desc=f"Caching {part}",
                unit="slice",
            ) as examples,
        ):
            cache_lib.write(
                folder / part,
                iter(examples),
                count=self.counts[part],
                image_size=self.spec.image_size,
                channels=len(self.spec.modalities),
            )
