"""Lesions in label maps: changed in place and size, exchanged, or put in anew.

The manipulations are those of paper 002 (Guo et al. 2020,
https://arxiv.org/abs/2006.14761, figure 3), which leaves their details open; the
injection is that of paper 004 (Platscher et al. 2020,
https://arxiv.org/abs/2010.02745, section II D); the transplantation is of none of the
papers. Label maps are images [H, W] or volumes [D, H, W] of indices into a spec's
labels, as prepared sets hold them: index 0 is what lies outside the brain. Distances
are in pixels, unless they are said to be in mm. Everything random comes from a given
generator of random numbers.
"""

from collections.abc import Callable
import dataclasses

import numpy as np
from scipy import ndimage, signal

from jaxsyn import settings
from jaxsyn.errors import DataError, UsageError
from jaxsyn.spec import DataSpec

KINDS = ("mirror", "grow", "shrink", "move", "replace")
ALIGNMENTS = ("image", "brain")


class InjectionError(DataError):
    """No lesion that was drawn lies in the tissue of an anatomy."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manipulation:
    """What is done with the lesion of a label map.

    All labels of a lesion change together, so that what lies in it stays there. The
    result is limited to the brain; where that cuts it off, it is smaller than meant,
    and a map of which nothing remains has no lesion. What a lesion uncovers takes the
    label of the nearest tissue: brain that is neither lesion nor kept.

    Attributes:
      lesion: Names of the labels that make up a lesion.
      kind: `mirror`: left to right, about the middle of the brain. `grow`, `shrink`:
        by the pixels nearest to its outline, to an exact number; new pixels take the
        nearest lesion label. `move`: to another place. `replace`: by the lesion of
        another label map, with the brains' middles on each other. `any`: one of these
        at random, with equal chances.
      keep: Names of labels that no lesion ever covers.
      grow_to: Size after growing, as a multiple of that before.
      shrink_to: Size after shrinking, likewise; at least one pixel remains.
      move_by: Pixels along each axis; by default a lesion goes to a random place, with
        equal chances for all in which it lies wholly in the brain.
    """

    lesion: tuple[str, ...]
    kind: str = "any"
    keep: tuple[str, ...] = ()
    grow_to: float = 2.0
    shrink_to: float = 0.5
    move_by: tuple[int, ...] = ()

    def __post_init__(self):
        if self.kind not in (*KINDS, "any"):
            known = [*KINDS, "any"]
            raise settings.unknown(f"kind={self.kind!r}", self.kind, known)
        if not 0 < self.shrink_to <= 1 <= self.grow_to:
            raise UsageError(
                f"grow_to={self.grow_to} and shrink_to={self.shrink_to} make no sense.",
                hint="grow_to is 1 or more, shrink_to lies between 0 and 1.",
            )

    def apply(
        self,
        labels: np.ndarray,
        spec: DataSpec,
        rng: np.random.Generator,
        other: np.ndarray | None = None,
    ) -> np.ndarray:
        """Manipulates the lesion of one label map; one without a lesion is copied.

        Args:
          labels: The label map.
          spec: What its indices mean.
          rng: Decides among kinds, places and pixels of equal distance.
          other: Another label map of the same shape, for `replace`.

        Returns:
          A new label map of the same shape and dtype.

        Raises:
          UsageError: A label is unknown, is the background, or is both lesion and kept;
            or `replace` has no other label map.
          DataError: The shapes or values do not fit, or a lesion that leaves its place
            fills the brain, so that nothing is known of what is under it.
        """
        lesion, keep = _indices(self.lesion, self.keep, spec)
        _check(labels, spec, labels.shape, "labels")
        if other is not None:
            _check(other, spec, labels.shape, "other")
        if self.move_by and len(self.move_by) != labels.ndim:
            raise UsageError(
                f"move_by={self.move_by} for label maps of {labels.ndim} axes.",
                hint="Give one number of pixels an axis.",
            )
        kind = self._choose(rng, other)
        box = _box(labels > 0)
        brain = labels[box]
        old = np.where(np.isin(brain, lesion), brain, 0)
        free = ~np.isin(brain, (0, *keep))
        if kind == "replace":
            new = _aligned(np.where(np.isin(other, lesion), other, 0), other, box)
        elif not old.any():
            return labels.copy()
        else:
            new = self._change(kind, old, free, rng)
        made = labels.copy()
        made[box] = _exchanged(brain, old, np.where(free, new, 0), free)
        return made

    def _choose(self, rng, other):
        if self.kind == "replace" and other is None:
            raise UsageError(
                "A lesion cannot be replaced: there is no other label map.",
                hint="Give another patient's label map as `other`.",
            )
        kinds = KINDS if other is not None else KINDS[:-1]
        return kinds[rng.integers(len(kinds))] if self.kind == "any" else self.kind

    def _change(self, kind, old, free, rng):
        """The lesion after a change of its own, not yet limited to the brain."""
        if kind == "mirror":
            return np.flip(old, -1)
        if kind == "move":
            by = self.move_by or _random_move(old, free, rng)
            return ndimage.shift(old, by, order=0)
        factor = self.grow_to if kind == "grow" else self.shrink_to
        return _resized(old, free, factor, rng)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Injection:
    """How drawn lesions are put into anatomies that have none.

    Attributes:
      parenchyma: Names of the labels that a lesion may cover: grey and white matter,
        deep nuclei, brain stem, cerebellum; not ventricles or other fluid.
      min_voxels: Least size of a lesion, counted where it lies in the parenchyma. The
        paper does not say whether its 20 are counted so or before.
      max_draws: How many lesions are drawn before an anatomy is given up.
    """

    parenchyma: tuple[str, ...]
    min_voxels: int = 20
    max_draws: int = 100

    def apply(
        self,
        anatomy: np.ndarray,
        draw: Callable[[int], np.ndarray],
        spec: DataSpec,
    ) -> np.ndarray:
        """Puts the first lesion that is large enough into an anatomy.

        Args:
          anatomy: A label map.
          draw: Gives the lesion of attempt 0, 1, ...: a label map of the same shape
            that is 0 where there is none. Seed it by the attempt.
          spec: What the indices of both mean.

        Returns:
          The anatomy with the lesion's labels over its own; of its dtype.

        Raises:
          InjectionError: None was large enough.
          UsageError: A parenchyma label is unknown.
          DataError: Shapes or values do not fit.
        """
        tissue = [spec.label_index(name) for name in self.parenchyma]
        _check(anatomy, spec, anatomy.shape, "anatomy")
        allowed = np.isin(anatomy, tissue)
        for attempt in range(self.max_draws):
            lesion = draw(attempt)
            _check(lesion, spec, anatomy.shape, "lesion")
            covered = allowed & (lesion > 0)
            if np.count_nonzero(covered) >= self.min_voxels:
                return np.where(covered, lesion, anatomy).astype(anatomy.dtype)
        raise InjectionError(
            f"None of {self.max_draws} lesions has {self.min_voxels} voxels or more in"
            f" {', '.join(self.parenchyma)}.",
            hint="Train the lesion generator longer, or lower min_voxels.",
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transplantation:
    """How the lesions of other patients are put into brains, in the place of their own.

    A lesion keeps its size and shape in millimetres, and what lies outside the brain is
    cut off. As in `Manipulation`, what the brain's own uncovers takes the label of the
    nearest tissue.

    Attributes:
      lesion: Names of the labels that make up a lesion.
      keep: Names of labels that no lesion ever covers.
      align: What lies on each other: the middles of the `image`s, as is right where all
        are in one space, as BraTS is; or of the `brain`s.
      middle_mm: Where a brain is that donors' label maps do not show: slices, rows and
        columns from the middle of their image to that of the box around the brain.
      mirror: Chance that a lesion changes sides, left to right in the slices.
      shift_mm: How far it is shifted at most, along each axis by itself.
      min_voxels: Least size of a lesion, counted where it covers the brain.
      most_draws: How many lesions are tried before a brain is given up.
    """

    lesion: tuple[str, ...]
    keep: tuple[str, ...] = ()
    align: str = "image"
    middle_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    mirror: float = 0.5
    shift_mm: float = 0.0
    min_voxels: int = 20
    most_draws: int = 20

    def __post_init__(self):
        if self.align not in ALIGNMENTS:
            known = [*ALIGNMENTS]
            raise settings.unknown(f"align={self.align!r}", self.align, known)
        least = min(self.shift_mm, self.min_voxels - 1, self.most_draws - 1)
        if not 0 <= self.mirror <= 1 or least < 0 or len(self.middle_mm) != 3:
            raise UsageError(
                f"{self} makes no sense.",
                hint="mirror is a chance, shift_mm 0 or more, min_voxels and most_draws"
                " 1 or more, and middle_mm three numbers.",
            )

    def apply(
        self,
        labels: np.ndarray,
        draw: Callable[[int], np.ndarray],
        spec: DataSpec,
    ) -> np.ndarray:
        """Exchanges the lesion of a label map for the first that is large enough.

        Args:
          labels: The label map, with a lesion or without.
          draw: Gives the lesion of attempt 0, 1, ...: a label map of the same shape
            that is 0 where there is none.
          spec: What the indices of both mean.

        Returns:
          A new label map of the same shape and dtype.

        Raises:
          InjectionError: None was large enough.
          UsageError: A label is unknown, the background, or both lesion and kept.
          DataError: Shapes or values do not fit, or the own lesion fills the brain, so
            that nothing is known of what is under it.
        """
        lesion, keep = _indices(self.lesion, self.keep, spec)
        _check(labels, spec, labels.shape, "labels")
        old = np.where(np.isin(labels, lesion), labels, 0)
        free = ~np.isin(labels, (0, *keep))
        for attempt in range(self.most_draws):
            drawn = draw(attempt)
            _check(drawn, spec, labels.shape, "lesion")
            new = np.where(free, drawn, 0)
            if np.count_nonzero(new) >= self.min_voxels:
                return _exchanged(labels, old, new, free).astype(labels.dtype)
        raise InjectionError(
            f"None of {self.most_draws} lesions has {self.min_voxels} voxels or more in"
            " the brain.",
            hint="Align them another way, or lower min_voxels.",
        )


def _indices(lesion, keep, spec):
    """Indices of a lesion's labels and of those that are kept."""
    indices, kept = (tuple(map(spec.label_index, names)) for names in (lesion, keep))
    if not indices or 0 in indices or set(indices) & set(kept):
        raise UsageError(
            f"lesion={lesion} with keep={keep} makes no sense.",
            hint="Name one or more lesion labels, neither the background nor kept.",
        )
    return indices, kept


def _exchanged(brain, old, new, free):
    """The brain with another lesion; what the old one uncovers becomes tissue."""
    made = np.where(new > 0, new, brain)
    uncovered = (old > 0) & (new == 0)
    if not uncovered.any():
        return made
    tissue = free & (old == 0)
    if not tissue.any():
        raise DataError(
            "A lesion fills its brain: what is under it is not known.",
            hint="Leave such label maps out, or keep fewer labels.",
        )
    nearest = ndimage.distance_transform_edt(
        ~tissue, return_distances=False, return_indices=True
    )
    return np.where(uncovered, brain[tuple(nearest)], made)


def _resized(old, free, factor, rng):
    """The lesion of the free pixels nearest to the old one, or deepest in it."""
    inside = old > 0
    outward, nearest = ndimage.distance_transform_edt(~inside, return_indices=True)
    # Padded: what reaches the edge of the brain's box ends there.
    inward = ndimage.distance_transform_edt(np.pad(inside, 1))
    signed = outward - inward[(slice(1, -1),) * old.ndim]
    count = max(1, round(factor * np.count_nonzero(inside)))
    places = np.flatnonzero(free)
    ties = rng.permutation(places.size)
    chosen = places[np.lexsort((ties, signed.flat[places]))[:count]]
    made = np.zeros_like(old)
    made.flat[chosen] = old[tuple(nearest)].flat[chosen]
    return made


def _random_move(old, free, rng):
    """A vector to one of the places where all of the lesion is free, as at its own."""
    box = _box(old > 0)
    shape = (old[box] > 0).astype(np.float64)
    overlap = np.rint(signal.correlate(free.astype(np.float64), shape, "valid", "fft"))
    places = np.argwhere(overlap == overlap.max())
    return places[rng.integers(len(places))] - [side.start for side in box]


def _aligned(lesion, labels, box):
    """A lesion of a brain elsewhere, cut out of its map about this box's middle."""
    theirs = _box(labels > 0)
    by = [
        (a.start + a.stop - b.start - b.stop) // 2
        for a, b in zip(box, theirs, strict=True)
    ]
    return ndimage.shift(lesion, by, order=0)[box]


def _box(mask):
    """The smallest box around a mask, as slices; all of it if the mask is empty."""
    found = ndimage.find_objects(mask.astype(np.uint8))
    return found[0] if found else (slice(None),) * mask.ndim


def _check(labels, spec, shape, where):
    if labels.ndim not in (2, 3) or labels.shape != shape:
        raise DataError(
            f"{where} has the shape {labels.shape}; expected an image or a volume"
            f"{'' if labels.shape == shape else f' of {shape}'}.",
            hint="Give one label map at a time, all prepared alike.",
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"{where} is of {labels.dtype}; expected integers.",
            hint="A label map holds indices, not probabilities.",
        )
    spec.check_indices(labels, where)
