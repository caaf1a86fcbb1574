"""Label maps of patients with the lesions of others, from another data set or not."""

import dataclasses

import numpy as np

from jaxsyn.errors import UsageError
from jaxsyn.spec import DataSpec
from jaxsyn.synthesis.cases import SyntheticCase, covers_brain
from jaxsyn.synthesis.lesions import Transplantation
from jaxsyn.synthesis.places import carry, middle, places_of
from jaxsyn.synthesis.real_masks import RealMasks, rng_of


class TransplantedMasks:
    """Brains of one set with lesions of another, in the labels of a third."""

    generator = sieve = None

    def __init__(
        self, brains: RealMasks, donors: RealMasks, spec: DataSpec, how: Transplantation
    ):
        """Puts lesions of `donors` into `brains` as `how` says.

        Args:
          brains: Whose lesions are exchanged, if they have any.
          donors: Whose lesions are taken.
          spec: What the labels mean that are wanted.
          how: What a lesion is, and where it may go.

        Raises:
          UsageError: The brains are of another size or have labels that `spec` has no
            place for; or a lesion's label is not known.
        """
        self._brains, self._donors, self._spec, self._how = brains, donors, spec, how
        theirs = brains.prepared.spec
        if theirs.image_size != spec.image_size:
            raise UsageError(
                f"The brains' slices have {theirs.image_size} pixels a side, those of"
                f" the data {spec.image_size}.",
                hint="Set config.masks.brains.prepare.image_size.",
            )
        self._tissue = _labels_of_brains(theirs, spec)
        self._lesion = _labels_of_lesions(donors.prepared.spec, spec, how)
        for name in how.keep:  # Said now, not at the first case.
            spec.label_index(name)

    def draw(self, number: int) -> SyntheticCase:
        """A brain with a new lesion: the next brain, and any donor."""
        case = self._brain(number)
        rng, drawn = rng_of(self._brains.seed, number), []

        def draw(_):
            donor = self._donors.draw(int(rng.integers(len(self._donors))))
            mirrored = bool(rng.random() < self._how.mirror)
            shift = rng.uniform(-1, 1, 3) * self._how.shift_mm
            drawn.append((donor, mirrored, shift))
            return self._carried(donor, case, mirrored, shift)

        label = self._how.apply(case.label, draw, self._spec)
        donor, mirrored, shift = drawn[-1]
        lineage = {
            **case.lineage,
            "lesion": donor.lineage["labels"],
            "patients": case.lineage["patients"] + donor.lineage["patients"],
            "mirrored": mirrored,
            "shift_mm": shift.tolist(),
            "lesions_drawn": len(drawn),
        }
        return dataclasses.replace(case, label=label, lineage=lineage)

    def _brain(self, number):
        """The next brain in the labels, and with the range of intensities, wanted."""
        case = self._brains.draw(number)
        label, info = self._tissue[case.label], case.info
        if self._brains.prepared.spec.modalities != self._spec.modalities:
            info = dataclasses.replace(info, intensities=self._spec.intensities)
        return dataclasses.replace(case, label=label, info=info)

    def _carried(self, donor, case, mirrored, shift):
        """A donor's lesion on the grid of a brain."""
        ours, theirs = places_of(donor.info), places_of(case.info)
        here = there = np.zeros(3)
        if self._how.align == "brain":
            there = middle(case.label > 0, theirs)
            here = np.array(self._how.middle_mm)
            if covers_brain(self._donors.prepared.spec):
                here = middle(donor.label > 0, ours)
        sides = np.array([1, 1, -1 if mirrored else 1])
        onto = tuple(
            (place - a - by) * side + b
            for place, a, by, side, b in zip(
                theirs, there, shift, sides, here, strict=True
            )
        )
        lesion = self._lesion[donor.label]
        return carry(lesion, ours, onto, donor.info.spacing_mm)


def _labels_of_brains(theirs, ours):
    """For each label of the brains ours of that name, or the one that is derived."""
    derived = [i for i, label in enumerate(ours.labels) if not label.values]
    strange = set(theirs.label_names) - set(ours.label_names)
    if strange and not derived:
        raise UsageError(
            f"The data have no labels {', '.join(sorted(strange))}, and none for the"
            " brain around lesions.",
            hint="Take brains with the labels of the data.",
        )
    names = ours.label_names
    return np.array(
        [
            names.index(name) if name in names else derived[0]
            for name in theirs.label_names
        ],
        np.uint8,
    )


def _labels_of_lesions(theirs, ours, how):
    """For each label of the donors ours of that name if it is a lesion's, or 0."""
    found = np.zeros(len(theirs.labels), np.uint8)
    for name in how.lesion:
        found[theirs.label_index(name)] = ours.label_index(name)
    return found
