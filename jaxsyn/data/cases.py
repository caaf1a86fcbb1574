"""One case of a data set: which files it is made of, and its volumes.

Numpy only: this runs in worker processes, which start faster without JAX.
"""

from collections.abc import Mapping
import dataclasses
from pathlib import Path

from jaxtyping import Bool, Num, UInt8
import numpy as np
from scipy import ndimage

from jaxsyn.data import foregrounds, nifti
from jaxsyn.data import volumes as volume_files
from jaxsyn.data.native import Native
from jaxsyn.errors import DataError
from jaxsyn.spec import Label, encode_labels

# In label tables the values of a tissue map stand this much higher, so that they
# differ from those of lesions; entries of tissues are marked as such.
TISSUE_OFFSET = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageFile:
    """Where one volume is.

    Attributes:
      path: Of a kind that `volumes` reads.
      channel: Which volume of a 4-D file; None if the file is 3-D.
    """

    path: Path
    channel: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """The files of one examination of one patient.

    Attributes:
      name: Unique in the source.
      patient: Whose it is; a patient may have several cases.
      images: A file for each modality, in the order of the source's modalities;
        none if the source has label maps alone.
      label: The segmentation; None if there is none, as in cases yet to segment.
      label_tables: What its values may mean. The first table that has all values
        of the file holds; all of them agree in what an index means.
      tissues: A second label map, which holds where the segmentation is 0; in the
        tables its values are `TISSUE_OFFSET` higher than in the file.
      mask: Where it is not 0 is the brain, or whatever the images are of.
    """

    name: str
    patient: str
    images: Mapping[str, ImageFile]
    label: ImageFile | None
    label_tables: tuple[tuple[Label, ...], ...]
    tissues: ImageFile | None = None
    mask: ImageFile | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All files it is read from."""
        return tuple(dict.fromkeys(file.path for file in self.volumes))

    @property
    def volumes(self) -> tuple[ImageFile, ...]:
        """The images, and the label maps and the mask if there are any."""
        others = (self.label, self.tissues, self.mask)
        return (*self.images.values(), *filter(None, others))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Problem:
    """What looks like a case, and is none; to read it is an error.

    Attributes:
      name: Unique in the source.
      reason: Why it cannot be used.
      hint: What to do about it.
    """

    name: str
    reason: str
    hint: str = "Complete the case, or move it away."

    @property
    def patient(self) -> str:
        """Whose it is, as far as is known."""
        return self.name

    @property
    def files(self) -> tuple[Path, ...]:
        """None is read."""
        return ()


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class CaseVolumes:
    """The volumes of one case, all on one voxel grid; see `read_case`.

    Attributes:
      images: One volume for each modality, in the files' dtypes.
      label: Indices into the label table.
      brain: What the images are of, however it was found.
      foreground: That, and wherever there is a label.
      affine: From voxel indices to RAS+ millimetres.
      notes: What a person should know about the case, though it can be used.
      native: The files' own grid, if a step of the preparation has left it.
    """

    images: tuple[Num[np.ndarray, "x y z"], ...]
    label: UInt8[np.ndarray, "x y z"]
    brain: Bool[np.ndarray, "x y z"]
    affine: Num[np.ndarray, "4 4"]
    notes: tuple[str, ...] = ()
    native: Native | None = None

    @property
    def foreground(self) -> Bool[np.ndarray, "x y z"]:
        """See the attributes."""
        return self.brain | (self.label > 0)


def read_case(case: Case | Problem, foreground: str = "nonzero") -> CaseVolumes:
    """Reads and checks the files of a case.

    Where the brain has no label of its own it gets the nearest tissue if there is a
    tissue map, or else the table's derived label (the one without file values), if
    there is one. Lesion outside the brain is kept.

    Args:
      case: Its files. If a mask is among them, it is the brain.
      foreground: Or else the brain is found so; see `foregrounds.find`.

    Raises:
      DataError: A file is damaged or missing, lies on another grid than the first,
        is constant, or holds labels that no table has. Or it is a Problem.
    """
    if isinstance(case, Problem):
        raise DataError(case.reason, hint=case.hint)
    volumes = _read_files(case)
    images = tuple(_pick(volumes, file) for file in case.images.values())
    for modality, file in case.images.items():
        _check_contrast(_pick(volumes, file), f"{file.path} ({modality})")
    first = next(iter(volumes.values()))
    if case.mask:
        brain = _pick(volumes, case.mask) != 0
    else:
        brain = foregrounds.find(images, first.data.shape[:3], foreground)
    values = _pick(volumes, case.label) if case.label else np.zeros_like(brain)
    notes = _notes(values != 0, brain, case)
    if case.tissues:
        values = _add_tissues(values, _pick(volumes, case.tissues), brain, case)
    label = _label(values, case)
    unlabelled = brain & (label == 0)
    for index, meaning in enumerate(case.label_tables[0]):
        if not meaning.values:
            label[unlabelled] = index
    return CaseVolumes(
        images=images,
        label=label,
        brain=brain,
        affine=first.affine,
        notes=(
            *(f"{v.path.name}: {note}" for v in volumes.values() for note in v.notes),
            *notes,
        ),
    )


def _read_files(case):
    """The case's volumes by path: a file of several channels is read once."""
    volumes = {}
    for file in case.volumes:
        if file.path not in volumes:
            volume = volume_files.read(file.path, channels=file.channel is not None)
            _check_same_grid(next(iter(volumes.values()), volume), volume)
            volumes[file.path] = volume
    return volumes


def _pick(volumes, file):
    """The volume [X, Y, Z] of one modality or label."""
    data = volumes[file.path].data
    if file.channel is None:
        return data
    if file.channel >= data.shape[-1]:
        raise DataError(
            f"{file.path}: there is no channel {file.channel},"
            f" it has {data.shape[-1]}.",
            hint="The list of modalities does not belong to this file.",
        )
    return data[..., file.channel]


def _check_same_grid(first, other):
    shape, expected = other.data.shape[:3], first.data.shape[:3]
    if shape != expected:
        raise DataError(
            f"{other.path}: its shape is {shape}, that of {first.path.name}"
            f" is {expected}.",
            hint="All files of a case must be resampled to one grid.",
        )
    apart = nifti.distance_mm(first.affine, other.affine, shape)
    if apart > nifti.TOLERANCE_MM:
        raise DataError(
            f"{other.path}: its affine puts voxels up to {apart:.3g} mm away from where"
            f" that of {first.path.name} does.",
            hint="Resample it to the other's grid, or, if only its header is wrong,"
            " copy the other's affine.",
        )


def _check_contrast(image, where):
    low, high = image.min(), image.max()
    if low == high:
        raise DataError(
            f"{where}: all of its voxels are {low}.",
            hint="The image is empty: check how it was converted.",
        )


def _notes(lesion, brain, case):
    notes = []
    if case.label and not lesion.any():
        notes.append("there is no lesion")
    if case.images and (outside := np.count_nonzero(lesion & ~brain)):
        notes.append(f"{outside} lesion voxels lie outside the brain")
    return notes


def _add_tissues(values, tissues, brain, case):
    """The segmentation's values, and around the lesion those of the tissues."""
    there = tissues != 0
    # The offset leads beyond 8 bits.
    tissues = tissues.astype(np.result_type(tissues, np.int16))
    if not there.any():
        raise DataError(
            f"{case.tissues.path}: there is no tissue in it.",
            hint="Delete it, and write it again: python -m jaxsyn.data.tissues DIR",
        )
    merged = np.where(values != 0, values, tissues + there * np.uint8(TISSUE_OFFSET))
    missing = brain & (merged == 0)
    if missing.any():
        nearest = ndimage.distance_transform_edt(
            ~there, return_distances=False, return_indices=True
        )
        merged[missing] = tissues[tuple(nearest[:, missing])] + np.uint8(TISSUE_OFFSET)
    return merged


def _label(values, case):
    """Encodes the label files' values as indices."""
    where = " with ".join(str(file.path) for file in (case.label, case.tissues) if file)
    # Most voxels are 0; taken in the file's order, the others are found fast.
    flat, errors = values.ravel("F"), []
    inside = flat != 0
    for table in case.label_tables:
        try:
            indices = encode_labels(flat[inside], table, where)
        except DataError as error:
            errors.append(error)
        else:
            label = np.zeros(flat.shape, np.uint8)
            label[inside] = indices
            return label.reshape(values.shape, order="F")
    hint = " Or: ".join(error.hint for error in errors)
    raise DataError(errors[0].args[0], hint=hint) from errors[0]
