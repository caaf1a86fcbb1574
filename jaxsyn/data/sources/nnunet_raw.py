"""A raw data set of nnU-Net: imagesTr, labelsTr and dataset.json.

The format is that of https://github.com/MIC-DKFZ/nnUNet, documentation/
dataset_format.md; of version 1, "modality" and labels by value are understood too. Of
regions, which may overlap, each value is named after the smallest one that holds it,
and after its number where several share one. Test images (imagesTs) are not read.

Every case is taken for a patient of its own unless jaxsyn.json says whose they are; see
`_folder`. Cases made by a generator (syn_...) are cases as any others.
"""

from collections import Counter
from collections.abc import Iterator
import os
from pathlib import Path
import re
import reprlib

from jaxsyn.data import volumes
from jaxsyn.data.cases import Case, ImageFile, Problem
from jaxsyn.data.sources import _labels
from jaxsyn.data.sources._folder import Choices, stem
from jaxsyn.errors import DataError
from jaxsyn.spec import Label

ORIGIN = "These are your own images, as prepared for nnU-Net"
LAYOUT = "dataset.json, imagesTr and labelsTr, here or in a folder such as Dataset001_X"


def describe(root: Path) -> tuple[tuple[str, ...], tuple[Label, ...]]:
    """Modalities and label table of a data set.

    Raises:
      DataError: dataset.json or jaxsyn.json is wrong; it says in which key.
    """
    opened = _Dataset(root)
    return opened.modalities, opened.labels


def find_cases(root: Path) -> Iterator[Case | Problem]:
    """Finds the training cases; an incomplete or misnamed one is a Problem."""
    opened = _Dataset(root)
    for case in opened.listed() if opened.listing else opened.lying():
        yield opened.choices.finish(case, opened.labels)


class _Dataset:
    """A folder, and what its dataset.json says."""

    def __init__(self, root: Path):
        self.folder = _folder_of(root)
        self.choices = Choices.read(self.folder)
        path = self.folder / "dataset.json"
        content = _labels.read_json(path)
        self.channels = _channels(path, content)
        self.ending = _ending(path, content)
        self.modalities = self.choices.choose(self.channels)
        values = None if self.choices.labels else _values_of(path, content)
        self.labels = self.choices.table((), values, f'{path}: "labels"')
        self.listing = content.get("dataset", {})
        if not isinstance(self.listing, dict):
            raise _wrong(path, "dataset", self.listing, "a list of files by case")

    def listed(self) -> Iterator[Case | Problem]:
        """The cases that dataset.json lists, with their files."""
        for name, files in self.listing.items():
            try:
                images = [self._inside(given) for given in files["images"]]
                label = self._inside(files["label"])
            except (KeyError, TypeError, ValueError) as error:
                yield Problem(
                    name=name,
                    reason=f"{self.folder / 'dataset.json'} lists {name} wrongly:"
                    f" {error!r}.",
                    hint='It must give {"images": [FILE, ...], "label": FILE}, within'
                    " the folder.",
                )
                continue
            missing = [path for path in (*images, label) if not path.is_file()]
            if missing:
                reason = f"{missing[0]} is listed, but not there."
                yield Problem(name=name, reason=reason)
            else:
                yield self._case(name, dict(enumerate(images)), label)

    def lying(self) -> Iterator[Case | Problem]:
        """The cases that lie in imagesTr and labelsTr."""
        images, labels = {}, {}
        for path, match in self._files("imagesTr", r"_(\d{4})"):
            if match:
                images.setdefault(match[1], {})[int(match[2])] = path
            else:
                yield self._misnamed(path, "_0000")
        for path, match in self._files("labelsTr", ""):
            if match:
                labels[match[1]] = path
            else:
                yield self._misnamed(path, "")
        for name in sorted({*images, *labels}):
            yield self._case(name, images.get(name, {}), labels.get(name))

    def _files(self, name, channel):
        """A folder's images with the match of their names, if they are right."""
        pattern = f"([^.].*){channel}{re.escape(self.ending)}"
        folder = self.folder / name
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if stem(path):
                yield path, re.fullmatch(pattern, path.name)

    def _misnamed(self, path, channel):
        return Problem(
            name=str(path.relative_to(self.folder)),
            reason=f"{path} is not named CASE{channel}{self.ending}.",
            hint='Rename it, or correct "file_ending" in dataset.json.',
        )

    def _case(self, name, images, label):
        """A case of its images' files by channel."""
        count = len(self.channels)
        files = [self._named(name, index) for index in range(count)]
        missing = [files[index] for index in range(count) if index not in images]
        extra = [path.name for index, path in images.items() if index >= count]
        if missing or extra:
            reason = f"it lacks {', '.join(missing)}" if missing else ""
            if extra:
                reason = f"it has {', '.join(extra)} beyond {count} channels"
            if not images:
                reason = f"{label} is there, but no image of it in imagesTr"
            return Problem(name=name, reason=f"{name}: {reason}.")
        chosen = {self.channels.index(m): m for m in self.modalities}
        return Case(
            name=name,
            patient=name,
            images={m: ImageFile(path=images[index]) for index, m in chosen.items()},
            label=ImageFile(path=label) if label else None,
            label_tables=(),
        )

    def _named(self, name, index):
        return f"{name}_{index:04d}{self.ending} ({self.channels[index]})"

    def _inside(self, given):
        """A listed path; ValueError if it leads out of the folder."""
        path = Path(os.path.normpath(self.folder / given))
        if not path.is_relative_to(os.path.normpath(self.folder)):
            raise ValueError(f"{given} is outside")
        return path


def _folder_of(root):
    if (root / "dataset.json").is_file():
        return root
    found = sorted(path.parent for path in root.glob("*/dataset.json"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise DataError(
            f"{root} must be one data set, with a dataset.json; in it are: {names}.",
            hint="Name the folder: --config.data.source_dir=nnUNet_raw/Dataset001_NAME",
        )
    return found[0]


def _wrong(path, key, value, expected):
    """The error for a key of dataset.json."""
    there = f"is {reprlib.repr(value)}" if value is not None else "is missing"
    return DataError(f'{path}: "{key}" {there}.', hint=f"It must be {expected}.")


def _channels(path, content):
    """Names of the channels, in order; those that are equal get their number."""
    key = "channel_names" if "channel_names" in content else "modality"
    names = content.get(key)
    valid = isinstance(names, dict) and all(map(_labels.is_name, names.values()))
    if not (names and valid and set(names) == set(map(str, range(len(names))))):
        key = key if key in content else "channel_names"
        expected = 'the channels\' names from 0 on: {"0": "t1", "1": "flair"}'
        raise _wrong(path, key, names, expected)
    names = [names[str(index)] for index in range(len(names))]
    equal = Counter(names)
    numbered = [f"{n}_{i}" if equal[n] > 1 else n for i, n in enumerate(names)]
    if len(set(numbered)) < len(numbered):
        raise _wrong(path, key, names, "names of which each is there once")
    return tuple(numbered)


def _ending(path, content):
    default = ".nii.gz" if "modality" in content else None  # As in version 1.
    ending = content.get("file_ending", default)
    if ending not in volumes.ENDINGS:
        known = ", ".join(volumes.ENDINGS)
        raise _wrong(path, "file_ending", ending, f"one of {known}")
    return ending


def _values_of(path, content):
    """The value of each label, by name."""
    labels = content.get("labels")
    example = '{"background": 0, "lesion": 1}'
    if not isinstance(labels, dict) or not labels:
        raise _wrong(path, "labels", labels, example)
    if all(isinstance(name, str) for name in labels.values()):
        labels = _of_version_1(path, labels)
    if "ignore" in labels:
        raise DataError(
            f'{path}: "labels" has "ignore", for voxels that nobody has labelled.',
            hint="A generator needs complete label maps: complete them, then delete it"
            " from dataset.json.",
        )
    if not any(isinstance(value, list) for value in labels.values()):
        return labels
    return _of_regions(path, labels)


def _of_version_1(path, labels):
    """Labels by name, of names by value."""
    if not all(map(str.isdecimal, labels)) or len(set(labels.values())) < len(labels):
        raise _wrong(path, "labels", labels, '{"background": 0, "lesion": 1}')
    return {name: int(value) for value, name in labels.items()}


def _of_regions(path, labels):
    regions = {n: v if isinstance(v, list) else [v] for n, v in labels.items()}
    values = [value for region in regions.values() for value in region]
    if not all(type(value) is int for value in values):
        raise _wrong(path, "labels", labels, "a list of whole numbers for each region")
    size = {name: len(region) for name, region in regions.items()}
    smallest = {
        value: min((n for n in regions if value in regions[n]), key=size.get)
        for value in values
    }
    share = Counter(smallest.values())
    return {
        f"{name}_{value}" if share[name] > 1 else name: value
        for value, name in smallest.items()
    }
