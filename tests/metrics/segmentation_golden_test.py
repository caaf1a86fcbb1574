"""Values of MedPy and MONAI on small ellipsoids; versions are in the file."""

import json
from pathlib import Path

import numpy as np
import pytest

from jaxsyn.metrics import overlap
from jaxsyn.metrics.surface import SurfaceSettings, surface_distances

CASES = json.loads(Path(__file__).with_name("golden_segmentation.json").read_text())[
    "cases"
]
RATIOS = ("dice", "sensitivity", "specificity", "precision")


def draw(shape, ellipsoids):
    """Ellipsoids, each a centre and radii in voxels."""
    grid = np.indices(shape)
    return np.any(
        [
            sum(((x - c) / r) ** 2 for x, c, r in zip(grid, *e, strict=True)) <= 1
            for e in ellipsoids
        ],
        axis=0,
    )


@pytest.fixture(params=CASES)
def case(request):
    case = CASES[request.param]
    masks = [draw(case["shape"], case[key]) for key in ("prediction", "reference")]
    assert [mask.sum() for mask in masks] == case["voxels"]
    return case | {"masks": masks}


def test_ratios(case):
    counts = overlap.count(*case["masks"])
    for name in (*RATIOS, "recall", "relative_volume"):
        assert getattr(counts, name) == pytest.approx(case["medpy"][name], rel=1e-12)
    for name in RATIOS:
        assert getattr(counts, name) == pytest.approx(case["monai"][name], rel=1e-6)


def test_surfaces_as_medpy_measures_them(case):
    distances = surface_distances(*case["masks"], spacing=case["spacing"])
    expected, directed = case["medpy"], case["medpy"]["asd"]
    for name in ("hd", "hd95", "assd"):
        assert getattr(distances, name)() == pytest.approx(expected[name], rel=1e-12)
    mean = distances.assd(SurfaceSettings(assd="mean"))  # As MedPy 0.4.0 does.
    assert mean == pytest.approx(sum(directed) / 2, rel=1e-12)
    assert mean != pytest.approx(expected["assd"], rel=1e-4)


def test_surfaces_as_monai_measures_them(case):
    distances = surface_distances(*case["masks"], spacing=case["spacing"])
    expected = case["monai"]
    found = {
        "hd": distances.hd(),
        "hd95_directed": distances.hd95(SurfaceSettings(hd95="max")),
        "assd": distances.assd(),
        "nsd_1mm": distances.nsd(SurfaceSettings(tolerance_mm=1.0)),
        "nsd_2mm": distances.nsd(SurfaceSettings(tolerance_mm=2.0)),
    }
    assert found == pytest.approx({name: expected[name] for name in found}, rel=1e-6)
    mean = distances.hd(SurfaceSettings(hd="mean"))
    assert mean == pytest.approx(sum(expected["directed_hd"]) / 2, rel=1e-6)
