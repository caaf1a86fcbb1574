"""For each image the nearest of many, however mirrored, turned, moved or regraded.

Two images are compared as patterns: made small, relieved of slow changes of brightness,
and every channel brought to mean 0 and one norm, so that neither gain, offset nor a
little noise or gamma matters. The distance of two patterns of norm 1 is
sqrt(2 - 2 r), r being their correlation where one, mirrored or not, is turned and moved
until it fits best. It is 0 of equal images and sqrt(2) of unrelated ones.
"""

from collections.abc import Iterator, Sequence
import dataclasses
import functools
from typing import Protocol

from jaxtyping import Bool, Float, Int
import numpy as np
from scipy import fft, ndimage

from jaxsyn.errors import UsageError
from jaxsyn.metrics import similarity

FINE, COARSE = 64, 16  # Sides of patterns: of those that decide, and that are sifted.
ANGLES = (0, -3, 3, -6, 6, -9, 9)  # Degrees tried; what lies between them fits, too.
SIFTED_ANGLES = (0, -6, 6)
REACH = 0.1  # How far images are moved, as a share of their side.
NEIGHBOURS = 5  # Patients (or groups) whose best slices are compared finely.
_CHUNK = 32
_BLANK = 1e-3  # A channel whose values deviate less, on average, shows nothing.
_SMALLEST = 1e-6

Places = Int[np.ndarray, " n"]


class Pictures(Protocol):
    """Images [N, H, W, C] of which some can be taken; an array is one, too."""

    def __len__(self) -> int: ...

    def __getitem__(self, places) -> Float[np.ndarray, "n h w c"]: ...


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Matches:
    """For each of N queries the nearest reference.

    Attributes:
      index: Its place.
      distance: To it, 0 to 2.
      ratio: Of that to the mean distance to the best references of the next nearest
        groups, 0 to 1: far below 1 where one patient alone is so near. NaN where one
        group was compared. Carlini et al. 2023, https://arxiv.org/abs/2301.13188, tell
        copies from the merely common by such a ratio.
      mirrored: Whether the query was mirrored left to right to fit.
      angle: By how much it was then turned, in degrees.
      shift: [N, 2]: by how much then moved down and right, as a share of the side.
    """

    index: Places
    distance: Float[np.ndarray, " n"]
    ratio: Float[np.ndarray, " n"]
    mirrored: Bool[np.ndarray, " n"]
    angle: Float[np.ndarray, " n"]
    shift: Float[np.ndarray, "n 2"]

    def take(self, places: Places) -> "Matches":
        """Those of some queries."""
        return Matches(**{k: value[places] for k, value in vars(self).items()})


class Index:
    """References among which the nearest is sought.

    It holds C kilobytes for each reference; images are taken as they are needed.
    """

    def __init__(self, references: Pictures, groups: Places):
        """Looks through the references once.

        Args:
          references: Images.
          groups: Whose each is: patients, as a rule.

        Raises:
          UsageError: There are none, or not as many groups.
        """
        if not len(references) or len(references) != len(groups):
            raise UsageError(
                f"There are {len(references)} references and {len(groups)} groups.",
                hint="Give a group for each of at least one image.",
            )
        self._references = references
        # Those of a group stand beside each other, so that its best is quickly found.
        self._order = np.argsort(groups, kind="stable")
        self._groups, self._starts = np.unique(
            np.asarray(groups)[self._order], return_index=True
        )
        chunks = _chunks(self._order)
        self._coarse = np.concatenate(
            [_flat(patterns(references[some], COARSE)) for some in chunks]
        )

    def search(self, queries: Pictures, *, own: Places | None = None) -> Matches:
        """Finds the nearest reference of each query.

        Args:
          queries: Images of the references' size.
          own: For each the group that is left out; -1 or None: none.

        Raises:
          UsageError: Nothing is left to compare with.
        """
        own = np.full(len(queries), -1) if own is None else np.asarray(own)
        fewest = len(self._groups) - np.isin(own, self._groups).any()
        if not fewest:
            raise UsageError(
                "All references are of the group that is left out.",
                hint="Give references of at least two groups.",
            )
        found = [
            self._nearest(queries[some], own[some], min(NEIGHBOURS, int(fewest)))
            for some in _chunks(np.arange(len(queries)))
        ]
        whole = {k: np.concatenate([vars(f)[k] for f in found]) for k in vars(found[0])}
        return Matches(**whole)

    def _nearest(self, images, own, count):
        candidates = self._sift(images, own, count)
        taken, back = np.unique(candidates, return_inverse=True)
        fine = _spectra(_small(self._references[taken], _side(images)))
        distances, poses = _fit(images, fine[back.reshape(candidates.shape)])
        best = distances.argmin(axis=1)
        rows = np.arange(len(images))
        nearest = distances[rows, best]
        others = (distances.sum(axis=1) - nearest) / max(count - 1, 1)
        ratio = nearest / np.maximum(others, _SMALLEST)
        return Matches(
            index=candidates[rows, best],
            distance=nearest,
            ratio=np.minimum(ratio, 1.0) if count > 1 else np.full(len(rows), np.nan),
            mirrored=poses[rows, best, 0] > 0,
            angle=poses[rows, best, 1],
            shift=poses[rows, best, 2:],
        )

    def _sift(self, images, own, count) -> Int[np.ndarray, "n k"]:
        """The best reference of each of the best groups, by coarse patterns."""
        best = np.full((len(images), len(self._coarse)), -np.inf, np.float32)
        for query in _sifted_poses(images):
            np.maximum(best, query @ self._coarse.T, out=best)
        by_group = np.maximum.reduceat(best, self._starts, axis=1)
        by_group[own[:, None] == self._groups] = -np.inf
        chosen = np.argsort(-by_group, axis=1, kind="stable")[:, :count]
        stops = np.append(self._starts[1:], len(self._order))
        places = [
            [self._starts[g] + row[self._starts[g] : stops[g]].argmax() for g in groups]
            for row, groups in zip(best, chosen, strict=True)
        ]
        return self._order[np.array(places)]


def distances(queries: Pictures, references: Pictures) -> Float[np.ndarray, " n"]:
    """Of each query to the reference at its place, as `Matches.distance`."""
    found = []
    for some in _chunks(np.arange(len(queries))):
        images = queries[some]
        fine = _spectra(_small(references[some], _side(images)))
        found.append(_fit(images, fine[:, None])[0][:, 0])
    return np.concatenate(found)


def fitted(images: Float[np.ndarray, "n h w c"], matches: Matches) -> np.ndarray:
    """Images mirrored, turned and moved as they fit their nearest references."""
    made = []
    for image, mirrored, angle, shift in zip(
        images, matches.mirrored, matches.angle, matches.shift, strict=True
    ):
        image = image[:, ::-1] if mirrored else image
        rows, columns = (round(s * n) for s, n in zip(shift, image.shape, strict=False))
        made.append(np.roll(_turned(image[None], angle)[0], (rows, columns), (0, 1)))
    return np.stack(made)


def nearest_features(
    queries: Float[np.ndarray, "n v d"],
    references: Float[np.ndarray, "m d"],
    groups: Places,
    own: Places,
) -> Float[np.ndarray, " n"]:
    """Distance of each query, in the best of V views, to the nearest reference.

    Args:
      queries: Features, of the image and, as a rule, of its mirror image.
      references: Features.
      groups: Whose each reference is.
      own: For each query the group that is left out; -1: none.
    """
    squares = (references**2).sum(axis=1)
    found = []
    for some in _chunks(np.arange(len(queries))):
        views = queries[some]
        apart = (views**2).sum(-1)[..., None] + squares - 2.0 * views @ references.T
        apart = apart.min(axis=1)
        apart[own[some][:, None] == groups] = np.inf
        found.append(np.sqrt(np.maximum(apart.min(axis=1), 0.0)))
    return np.concatenate(found)


def structural_similarity(
    images: Float[np.ndarray, "n h w c"], others: Float[np.ndarray, "n h w c"]
) -> Float[np.ndarray, " n"]:
    """SSIM of pairs of images in [-1, 1]; see `similarity.ssim`."""
    pair = (np.clip((x + 1.0) / 2.0, 0.0, 1.0) for x in (images, others))
    return similarity.ssim(*pair, data_range=1.0)


def mean_dice(
    labels: Float[np.ndarray, "n h w c"], others: Float[np.ndarray, "n h w c"]
) -> Float[np.ndarray, " n"]:
    """Dice of pairs of label maps, one class a channel; the mean of those in either."""
    shared = (labels * others).sum(axis=(1, 2))
    sizes = (labels + others).sum(axis=(1, 2))
    dice = 2.0 * shared / np.maximum(sizes, 1.0)
    return dice.sum(axis=1) / np.maximum((sizes > 0).sum(axis=1), 1)


def patterns(
    images: Float[np.ndarray, "n h w c"], side: int
) -> Float[np.ndarray, "n c s s"]:
    """Images as they are compared: of mean 0 in each channel, and of norm 1."""
    return fft.irfft2(_spectra(_small(images, side)), s=(side, side))


def _small(images, side):
    """Means over areas, [n, c, side, side]."""
    images = np.moveaxis(np.asarray(images, np.float32), -1, 1)
    down, across = (_areas(length, side) for length in images.shape[2:])
    return down @ images @ across.T


def _areas(length, side):
    """For each of `side` equal parts of a line of pixels, what it takes of each."""
    edges, pixels = np.linspace(0.0, length, side + 1), np.arange(length)
    upper = np.minimum(edges[1:, None], pixels + 1)
    taken = np.maximum(upper - np.maximum(edges[:-1, None], pixels), 0.0)
    return (taken / taken.sum(axis=1, keepdims=True)).astype(np.float32)


def _spectra(small):
    """Of patterns: details that noise drowns and slow changes are filtered out."""
    side = small.shape[-1]
    found = fft.rfft2(small) * _band(side)
    power = np.abs(found) ** 2
    # Half of the spectrum is held; what stands for its mirror image counts twice.
    power[..., 1 : (side + 1) // 2] *= 2.0
    for axes, blank in (((2, 3), _BLANK * side), ((1, 2, 3), _SMALLEST)):
        norm = np.sqrt(power.sum(axis=axes, keepdims=True)) / side
        scale = np.where(norm > blank, 1.0 / np.maximum(norm, blank), 0.0)
        found, power = found * scale, power * scale**2
    return found


@functools.cache
def _band(side):
    """The difference of two normal curves, of 0.7 px and of an eighth of the side."""
    squares = fft.fftfreq(side)[:, None] ** 2 + fft.rfftfreq(side) ** 2
    fine, slow = (np.exp(-2 * (np.pi * s) ** 2 * squares) for s in (0.7, side / 8))
    return (fine - slow).astype(np.float32)


def _poses(small, angles) -> Iterator[tuple[int, float, np.ndarray]]:
    """Small images mirrored (0 or 1) and then turned by each angle."""
    for angle in angles:
        turned = np.moveaxis(_turned(np.moveaxis(small, 1, -1), angle), -1, 1)
        yield 0, angle, turned
        # Mirroring what was turned is turning the other way what was mirrored.
        yield 1, -angle, turned[..., ::-1]


def _sifted_poses(images) -> Iterator[np.ndarray]:
    """Coarse patterns of images in all poses, flat."""
    for _, _, posed in _poses(_small(images, COARSE), SIFTED_ANGLES):
        made = fft.irfft2(_spectra(posed), s=(COARSE, COARSE))
        for move in ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0)):
            yield _flat(np.roll(made, move, axis=(2, 3)))


def _fit(images, references):
    """Compares each image in all poses with spectra [n, k, c, s, f] of references.

    Returns:
      Distances [n, k] and poses [n, k, 4]: mirrored, angle and shift.
    """
    side = references.shape[-2]
    best = np.full(references.shape[:2], -np.inf)
    poses = np.zeros((*best.shape, 4))
    reach = np.arange(-int(side * REACH), int(side * REACH) + 1)
    for mirrored, angle, posed in _poses(_small(images, side), ANGLES):
        query = _spectra(posed).conj()
        shared = np.einsum("ncxy,nkcxy->nkxy", query, references)
        fits = fft.irfft2(shared, s=(side, side))[..., reach[:, None], reach]
        fits = fits.reshape(*best.shape, -1)
        place, value = fits.argmax(axis=-1), fits.max(axis=-1)
        moved = np.stack(np.divmod(place, len(reach)), axis=-1) + reach[0]
        better = value > best
        best[better] = value[better]
        poses[better, 0], poses[better, 1] = mirrored, angle
        poses[better, 2:] = moved[better] / side
    return np.sqrt(np.maximum(2.0 - 2.0 * best, 0.0)), poses


def _turned(images, angle):
    if not angle:
        return images
    return ndimage.rotate(
        images, angle, axes=(1, 2), reshape=False, order=1, mode="nearest"
    )


def _side(images):
    return min(FINE, *images.shape[1:3])


def _flat(made):
    return np.ascontiguousarray(made.reshape(len(made), -1))


def _chunks(places: Sequence[int]) -> Iterator[np.ndarray]:
    places = np.asarray(places)
    return (places[i : i + _CHUNK] for i in range(0, len(places), _CHUNK))
