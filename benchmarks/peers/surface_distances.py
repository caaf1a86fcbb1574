"""The comparison: HD95 and ASSD at 1 mm, as each tool's user would ask for them.

Started by `benchmarks.surface` in an environment that has the tool.
"""

import argparse

import numpy as np

from benchmarks import worker


def of_jaxsyn(prediction, reference, spacing):
    """One pass for both, `jaxsyn.metrics.surface`."""
    from jaxsyn.metrics.surface import surface_distances

    def measure():
        distances = surface_distances(prediction, reference, spacing=spacing)
        return distances.hd95(), distances.assd()

    return measure


def of_medpy(prediction, reference, spacing):
    """MedPy: https://github.com/loli/medpy."""
    from medpy.metric import binary

    def measure():
        pair = prediction, reference, spacing
        return binary.hd95(*pair), binary.assd(*pair)

    return measure


def of_monai(prediction, reference, spacing):
    """MONAI: https://github.com/Project-MONAI/MONAI."""
    from monai import metrics
    import torch

    pair = [
        torch.from_numpy(mask[None, None].astype(np.float32))
        for mask in (prediction, reference)
    ]
    common = {"include_background": True, "spacing": spacing}

    def measure():
        hd95 = metrics.compute_hausdorff_distance(*pair, percentile=95, **common)
        assd = metrics.compute_average_surface_distance(*pair, symmetric=True, **common)
        return hd95.item(), assd.item()

    return measure


def of_surface_distance(prediction, reference, spacing):
    """surface-distance: https://github.com/google-deepmind/surface-distance."""
    import surface_distance

    def measure():
        distances = surface_distance.compute_surface_distances(
            reference, prediction, spacing
        )
        hd95 = surface_distance.compute_robust_hausdorff(distances, 95)
        return hd95, np.mean(
            surface_distance.compute_average_surface_distance(distances)
        )

    return measure


TOOLS = {
    "jaxsyn": of_jaxsyn,
    "medpy": of_medpy,
    "monai": of_monai,
    "surface-distance": of_surface_distance,
}


def main():
    """Runs the worker."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", choices=TOOLS, required=True)
    parser.add_argument("--masks", required=True, help="what surface.py wrote")
    args = parser.parse_args()

    def make_work():
        with np.load(args.masks) as masks:
            pair = masks["prediction"], masks["reference"]
        step = TOOLS[args.tool](*pair, (1.0, 1.0, 1.0))
        hd95, assd = step()
        facts = {"hd95": float(hd95), "assd": float(assd)}
        return worker.Work(step=step, facts=facts)

    worker.serve(make_work)


if __name__ == "__main__":
    main()
