"""Cases and tables: reductions, conventions, and what is refused."""

import json
import math

import numpy as np
import pytest

from jaxsyn.errors import DataError, UsageError
from jaxsyn.metrics import measure, overlap, regions
from jaxsyn.metrics.segmentation import SegmentationMetrics
from jaxsyn.metrics.segmentation_table import Cell, Unit
from jaxsyn.metrics.surface import SurfaceSettings, surface_distances

SPACING = (3.0, 1.0, 2.0)
ONE = {"lesion": (1,)}


@pytest.fixture
def label_maps():
    """Three predictions and references [slice, row, column] with labels 0 to 4."""
    return np.random.default_rng(0).integers(0, 5, (3, 2, 4, 6, 5))


def labels(*rows):
    """A label map of one slice."""
    return np.array([list(map(int, row)) for row in rows])


def judged(metrics, pairs, **case):
    return [unit for pair in pairs for unit in metrics.case(*pair, **case)]


def test_brats_regions_of_raw_labels():
    raw = labels("01234")
    for declared, found in ((regions.BRATS, 4), (regions.BRATS_2023, 3)):
        masks = {r.name: np.flatnonzero(r.mask(raw)).tolist() for r in declared}
        assert masks == {"WT": [1, 2, found], "TC": [1, found], "ET": [found]}


def test_a_case_has_a_value_for_each_region_and_metric(label_maps):
    prediction, reference = label_maps[0]
    metrics = SegmentationMetrics(regions=regions.BRATS, metrics=measure.ALL)
    (unit,) = metrics.case(prediction, reference, spacing=SPACING, name="a")
    assert list(unit.values) == ["WT", "TC", "ET"] and unit.name == "a"
    assert all(list(row) == list(measure.ALL) for row in unit.values.values())
    masks = [np.isin(x, (1, 4)) for x in (prediction, reference)]
    distances = surface_distances(*masks, spacing=SPACING)
    assert unit.values["TC"]["dice"] == overlap.count(*masks).dice
    assert unit.values["TC"]["hd95"] == distances.hd95()
    assert unit.decided == {"WT": (), "TC": (), "ET": ()}


def test_settings_reach_the_metrics(label_maps):
    settings = SurfaceSettings(hd="mean", hd95="max", assd="mean", tolerance_mm=0.5)
    names = ("hd", "hd95", "assd", "nsd")
    metrics = SegmentationMetrics(regions=ONE, metrics=names, surface=settings)
    prediction, reference = label_maps[0]
    (unit,) = metrics.case(prediction, reference, spacing=SPACING)
    distances = surface_distances(prediction == 1, reference == 1, spacing=SPACING)
    expected = {name: getattr(distances, name)(settings) for name in names}
    assert unit.values["lesion"] == expected
    text = str(metrics.table([unit]))
    assert "hd: mean of the directed distances. hd95: max percentile." in text
    assert "nsd: tolerance 0.5 mm." in text


def test_a_volume_is_one_value():
    metrics = SegmentationMetrics(regions=ONE, metrics=("dice",), empty="nan")
    pairs = [
        (labels("110"), labels("110")),  # 1
        (labels("110"), labels("011")),  # 1/2
        (labels("000"), labels("011")),  # 0
        (labels("000"), labels("002")),  # Undefined.
    ]
    table = metrics.table(judged(metrics, pairs, spacing=(1.0, 1.0)))
    assert table.cells["lesion"]["dice"] == Cell(
        mean=0.5, sd=0.5, n=3, decided=1, undefined=1
    )
    assert table.count == 4


def test_slices_are_values_with_their_own_spacing(label_maps):
    names = ("dice", "hd95")
    for axis, in_plane in ((0, (1.0, 2.0)), (2, (3.0, 1.0))):
        metrics = SegmentationMetrics(
            regions=ONE, metrics=names, reduce="slice", slice_axis=axis
        )
        flat = SegmentationMetrics(regions=ONE, metrics=names)
        prediction, reference = (np.moveaxis(x, axis, 0) for x in label_maps[0])
        units = metrics.case(*label_maps[0], spacing=SPACING, name="a")
        assert [unit.name for unit in units] == [f"a[{i}]" for i in range(len(units))]
        for unit, *pair in zip(units, prediction, reference, strict=True):
            (expected,) = flat.case(*pair, spacing=in_plane)
            assert unit.values == expected.values
        assert metrics.table(units).count == label_maps.shape[2 + axis]
    assert len(metrics.case(*label_maps[0, :, 0], spacing=(1.0, 2.0))) == 1


def test_pooled_ratios_are_those_of_all_voxels_together(label_maps):
    metrics = SegmentationMetrics(
        regions=regions.BRATS, metrics=measure.OVERLAP, reduce="pool"
    )
    table = metrics.table(judged(metrics, label_maps, spacing=SPACING))
    together = [np.isin(x, (1, 4)) for x in np.moveaxis(label_maps, 1, 0)]
    expected = overlap.count(*(x.reshape(-1, *x.shape[-2:]) for x in together))
    for name, cell in table.cells["TC"].items():
        assert cell.mean == getattr(expected, name)
    assert table.count == 3 and "pool (voxels of all cases" in str(table)


def test_pooled_cases_may_be_empty_where_their_sum_is_not():
    metrics = SegmentationMetrics(
        regions=ONE, metrics=("dice", "sensitivity"), reduce="pool", empty="raise"
    )
    pairs = [(labels("00"), labels("00")), (labels("10"), labels("11"))]
    units = judged(metrics, pairs, spacing=(1.0, 1.0))
    assert metrics.table(units).cells["lesion"]["sensitivity"].mean == 0.5
    with pytest.raises(DataError, match="dice of lesion, pooled, is undefined"):
        metrics.table(units[:1])


def test_the_brats_convention_on_a_brats_grid():
    empty = np.zeros((240, 240, 155), np.uint8)
    there = empty.copy()
    there[100:110, 100:110, 70:80] = 1
    metrics = SegmentationMetrics(
        regions=ONE, metrics=("dice", "hd95", "sensitivity"), empty="brats"
    )
    pairs = [(empty, empty), (there, empty), (empty, there), (there, there)]
    units = judged(metrics, pairs, spacing=(1.0, 1.0, 1.0))
    values = [tuple(unit.values["lesion"].values()) for unit in units]
    diagonal = pytest.approx(373.12866, abs=5e-6)
    assert values == [(1, 0, 1), (0, diagonal, 0), (0, diagonal, 0), (1, 0, 1)]
    cells = metrics.table(units).cells["lesion"]
    decided = {name: cell.decided for name, cell in cells.items()}
    assert decided == {"dice": 1, "hd95": 3, "sensitivity": 2}
    assert all(cell.n == 4 and cell.undefined == 0 for cell in cells.values())


def test_relative_volume_leaves_out_cases_without_reference():
    metrics = SegmentationMetrics(
        regions=ONE, metrics=("relative_volume",), empty="brats"
    )
    pairs = [(labels("111"), labels("001")), (labels("111"), labels("000"))]
    cell = metrics.table(judged(metrics, pairs, spacing=(1.0, 1.0)))
    found = cell.cells["lesion"]["relative_volume"]
    assert (found.mean, found.n, found.undefined) == (200.0, 1, 1)
    assert math.isnan(found.sd)


def test_specificity_asks_whether_anything_is_outside():
    metrics = SegmentationMetrics(
        regions=ONE, metrics=("specificity",), empty="medpy05"
    )
    pairs = [(labels("00"), labels("00")), (labels("11"), labels("11"))]
    nothing, everything = judged(metrics, pairs, spacing=(1.0, 1.0))
    assert nothing.values == {"lesion": {"specificity": 1.0}}
    assert nothing.decided == {"lesion": ()}
    assert everything.values == {"lesion": {"specificity": 0.0}}
    assert everything.decided == {"lesion": ("specificity",)}


def test_lesions_that_are_left_out_count_as_none():
    metrics = SegmentationMetrics(regions=ONE, metrics=("lesion_f1",), empty="brats")
    small = SegmentationMetrics(
        regions=ONE,
        metrics=("lesion_f1",),
        empty="brats",
        lesions=measure.LesionSettings(min_volume_mm3=2.0),
    )
    pair = labels("000"), labels("010")
    (counted,) = metrics.case(*pair, spacing=(1.0, 1.0))
    (left_out,) = small.case(*pair, spacing=(1.0, 1.0))
    assert counted.values == {"lesion": {"lesion_f1": 0.0}}
    assert left_out.values == {"lesion": {"lesion_f1": 1.0}}
    assert left_out.decided == {"lesion": ("lesion_f1",)}


def test_a_table_prints_all_that_its_numbers_depend_on():
    metrics = SegmentationMetrics(regions=ONE, metrics=("dice", "hd"), empty="brats")
    pairs = [(labels("110"), labels("011")), (labels("000"), labels("000"))]
    table = metrics.table(judged(metrics, pairs, spacing=(1.0, 2.0)))
    assert str(table) == (
        "| region | metric | mean ± sd | n | by convention | undefined |\n"
        "|---|---|---|---|---|---|\n"
        "| lesion | dice | 0.75 ± 0.3536 | 2 | 1 | 0 |\n"
        "| lesion | hd, mm | 1 ± 1.414 | 2 | 1 | 0 |\n"
        "\n"
        "Reduction: volume (one value a case); 2 judged. Empty masks: convention"
        " 'brats'; undefined values do not enter means. hd: max of the directed"
        " distances."
    )


def test_undefined_means_are_dashes_and_null():
    metrics = SegmentationMetrics(regions=ONE, metrics=("dice",))
    table = metrics.table(metrics.case(labels("0"), labels("0"), spacing=(1.0, 1.0)))
    assert "| lesion | dice | – | 0 | 1 | 1 |" in table.format()
    cell = json.loads(json.dumps(table.to_json(), allow_nan=False))["cells"]["lesion"]
    assert cell["dice"]["mean"] is None and cell["dice"]["n"] == 0


def test_units_survive_json(label_maps):
    metrics = SegmentationMetrics(regions=regions.BRATS, empty="monai")
    nothing = np.zeros_like(label_maps[0])
    pairs = [label_maps[0], nothing, (label_maps[0, 0], nothing[0])]
    units = judged(metrics, pairs, spacing=SPACING, name="a")
    text = json.dumps([unit.to_json() for unit in units], allow_nan=False)
    back = [Unit.from_json(data) for data in json.loads(text)]
    assert str(metrics.table(back)) == str(metrics.table(units))
    assert [unit.counts for unit in back] == [unit.counts for unit in units]


def test_infinite_distances_stay_in_the_mean():
    metrics = SegmentationMetrics(regions=ONE, metrics=("hd",), empty="monai")
    pairs = [(labels("1"), labels("1")), (labels("0"), labels("1"))]
    table = metrics.table(judged(metrics, pairs, spacing=(1.0, 1.0)))
    assert table.cells["lesion"]["hd"].mean == math.inf
    assert "| lesion | hd, mm | inf | 2 | 1 | 0 |" in str(table)


def test_pairs_that_do_not_fit_are_refused():
    metrics = SegmentationMetrics(regions=ONE, metrics=("dice",))
    with pytest.raises(DataError, match=r"shape \(1, 2\).*shape \(1, 3\)"):
        metrics.case(labels("01"), labels("011"), spacing=(1.0, 1.0))
    with pytest.raises(DataError, match="does not fit 2 axes"):
        metrics.case(labels("01"), labels("01"), spacing=(1.0, 1.0, 1.0))
    with pytest.raises(DataError, match="prediction has values of type float64"):
        metrics.case(labels("01") * 0.5, labels("01"), spacing=(1.0, 1.0))
    with pytest.raises(DataError, match="dice of lesion in case 7 is undefined"):
        SegmentationMetrics(regions=ONE, metrics=("dice",), empty="raise").case(
            labels("0"), labels("0"), spacing=(1.0, 1.0), name="case 7"
        )


def test_affines_must_put_voxels_in_the_same_place(label_maps):
    metrics = SegmentationMetrics(regions=ONE, metrics=("dice",))
    affine, near, far, turned = (np.diag([*SPACING, 1.0]) for _ in range(4))
    near[0, 3], far[0, 3] = 9e-4, 2e-3
    turned[1, 2] = 1e-3  # 4 mm away from the origin, 4e-3 mm.

    def case(other):
        metrics.case(*label_maps[0], spacing=SPACING, affines=(other, affine))

    case(near)
    with pytest.raises(DataError, match=r"0\.002 mm apart"):
        case(far)
    with pytest.raises(DataError, match=r"0\.004 mm apart"):
        case(turned)
    flat = label_maps[0, :, 0]
    metrics.case(*flat, spacing=(3.0, 1.0), affines=(near, affine))
    with pytest.raises(DataError, match=r"0\.002 mm apart"):
        metrics.case(*flat, spacing=(3.0, 1.0), affines=(far, affine))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metrics": ("dice", "iou")}, r"No metrics \['iou'\]"),
        ({"metrics": ()}, "No metrics"),
        ({"metrics": ("dice", "hd95"), "reduce": "pool"}, r"No metrics \['hd95'\]"),
        ({"reduce": "mean"}, "No reduction 'mean'"),
        ({"slice_axis": 3}, "No axis 3"),
        ({"empty": "zero"}, "No convention 'zero'"),
        ({"regions": {}}, "At least one is needed"),
        ({"regions": {"WT": ()}}, "no region"),
        ({"regions": regions.BRATS * 2}, "a name of its own"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        SegmentationMetrics(**{"regions": ONE} | settings)


def test_a_table_needs_a_case():
    with pytest.raises(UsageError, match="no cases"):
        SegmentationMetrics(regions=ONE).table([])
