"""The configurations of configs/experiments, as tests look at them."""

import importlib
from pathlib import Path

from fixtures import brats_spec
from jaxsyn.data import sources
from jaxsyn.experiments import plan
from jaxsyn.experiments.settings import Experiment
from jaxsyn.spec import DataSpec

FOLDER = Path(__file__).parent.parent / "configs" / "experiments"
NAMES = sorted(
    p.stem for p in FOLDER.glob("*.py") if p.stem not in ("__init__", "base")
)


def get_config(name, words=""):
    return importlib.import_module(f"configs.experiments.{name}").get_config(words)


def planned(name, words=""):
    experiment = Experiment.from_config(get_config(name, words).to_dict())
    return experiment, plan.make(experiment)


def cells_of(made, *jobs):
    return [cell for cell in made.cells.values() if cell.config["job"] in jobs]


def spec_of(data):
    """What is in a data set, as far as it is known without the files."""
    labels = getattr(sources.load(data["source"]).module, "LABELS", brats_spec().labels)
    size = data["prepare"]["image_size"]
    return DataSpec(image_size=size, modalities=("a", "b"), labels=labels)
