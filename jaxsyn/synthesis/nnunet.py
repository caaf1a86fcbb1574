"""nnU-Net's raw data set, version 2: real cases, and synthetic ones to train on.

The layout is that of https://github.com/MIC-DKFZ/nnUNet, documentation/
dataset_format.md. Synthetic cases are in the training part of the one split there is;
validation cases are real, and none of them is behind a synthetic case, if the part
that generators were trained on is kept.
"""

from collections.abc import Sequence
import dataclasses
from pathlib import Path

import numpy as np
from tqdm import tqdm

from jaxsyn import storage
from jaxsyn.data import nifti
from jaxsyn.data.prepared import PreparedSet
from jaxsyn.data.sources import Source
from jaxsyn.errors import UsageError
from jaxsyn.spec import DataSpec

SPLITS = "splits_final.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class RawDataset:
    """A raw data set's folder.

    Attributes:
      root: `nnUNet_raw/DatasetNNN_NAME`.
      spec: What the arrays mean; derived labels become background.
    """

    root: Path
    spec: DataSpec

    @classmethod
    def of(
        cls,
        workdir: Path,
        prepared: PreparedSet,
        *,
        number: int = 501,
        name: str = "Synthetic",
    ) -> "RawDataset":
        """The data set with a number, 1 to 999, and a name, in a workdir.

        Raises:
          UsageError: nnU-Net would not take number or name; or the real cases are
            divided by slice, not by patient.
        """
        if prepared.split.unit != "patient":
            raise UsageError(
                "The data are divided by slice: no case is in one part alone.",
                hint="Set config.data.prepare.split=patient.",
            )
        if not 0 < number < 1000 or not name.isalnum():
            raise UsageError(
                f"config.export.dataset has number={number} and name={name!r}.",
                hint="The number is 1 to 999; the name has letters and digits only.",
            )
        root = workdir / "nnUNet_raw" / f"Dataset{number:03d}_{name}"
        return cls(root=root, spec=prepared.spec)

    def images(self, name: str, part: str = "Tr") -> list[Path]:
        """A case's images' files, by modality."""
        folder = self.root / f"images{part}"
        count = len(self.spec.modalities)
        return [folder / f"{name}_{channel:04d}.nii.gz" for channel in range(count)]

    def labels(self, name: str, part: str = "Tr") -> list[tuple[Path, np.ndarray]]:
        """Its label file, with the value of every index, without gaps, uint8."""
        values = np.array(self.spec.class_of_label, np.uint8)
        return [(self.root / f"labels{part}" / f"{name}.nii.gz", values)]

    def finish(
        self,
        prepared: PreparedSet,
        source: Source,
        source_dir: Path,
        synthetic: Sequence[str],
    ) -> None:
        """Adds the real cases, dataset.json and splits_final.json.

        Args:
          prepared: Whose division decides who is trained on, who validates, and who is
            tested (imagesTs, labelsTs).
          source: The kind of folder that its cases are in.
          source_dir: The folder.
          synthetic: Names of the synthetic cases.
        """
        parts = {
            name: prepared.split.part_of.get(info.patient)
            for name, info in prepared.cases.items()
        }
        cases = {case.name: case for case in source.find_cases(source_dir)}
        known = {name: part for name, part in parts.items() if part and name in cases}
        for name, part in tqdm(known.items(), desc="Real cases", unit="case"):
            self._write_real(name, part, source, cases[name])
        train, validation = (
            sorted(name for name, part in known.items() if part == wanted)
            for wanted in ("train", "validation")
        )
        self._write_json(len(train) + len(validation) + len(synthetic))
        split = {"train": [*train, *sorted(synthetic)], "val": validation}
        # nnU-Net reads it from the preprocessed folder, beside its plans.
        folder = self.root.parents[1] / "nnUNet_preprocessed" / self.root.name
        with storage.writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            storage.write_json(folder / SPLITS, [split])
            storage.write_json(self.root / SPLITS, [split])

    def _write_real(self, name, part, source, case):
        part = "Ts" if part == "test" else "Tr"
        ((label, values),) = self.labels(name, part)
        if label.exists():  # Written last.
            return
        volumes = source.read_case(case)
        for path, image in zip(self.images(name, part), volumes.images, strict=True):
            nifti.write(path, _writable(image), volumes.affine)
        nifti.write(label, values[volumes.label], volumes.affine)

    def _write_json(self, cases):
        labels = {
            self.spec.labels[index].name: place
            for place, index in enumerate(self.spec.classes)
        }
        storage.write_json(
            self.root / "dataset.json",
            {
                "channel_names": {
                    str(i): name for i, name in enumerate(self.spec.modalities)
                },
                "labels": labels,
                "numTraining": cases,
                "file_ending": ".nii.gz",
            },
        )


def _writable(image):
    """An image in a dtype that is written without loss where there is one."""
    if image.dtype.name in ("uint8", "int16", "float32"):
        return image
    whole = np.issubdtype(image.dtype, np.integer)
    if whole and image.min() >= -(2**15) and image.max() < 2**15:
        return image.astype(np.int16)
    return image.astype(np.float32)
