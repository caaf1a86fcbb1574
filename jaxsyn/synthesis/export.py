"""Synthetic cases as files that other tools read.

Every file is whole or absent. A case counts as written once its lineage is there, which
is written last. A finished export has a manifest of SHA-256 (see `integrity`).
"""

from collections.abc import Mapping, Sequence
import csv
import dataclasses
import io
import json
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from jaxsyn import integrity, settings, storage
from jaxsyn.data import nifti
from jaxsyn.data.cases import TISSUE_OFFSET
from jaxsyn.data.prepared import PreparedSet
from jaxsyn.data.sources import Source
from jaxsyn.errors import DataError, UsageError
from jaxsyn.spec import DataSpec
from jaxsyn.synthesis import nnunet, sheet
from jaxsyn.synthesis.cases import SyntheticCase, image_volumes, label_volume
from jaxsyn.workdir import LOCK

MANIFEST = "manifest.json"
TABLE = "cases.csv"
_MADE_AGAIN = (
    "Delete that file and the case's in `lineage`, and run the synthesis job again:"
    " it makes what is missing."
)
_WHOLE_LEVELS = 1000  # From this range on, intensities are rounded as scanners do.


class Format(Protocol):
    """Where the volumes of a case go, and what its label values are.

    Attributes:
      root: The folder of all of them.
    """

    root: Path

    def images(self, name: str) -> list[Path]:
        """A case's images' files, by modality."""

    def labels(self, name: str) -> list[tuple[Path, np.ndarray]]:
        """Its label files, each with the value of every index, uint8."""

    def finish(
        self,
        prepared: PreparedSet,
        source: Source,
        source_dir: Path,
        synthetic: Sequence[str],
    ) -> None:
        """Adds what there is once for all cases; see `nnunet.RawDataset.finish`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Folders:
    """A folder a case, a file a modality, as BraTS has them.

    Attributes:
      root: Where the folders are.
      spec: What the arrays mean.
      own_values: Whether label files hold the data set's own values, as `brats` does:
        without derived labels, and with tissues in a file of their own. Else one holds
        indices of the label table, and beside the folders are a table of all cases and
        of the labels, for the source `table`.
    """

    root: Path
    spec: DataSpec
    own_values: bool

    def images(self, name: str) -> list[Path]:
        """A case's images' files, by modality."""
        return [self._file(name, modality) for modality in self.spec.modalities]

    def labels(self, name: str) -> list[tuple[Path, np.ndarray]]:
        """Its label files, each with the value of every index, uint8."""
        if not self.own_values:
            indices = np.arange(len(self.spec.labels), dtype=np.uint8)
            return [(self._file(name, "seg"), indices)]
        values = np.array([(*label.values, 0)[0] for label in self.spec.labels])
        tissue = np.array([label.tissue for label in self.spec.labels])
        found = [(self._file(name, "seg"), np.where(tissue, 0, values))]
        if tissue.any():
            tissues = np.where(tissue, values - TISSUE_OFFSET, 0)
            found.insert(0, (self._file(name, "tissues"), tissues))
        return [(path, nifti.as_labels(table)) for path, table in found]

    def finish(
        self,
        prepared: PreparedSet,
        source: Source,
        source_dir: Path,
        synthetic: Sequence[str],
    ) -> None:
        """Writes the tables, unless values are the data set's own."""
        if self.own_values:
            return
        rows = [["case", *self.spec.modalities, "label"]]
        for name in sorted(synthetic):
            files = [*self.images(name), self._file(name, "seg")]
            rows.append([name, *(str(file.relative_to(self.root)) for file in files)])
        names = {name: index for index, name in enumerate(self.spec.label_names)}
        with storage.writing(self.root):
            storage.write_json(
                self.root / "jaxsyn.json", {"labels": names, "foreground": None}
            )
            with storage.whole_file(self.root / TABLE) as file:
                lines = io.StringIO()
                csv.writer(lines, lineterminator="\n").writerows(rows)
                file.write(lines.getvalue().encode())

    def _file(self, name, what):
        return self.root / name / f"{name}_{what}.nii.gz"


class Exporter:
    """Writes cases, and keeps account of them.

    Attributes:
      done: Lineages of the cases that are there, by name; with "failed", the reason,
        of those that could not be made.
    """

    def __init__(
        self, folder: Path, layout: Format, spec: DataSpec, *, stripped: bool = True
    ):
        """Goes on in a folder that an earlier call began, or begins one.

        Args:
          folder: For lineages and contact sheets; the manifest is put into it.
          layout: Where volumes go.
          spec: What they mean.
          stripped: Whether the images are 0 outside the brain.

        Raises:
          DataError: A file of a finished export is damaged.
        """
        if integrity.has_manifest(folder):  # What is added would hide damage.
            integrity.check(folder, hint=_MADE_AGAIN, missing_ok=True)
            (folder / integrity.MANIFEST).unlink()
        self._folder, self._layout, self._spec = folder, layout, spec
        self._stripped = stripped
        self.done = {
            path.stem: json.loads(path.read_text())
            for path in sorted((folder / "lineage").glob("*.json"))
        }

    def write(self, case: SyntheticCase) -> None:
        """Writes a case's volumes, its contact sheet and its lineage.

        Raises:
          ResourceError: There is no room, or no permission.
        """
        affine, about = case.info.native_affine, "synthetic, made with jaxsyn"
        volumes = image_volumes(case, self._spec, stripped=self._stripped)
        for path, volume in zip(self._layout.images(case.name), volumes, strict=True):
            nifti.write(path, as_stored(volume), affine, description=about)
        label = label_volume(case)
        for path, values in self._layout.labels(case.name):
            nifti.write(path, values[label], affine, description=about)
        sheet.save_case(case, self._spec, self._folder / "sheets" / f"{case.name}.png")
        self.record(case.name, case.lineage)

    def record(self, name: str, lineage: Mapping[str, Any]) -> None:
        """Notes where a case comes from, or why there is none."""
        folder = self._folder / "lineage"
        with storage.writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            storage.write_json(folder / f"{name}.json", lineage)
        self.done[name] = dict(lineage)

    def finish(self, about: Mapping[str, Any]) -> Path:
        """Writes the manifest: what all cases share, and every case's lineage.

        All files are then hashed; those of volumes below the layout's first folder.
        """
        path = self._folder / MANIFEST
        volumes = self._layout.root.relative_to(self._folder).parts[0]
        with storage.writing(self._folder):
            storage.write_json(
                path, {**about, "cases": dict(sorted(self.done.items()))}
            )
            parts = (MANIFEST, "lineage", "sheets", volumes)
            integrity.write(self._folder, parts, remember=True)
        return path


def as_stored(volume: np.ndarray) -> np.ndarray:
    """Images as files hold them: int16 where the range is wide, else float32."""
    low, high = volume.min(), volume.max()
    fits = np.iinfo(np.int16).min <= low and high <= np.iinfo(np.int16).max
    if fits and high - low >= _WHOLE_LEVELS:
        return np.rint(volume).astype(np.int16)
    return volume.astype(np.float32)


def check_new(folder: Path) -> None:
    """Raises UsageError if a folder for an export holds something else."""
    if any(path.name != LOCK for path in folder.glob("*")):
        if not (folder / "config.json").exists():
            raise UsageError(
                f"{folder} is there already, and no export began it.",
                hint="Choose another --workdir: nothing in it would be overwritten.",
            )


def layout(
    name: str, workdir: Path, prepared: PreparedSet, dataset: Mapping[str, Any]
) -> Format:
    """The format called `name`, in a folder of the workdir; UsageError lists all."""
    if name == "nnunet":
        return nnunet.RawDataset.of(workdir, prepared, **dataset)
    if name not in ("nifti", "brats"):
        what = f"config.export.format={name!r}"
        raise settings.unknown(what, name, ["nifti", "brats", "nnunet"])
    return Folders(root=workdir / name, spec=prepared.spec, own_values=name == "brats")


def check_whole(folder: Path) -> None:
    """Raises DataError if a file of an export is damaged, missing or was added."""
    integrity.check(folder, hint=_MADE_AGAIN)


def check_lineages(folder: Path, patients: Sequence[str]) -> None:
    """Raises DataError if any of some patients is behind an export's cases.

    Args:
      folder: Of the export, with its manifest.
      patients: Who must not be.
    """
    check_whole(folder)
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise DataError(
            f"{folder} is no finished export: {error}",
            hint="Name the workdir of a synthesis job that has ended.",
        ) from error
    behind = set(manifest["patients"])
    if seen := sorted(behind & set(patients)):
        raise DataError(
            f"{len(seen)} of the test patients are behind the synthetic cases in"
            f" {folder}: {', '.join(seen[:10])}.",
            hint="Synthesise with generators and label maps of training patients only.",
        )
