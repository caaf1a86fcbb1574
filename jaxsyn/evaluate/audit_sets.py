"""What an audit compares: training patients, unseen patients and synthetic images.

Patients and images have numbers here, and no names.
"""

from collections.abc import Callable, Collection, Sequence
import dataclasses
import json
from pathlib import Path

from jaxtyping import Bool, Float, Int
import numpy as np

from jaxsyn.data.feed import DataSettings
from jaxsyn.data.prepared import PreparedSet
from jaxsyn.data.preprocess import dequantise, quantise
from jaxsyn.data.splits import slice_name
from jaxsyn.errors import DataError
from jaxsyn.evaluate import synthetic
from jaxsyn.spec import DataSpec
from jaxsyn.synthesis.export import MANIFEST
from jaxsyn.synthesis.generator import Generator

PARTS = ("train", "validation", "test")
TRAINING, UNSEEN = "training", "unseen"  # Whose label map an image was made of.
_BATCH = 64  # Label maps that are rendered at a time.

View = Callable[[np.ndarray, np.ndarray], np.ndarray]
Numbers = Int[np.ndarray, " n"]


@dataclasses.dataclass(frozen=True, eq=False)
class Slices:
    """Slices of several parts, made where they are indexed.

    Attributes:
      places: The cache and the row of each.
      patients: Whose each is: numbers from 0 on.
      view: Of quantised images and of label maps, what is compared.
    """

    places: Sequence[tuple]
    patients: Numbers
    view: View

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, chosen) -> Float[np.ndarray, "n h w c"]:
        places = [self.places[i] for i in np.arange(len(self))[chosen]]
        images = np.stack([np.asarray(cache.image[row]) for cache, row in places])
        return self.view(images, self.labels(chosen))

    def labels(self, chosen) -> Int[np.ndarray, "n h w"]:
        """Label maps, of indices."""
        places = [self.places[i] for i in np.arange(len(self))[chosen]]
        return np.stack([np.asarray(cache.label[row]) for cache, row in places])

    def take(self, chosen: Numbers) -> "Slices":
        """Some of them."""
        places = [self.places[i] for i in chosen]
        return Slices(places, self.patients[chosen], self.view)

    def spread(self, patients: int, slices: int, seed: int = 0) -> "Slices":
        """So many patients, drawn at random, each with so many slices, evenly taken."""
        every = np.random.default_rng(seed).permutation(np.unique(self.patients))
        chosen = []
        for patient in sorted(every[:patients]):
            rows = np.flatnonzero(self.patients == patient)
            inner = np.linspace(0, len(rows) - 1, min(slices, len(rows)))
            chosen.append(rows[np.rint(inner).astype(int)])
        return self.take(np.concatenate(chosen))


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Synthetic:
    """Synthetic images.

    Attributes:
      stored: Quantised images, or label maps, as `view` takes them.
      view: What is compared.
      groups: Numbers of images that resemble each other as slices of a patient do.
      origins: Whose label map each was made of: `TRAINING`, `UNSEEN` or nothing.
      real: The slices that the label maps belong to, or nothing.
    """

    stored: np.ndarray
    view: Callable[[np.ndarray], np.ndarray]
    groups: Numbers
    origins: Sequence[str]
    real: Slices | None = None

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, chosen) -> Float[np.ndarray, "n h w c"]:
        return self.view(self.stored[chosen])

    @property
    def own(self) -> Numbers:
        """The training patient whose label map was given; -1: none."""
        if self.real is None:
            return np.full(len(self), -1)
        return np.where(self.made_of(TRAINING), self.real.patients, -1)

    def made_of(self, origin: str) -> Bool[np.ndarray, " n"]:
        """Which are of that origin."""
        return np.array([found == origin for found in self.origins])


def of_images(stored: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """The view of images, in [-1, 1]."""
    return dequantise(stored)


def of_labels(spec: DataSpec) -> View:
    """The view of label maps: a channel a label, 0 or 1."""
    one_hot = np.eye(len(spec.labels), dtype=np.float32)

    def view(images, labels=None):
        return one_hot[images if labels is None else labels]

    return view


def divide(
    prepared: PreparedSet, names: Collection[str], view: View
) -> tuple[Slices, Slices]:
    """Slices that a generator has seen, and those of patients it has not.

    Args:
      prepared: The set.
      names: Of the patients, or slices, that it has seen.
      view: What is compared.

    Raises:
      DataError: Some of those seen, or all others, are not in the set, or only one
        patient was seen.
    """
    wanted, found, rows = set(names), set(), []
    for part in PARTS:
        if prepared.counts.get(part):
            cache = prepared.cache(part)
            for i, (case, index) in enumerate(cache.rows):
                patient = prepared.patient_of[case]
                known = wanted & {patient, slice_name(case, index)}
                found |= known
                rows.append((cache, i, patient, bool(known)))
    if wanted - found or not wanted:
        raise DataError(
            f"{len(wanted - found)} of {len(wanted)} training patients or slices are"
            " not in the data.",
            hint="Give the data the generator was trained on, prepared as then:"
            " config.data.source_dir and config.data.prepare.",
        )
    touched = {patient for *_, patient, known in rows if known}
    seen = [row for row in rows if row[3]]
    unseen = [row for row in rows if row[2] not in touched]
    if not unseen:
        raise DataError(
            "There is no patient whom the generator has not seen; there is nothing to"
            " compare its images with.",
            hint="Train with a division by patients that leaves some out:"
            " config.data.prepare.fractions, and split='patient'.",
        )
    if len(touched) < 2:
        raise DataError(
            "There is one training patient; nearer than to any other cannot be said.",
            hint="Audit a generator that was trained on several patients.",
        )
    return _slices(seen, view), _slices(unseen, view)


def behind(folder: Path) -> list[str]:
    """The patients behind an export; DataError if it is not finished."""
    try:
        return json.loads((folder / MANIFEST).read_text())["patients"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{folder} is no finished export: {error}",
            hint="Name the workdir of a synthesis job that has ended.",
        ) from error


def _stored(images):
    return quantise(np.clip(images, -1.0, 1.0))


def _slices(rows, view):
    numbers = {name: i for i, name in enumerate(sorted({row[2] for row in rows}))}
    patients = np.array([numbers[patient] for _, _, patient, _ in rows])
    return Slices([(cache, i) for cache, i, *_ in rows], patients, view)


def rendered(
    generator: Generator, members: Slices, unseen: Slices, seed: int
) -> Synthetic:
    """Images of label maps of both kinds of patients."""
    stored = []
    for slices in (members, unseen):
        for start in range(0, len(slices), _BATCH):
            labels = slices.labels(slice(start, start + _BATCH))
            # Noise depends on the place in a call: calls get seeds of their own.
            options = {"seed": seed + len(stored), "normalised": True}
            stored.append(_stored(generator.generate(labels, **options)))
    origins = [TRAINING] * len(members) + [UNSEEN] * len(unseen)
    patients = (members.patients, unseen.patients + members.patients.max() + 1)
    numbers = np.concatenate([members.patients, unseen.patients])
    return Synthetic(
        stored=np.concatenate(stored),
        view=of_images,
        groups=np.concatenate(patients),
        origins=origins,
        real=Slices([*members.places, *unseen.places], numbers, members.view),
    )


def sampled(generator: Generator, count: int, seed: int) -> Synthetic:
    """What a generator of label maps draws: its images, if it makes any."""
    stored, made = [], 0
    while made < count:
        options = {"seed": seed, "first": made}
        some = generator.sample(min(_BATCH, count - made), **options)
        made += len(some["label"])
        images = generator.makes_images
        stored.append(_stored(some["image"]) if images else some["label"])
    stored = np.concatenate(stored)
    groups = np.arange(len(stored))
    if not generator.makes_images and stored.ndim == 4:  # Volumes, slice by slice.
        groups = np.repeat(groups, stored.shape[1])
        stored = stored.reshape(-1, *stored.shape[2:])
    view = of_images if generator.makes_images else of_labels(generator.spec)
    return Synthetic(
        stored=stored, view=view, groups=groups, origins=[""] * len(stored)
    )


def exported(folder: Path, data: DataSettings, out_dir: Path) -> Synthetic:
    """The cases of a synthesis job."""
    cache = synthetic.of_export(folder, data, out_dir).cache("train")
    _, groups = np.unique([case for case, _ in cache.rows], return_inverse=True)
    return Synthetic(
        stored=cache.image, view=of_images, groups=groups, origins=[""] * len(cache)
    )
