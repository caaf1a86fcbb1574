import numpy as np
import pytest

from jaxsyn.errors import UsageError
from jaxsyn.metrics import memorisation, nearest
from jaxsyn.metrics.nearest import Index
from jaxsyn.metrics.orientations import Orientations
import smooth_patients

TRAINED, PATIENTS = smooth_patients.make(12, seed=1)
UNSEEN, STRANGERS = smooth_patients.make(12, seed=2)
CLEAN, _ = smooth_patients.make(16, seed=3)


@pytest.fixture(scope="module")
def index():
    return Index(TRAINED, PATIENTS)


@pytest.fixture(scope="module")
def limit(index):
    return memorisation.threshold(index.search(UNSEEN).ratio, STRANGERS)


def test_clean_images_are_rarely_flagged(index, limit):
    assert (index.search(CLEAN).ratio < limit).mean() <= 0.05


@pytest.mark.parametrize("change", smooth_patients.CHANGES)
def test_copies_are_found_however_changed(change, index, limit):
    copies = smooth_patients.CHANGES[change](TRAINED[::3])
    found = index.search(copies)
    assert (found.ratio < limit).mean() >= 0.95
    assert (PATIENTS[found.index] == PATIENTS[::3]).mean() >= 0.95


def test_a_blur_is_no_copy(index, limit):
    blurred = smooth_patients.ndimage.gaussian_filter(CLEAN, (0, 2, 2, 0))
    mean = np.repeat(TRAINED.mean(axis=0, keepdims=True), 4, axis=0)
    found = index.search(np.concatenate([blurred, mean]))
    assert (found.ratio < limit).mean() <= 0.05


def test_an_equal_image_is_at_no_distance_and_a_blank_one_unrelated(index):
    found = index.search(np.concatenate([TRAINED[5:6], np.full_like(CLEAN[:1], -1)]))
    np.testing.assert_allclose(found.distance, [0.0, np.sqrt(2)], atol=2e-3)
    assert found.index[0] == 5
    assert found.ratio[0] < 0.01 and found.ratio[1] == 1.0


def test_the_pose_that_fits_undoes_the_change(index):
    moved = np.roll(TRAINED[7:9, :, ::-1], (2, -3), axis=(1, 2))
    found = index.search(moved)
    assert found.mirrored.all() and not found.angle.any()
    # Mirrored back, what was moved 3 px to the left is moved to the right.
    np.testing.assert_allclose(found.shift * 64, [[-2, -3]] * 2)
    np.testing.assert_allclose(nearest.fitted(moved, found), TRAINED[7:9])


def test_a_query_is_not_compared_with_its_own_group(index):
    found = index.search(TRAINED, own=PATIENTS)
    assert (PATIENTS[found.index] != PATIENTS).all()
    assert found.distance.min() > 0.1
    with pytest.raises(UsageError, match="All references are of the group"):
        Index(TRAINED[:6], PATIENTS[:6]).search(TRAINED[:1], own=np.zeros(1, int))


def test_chunks_do_not_matter(index, monkeypatch):
    whole = index.search(CLEAN[:9])
    monkeypatch.setattr(nearest, "_CHUNK", 4)
    parts = Index(TRAINED, PATIENTS).search(CLEAN[:9])
    np.testing.assert_array_equal(whole.index, parts.index)
    np.testing.assert_allclose(whole.ratio, parts.ratio, rtol=1e-4)


def test_gain_and_offset_do_not_change_a_distance():
    apart = nearest.distances(TRAINED[:4], UNSEEN[:4])
    np.testing.assert_allclose(
        nearest.distances(0.5 * TRAINED[:4] - 0.2, UNSEEN[:4]), apart, rtol=1e-4
    )
    assert (apart > 0.3).all() and (apart <= 2.0).all()


def test_references_without_groups():
    with pytest.raises(UsageError, match="72 references and 3 groups"):
        Index(TRAINED, PATIENTS[:3])
    with pytest.raises(UsageError, match="0 references"):
        Index(TRAINED[:0], PATIENTS[:0])


def test_areas_are_averaged():
    image = np.arange(12.0).reshape(1, 3, 4, 1)
    # Three rows to two: rows 0 and half of 1; columns by pairs.
    areas = nearest._areas(3, 2)
    np.testing.assert_allclose(areas, [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]])
    small = nearest._small(image, 2)[0, 0]
    np.testing.assert_allclose(small[0, 0], (0.5 * 2 + 4.5) / 3, rtol=1e-6)


def test_dice_of_label_maps_by_hand():
    ours, theirs = np.zeros((1, 2, 2, 3)), np.zeros((1, 2, 2, 3))
    ours[0, :, :, 0], theirs[0, 0, :, 0], theirs[0, 1, :, 1] = 1, 1, 1
    # Class 0: 2·2 / (4 + 2); class 1: 0; class 2 is in neither.
    np.testing.assert_allclose(nearest.mean_dice(ours, theirs), [1 / 3])


def test_features_of_the_best_view_and_of_other_groups():
    queries = np.array([[[9.0, 9.0], [3.0, 0.0]]])
    references = np.array([[3.0, 0.0], [3.0, 4.0]])
    found = [
        nearest.nearest_features(queries, references, np.array([0, 1]), np.array([own]))
        for own in (-1, 0)
    ]
    np.testing.assert_allclose(found, [[0.0], [4.0]], atol=1e-6)


def test_orientations_tell_directions_and_nothing_of_gain():
    ramp = np.broadcast_to(np.arange(16.0)[None, :, None, None], (1, 16, 16, 1))
    features = Orientations()(ramp).reshape(8, 8, 8)
    assert (features.argmax(axis=-1) == 4).all()  # A quarter of a turn: downwards.
    np.testing.assert_allclose(np.linalg.norm(features), 1.0, rtol=1e-6)
    np.testing.assert_allclose(Orientations()(3 * ramp + 5).ravel(), features.ravel())
