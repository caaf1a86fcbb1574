"""Metrics by name, each with what it saw as empty."""

from collections.abc import Sequence

import numpy as np

from jaxsyn.metrics.conventions import Measured
from jaxsyn.metrics.lesions import LesionSettings, count_lesions
from jaxsyn.metrics.overlap import Counts
from jaxsyn.metrics.surface import SurfaceSettings, surface_distances

OVERLAP = (
    "dice",
    "sensitivity",
    "recall",
    "specificity",
    "precision",
    "relative_volume",
)
SURFACE = ("hd", "hd95", "assd", "nsd")
LESIONS = ("lesion_f1",)
ALL = OVERLAP + SURFACE + LESIONS


def of_counts(counts: Counts, metrics: Sequence[str]) -> dict[str, Measured]:
    """Those of `metrics` that are in `OVERLAP`."""
    found = {}
    for name in metrics:
        if name in OVERLAP:
            # Specificity is the sensitivity for what is not marked.
            seen = counts.complement if name == "specificity" else counts
            found[name] = Measured(
                getattr(counts, name),
                reference_empty=seen.tp + seen.fn == 0,
                prediction_empty=seen.tp + seen.fp == 0,
            )
    return found


def of_masks(
    prediction: np.ndarray,
    reference: np.ndarray,
    metrics: Sequence[str],
    *,
    spacing: Sequence[float],
    surface: SurfaceSettings,
    lesions: LesionSettings,
) -> dict[str, Measured]:
    """Those of `metrics` that are in `SURFACE` and `LESIONS`.

    Masks are boolean, [H, W] or [X, Y, Z]; spacing is in mm, along each axis.
    """
    found = {}
    if wanted := [name for name in SURFACE if name in metrics]:
        apart = surface_distances(prediction, reference, spacing=spacing)
        for name in wanted:
            found[name] = Measured(
                getattr(apart, name)(surface),
                reference_empty=not apart.to_prediction.size,
                prediction_empty=not apart.to_reference.size,
            )
    if "lesion_f1" in metrics:
        counted = count_lesions(
            prediction, reference, spacing=spacing, settings=lesions
        )
        found["lesion_f1"] = Measured(
            counted.f1,
            reference_empty=counted.reference == 0,
            prediction_empty=counted.prediction == 0,
        )
    return found
