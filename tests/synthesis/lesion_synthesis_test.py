"""Lesions changed in place and size, exchanged, and injected."""

import numpy as np
import pytest

from fixtures import brats_spec
from jaxsyn.errors import DataError, UsageError
from jaxsyn.synthesis.lesions import (
    KINDS,
    Injection,
    InjectionError,
    Manipulation,
    Transplantation,
)

SPEC = brats_spec()
NECROTIC, OEDEMA, ENHANCING, BRAIN = 1, 2, 3, 4
TUMOUR = ("necrotic", "oedema", "enhancing")


def head(shape=(40, 44), centre=(16, 15)):
    """A round brain with a tumour of three nested regions."""
    grid = np.indices(shape).transpose(*range(1, len(shape) + 1), 0)
    middle = np.array(shape) / 2
    labels = np.zeros(shape, np.uint8)
    labels[np.linalg.norm(grid - middle, axis=-1) < min(shape) / 2 - 1] = BRAIN
    distance = np.linalg.norm(grid - np.array(centre), axis=-1)
    for radius, label in ((5.0, OEDEMA), (3.5, ENHANCING), (2.0, NECROTIC)):
        labels[distance < radius] = label
    return labels


def manipulate(labels, kind, seed=0, other=None, **options):
    options = {"lesion": TUMOUR, **options}
    rng = np.random.default_rng(seed)
    return Manipulation(kind=kind, **options).apply(labels, SPEC, rng, other)


def row(*labels):
    return np.array([labels], np.uint8)


def sizes(labels):
    return np.bincount(labels.ravel(), minlength=5)


def lesion(labels):
    return np.isin(labels, (NECROTIC, OEDEMA, ENHANCING))


@pytest.mark.parametrize("factor", [1.0, 1.37, 2.0, 4.0])
@pytest.mark.parametrize("labels", [head(), head((20, 24, 22), (9, 9, 12))])
def test_growing_hits_the_size_and_adds_the_outermost_label(labels, factor):
    made = manipulate(labels, "grow", grow_to=factor)
    before, after = sizes(labels), sizes(made)
    assert after[1:4].sum() == round(factor * before[1:4].sum())
    assert after[NECROTIC] == before[NECROTIC]
    assert after[ENHANCING] == before[ENHANCING]
    np.testing.assert_array_equal(made[lesion(labels)], labels[lesion(labels)])
    np.testing.assert_array_equal(made == 0, labels == 0)


def test_a_lesion_grows_to_its_nearest_pixels():
    labels = np.full((5, 5), BRAIN, np.uint8)
    labels[2, 2] = OEDEMA
    cross = manipulate(labels, "grow", grow_to=5)
    np.testing.assert_array_equal(
        np.argwhere(cross == OEDEMA), [[1, 2], [2, 1], [2, 2], [2, 3], [3, 2]]
    )
    square = manipulate(labels, "grow", grow_to=9)
    np.testing.assert_array_equal(square[1:4, 1:4], OEDEMA)
    assert sizes(square)[OEDEMA] == 9


def test_growth_ends_with_the_brain_and_leaves_what_is_kept():
    labels = row(0, BRAIN, NECROTIC, BRAIN, OEDEMA, ENHANCING, BRAIN, 0)
    made = manipulate(
        labels, "grow", lesion=("oedema", "enhancing"), keep=("necrotic",), grow_to=9
    )
    expected = row(0, OEDEMA, NECROTIC, OEDEMA, OEDEMA, ENHANCING, ENHANCING, 0)
    np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize("factor", [1.0, 0.5, 0.21])
@pytest.mark.parametrize("labels", [head(), head((20, 24, 22), (9, 9, 12))])
def test_shrinking_hits_the_size_and_uncovers_brain(labels, factor):
    made = manipulate(labels, "shrink", shrink_to=factor)
    before, after = sizes(labels), sizes(made)
    assert after[1:4].sum() == round(factor * before[1:4].sum())
    assert after[0] == before[0]
    np.testing.assert_array_equal(made[lesion(made)], labels[lesion(made)])


def test_a_lesion_shrinks_to_its_deepest_pixels():
    labels = np.full((7, 7), BRAIN, np.uint8)
    labels[:5, 1:6] = OEDEMA  # Its first row is the brain's edge.
    made = manipulate(labels, "shrink", shrink_to=9 / 25)
    expected = np.full((7, 7), BRAIN, np.uint8)
    expected[1:4, 2:5] = OEDEMA
    np.testing.assert_array_equal(made, expected)


def test_one_pixel_of_a_lesion_remains():
    assert lesion(manipulate(head(), "shrink", shrink_to=1e-6)).sum() == 1


def test_mirroring_is_about_the_middle_of_the_brain():
    labels = row(0, BRAIN, OEDEMA, ENHANCING, BRAIN, BRAIN, BRAIN, 0, 0)
    expected = row(0, BRAIN, BRAIN, BRAIN, ENHANCING, OEDEMA, BRAIN, 0, 0)
    np.testing.assert_array_equal(manipulate(labels, "mirror"), expected)


def test_a_mirrored_lesion_ends_with_the_brain_and_at_what_is_kept():
    above = [BRAIN] * 6
    labels = np.array([above, [BRAIN, OEDEMA, OEDEMA, BRAIN, 0, 0]], np.uint8)
    expected = np.array([above, [BRAIN, BRAIN, BRAIN, OEDEMA, 0, 0]])
    np.testing.assert_array_equal(manipulate(labels, "mirror"), expected)
    labels[1, 3:5] = NECROTIC, BRAIN
    kept = manipulate(labels, "mirror", lesion=("oedema",), keep=("necrotic",))
    expected[1, 3:5] = NECROTIC, OEDEMA
    np.testing.assert_array_equal(kept, expected)


def test_mirroring_twice_is_the_same_again():
    labels = head((20, 24, 22), (9, 11, 9))
    once = manipulate(labels, "mirror")
    assert (once != labels).any()
    np.testing.assert_array_equal(manipulate(once, "mirror"), labels)


def test_moving_uncovers_the_nearest_tissue_and_stays_in_the_brain():
    # Here the tissues are 1 and 4.
    labels = row(0, 1, 1, OEDEMA, OEDEMA, 4, 4, 4, 0)
    by_two, by_four = (
        manipulate(labels, "move", lesion=("oedema",), move_by=(0, n)) for n in (2, 4)
    )
    np.testing.assert_array_equal(by_two, row(0, 1, 1, 1, 4, OEDEMA, OEDEMA, 4, 0))
    np.testing.assert_array_equal(by_four, row(0, 1, 1, 1, 4, 4, 4, OEDEMA, 0))


def test_a_random_place_is_wholly_in_the_brain():
    labels = head()
    places = set()
    for seed in range(8):
        made = manipulate(labels, "move", seed=seed)
        np.testing.assert_array_equal(sizes(made), sizes(labels))
        places.add(tuple(np.argwhere(made == NECROTIC)[0]))
    assert len(places) > 4


def test_random_places_have_equal_chances():
    # A lesion of two pixels in a brain of four has three places.
    labels = row(0, OEDEMA, OEDEMA, BRAIN, BRAIN)
    first = [
        np.flatnonzero(manipulate(labels, "move", seed=seed) == OEDEMA)[0]
        for seed in range(300)
    ]
    counts = np.bincount(first, minlength=4)
    assert counts[0] == 0
    # Three times the standard deviation of a count, √(300 · 1/3 · 2/3) = 8.2.
    np.testing.assert_allclose(counts[1:], 100, atol=25)


def test_replacing_puts_the_middles_of_the_brains_on_each_other():
    labels = row(0, BRAIN, OEDEMA, BRAIN, BRAIN, BRAIN, 0, 0, 0)
    other = row(0, 0, 0, 0, BRAIN, BRAIN, BRAIN, ENHANCING, NECROTIC)
    # The other brain ends three pixels further on; its necrotic end is the last.
    expected = row(0, BRAIN, BRAIN, BRAIN, ENHANCING, NECROTIC, 0, 0, 0)
    np.testing.assert_array_equal(manipulate(labels, "replace", other=other), expected)


def test_replacing_gives_a_healthy_brain_a_lesion():
    healthy = np.where(head() > 0, BRAIN, 0).astype(np.uint8)
    made = manipulate(healthy, "replace", other=head())
    np.testing.assert_array_equal(made, head())


def test_any_is_each_of_the_kinds():
    labels, other = head(), head(centre=(24, 24))
    exact = {k: manipulate(labels, k, other=other) for k in ("mirror", "replace")}
    size = lesion(labels).sum()
    by_size = {round(2 * size): "grow", round(size / 2): "shrink", size: "move"}

    def kind(made):
        same = [k for k, expected in exact.items() if np.array_equal(made, expected)]
        return same[0] if same else by_size[lesion(made).sum()]

    made = [manipulate(labels, "any", seed, other) for seed in range(30)]
    assert {kind(m) for m in made} == set(KINDS)
    alone = [manipulate(labels, "any", seed) for seed in range(30)]
    assert {kind(m) for m in alone} == set(KINDS) - {"replace"}


@pytest.mark.parametrize("kind", [*KINDS, "any"])
def test_a_seed_decides_all_and_the_map_given_is_left_alone(kind):
    labels, other = head(), head(centre=(24, 24))
    one, again = (manipulate(labels, kind, seed=3, other=other) for _ in range(2))
    np.testing.assert_array_equal(one, again)
    assert one.dtype == np.uint8
    np.testing.assert_array_equal(labels, head())


@pytest.mark.parametrize("kind", KINDS[:-1])
@pytest.mark.parametrize("label", [0, BRAIN])
def test_a_map_without_a_lesion_is_copied(kind, label):
    labels = np.full((6, 6), label, np.uint8)
    made = manipulate(labels, kind)
    np.testing.assert_array_equal(made, labels)
    assert made is not labels


def test_a_lesion_that_fills_the_brain_cannot_shrink():
    labels = row(0, OEDEMA, OEDEMA, 0)
    with pytest.raises(DataError, match="fills its brain"):
        manipulate(labels, "shrink")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "mirrored"}, "kind='mirrored'"),
        ({"kind": "grow", "grow_to": 0.5}, "grow_to=0.5"),
        ({"kind": "shrink", "shrink_to": 0.0}, "shrink_to=0.0"),
        ({"kind": "replace"}, "no other label map"),
        ({"kind": "move", "move_by": (1, 2, 3)}, r"move_by=\(1, 2, 3\)"),
        ({"kind": "grow", "lesion": ("edema",)}, "No label 'edema'"),
        ({"kind": "grow", "lesion": ("background",)}, "makes no sense"),
        ({"kind": "grow", "keep": ("oedema",)}, "makes no sense"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(UsageError, match=message):
        manipulate(head(), **options)


def test_maps_that_are_none():
    with pytest.raises(DataError, match="expected integers"):
        manipulate(head().astype(float), "grow")
    with pytest.raises(DataError, match=r"labels: label values \[7\]"):
        manipulate(row(0, 4, 7), "grow")
    with pytest.raises(DataError, match=r"other has the shape \(4, 4\)"):
        manipulate(head(), "replace", other=head((4, 4)))
    with pytest.raises(DataError, match=r"labels has the shape \(2, 2, 2, 2\)"):
        manipulate(np.zeros((2, 2, 2, 2), np.uint8), "grow")


def block(rows, columns, label=OEDEMA):
    """A lesion volume of one slice, 10 x 10."""
    made = np.zeros((1, 10, 10), np.uint8)
    made[0, rows, columns] = label
    return made


# The upper half is brain, the rest what no lesion may cover.
ANATOMY = np.where(block(slice(5), slice(None), 1) > 0, BRAIN, NECROTIC)
INJECTION = Injection(parenchyma=("brain",))


def test_a_lesion_counts_where_it_lies_in_the_parenchyma():
    drawn = (
        block(slice(3, 10), slice(9)),  # 63 voxels, 18 of them in the parenchyma.
        block(slice(3, 10), slice(10), ENHANCING),  # 20.
    )
    made = INJECTION.apply(ANATOMY, drawn.__getitem__, SPEC)
    expected = ANATOMY.copy()
    expected[0, 3:5] = ENHANCING
    np.testing.assert_array_equal(made, expected)
    assert made.dtype == ANATOMY.dtype


def test_an_anatomy_is_given_up_after_the_last_draw():
    attempts = []

    def draw(attempt):
        attempts.append(attempt)
        return block(slice(5, 10), slice(10))

    with pytest.raises(InjectionError, match="None of 7 lesions has 20 voxels"):
        Injection(parenchyma=("brain",), max_draws=7).apply(ANATOMY, draw, SPEC)
    assert attempts == list(range(7))


def test_what_is_drawn_has_the_anatomys_shape():
    with pytest.raises(DataError, match=r"lesion has the shape \(10, 10\)"):
        INJECTION.apply(ANATOMY, lambda _: np.ones((10, 10), int), SPEC)


def test_another_lesion_takes_the_place_of_the_own():
    # The tissues are 1 and 4; the own lesion is between them.
    labels = row(0, 1, 1, OEDEMA, OEDEMA, 4, 4, 4, 0)
    drawn = row(3, 0, 0, 0, 0, 0, 3, 2, 2)
    how = Transplantation(lesion=("oedema", "enhancing"), min_voxels=2)
    made = how.apply(labels, lambda _: drawn, SPEC)
    np.testing.assert_array_equal(made, row(0, 1, 1, 1, 4, 4, 3, 2, 0))
    assert made.dtype == np.uint8
    kept = Transplantation(lesion=("oedema",), keep=("brain",), min_voxels=1)
    drawn = row(2, 0, 0, 0, 2, 2, 2, 2, 2)
    made = kept.apply(labels, lambda _: drawn, SPEC)
    np.testing.assert_array_equal(made, row(0, 1, 1, 1, OEDEMA, 4, 4, 4, 0))


def test_lesions_are_drawn_until_one_is_large_enough_in_the_brain():
    labels, attempts = row(0, BRAIN, BRAIN, BRAIN, 0), []
    drawn = row(2, 2, 0, 0, 2), row(2, 0, 0, 2, 2), row(0, 0, 2, 2, 2)

    def draw(attempt):
        attempts.append(attempt)
        return drawn[attempt % 3]

    how = Transplantation(lesion=TUMOUR, min_voxels=2, most_draws=3)
    made = how.apply(labels, draw, SPEC)
    np.testing.assert_array_equal(made, row(0, BRAIN, OEDEMA, OEDEMA, 0))
    assert attempts == [0, 1, 2]
    few = Transplantation(lesion=TUMOUR, min_voxels=2, most_draws=2)
    with pytest.raises(InjectionError, match="None of 2 lesions has 2 voxels"):
        few.apply(labels, draw, SPEC)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"align": "brains"}, "align='brains'"),
        ({"mirror": 1.5}, "mirror=1.5"),
        ({"middle_mm": (1.0,)}, r"middle_mm=\(1.0,\)"),
        ({"shift_mm": -1.0}, "shift_mm=-1.0"),
        ({"min_voxels": 0}, "min_voxels=0"),
        ({"most_draws": 0}, "most_draws=0"),
        ({"keep": ("oedema",)}, "makes no sense"),
        ({"lesion": ("edema",)}, "No label 'edema'"),
    ],
)
def test_transplantations_that_make_no_sense(options, message):
    with pytest.raises(UsageError, match=message):
        how = Transplantation(**{"lesion": TUMOUR, **options})
        how.apply(head(), lambda _: head(), SPEC)
