"""A small generator, and a judge's table that it helped to fill."""

import pytest

from configs import quickstart
from jaxsyn import train
from jaxsyn.evaluate import judge
from judges import FRACTIONS, config_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("judge")


@pytest.fixture(scope="module")
def generator(folder):
    """The workdir of a trained generator, of the same division as the judge's."""
    config = quickstart.get_config("runlocal")
    config.data.phantom.patients = 5
    config.data.prepare.fractions = FRACTIONS
    config.data.prepared_dir = str(folder / "prepared")
    train.run(config, folder / "generator")
    return folder / "generator"


@pytest.fixture(scope="module")
def filled(folder, generator):
    """A table of four rows and two seeds."""
    rows = (
        {"name": "none"},
        {"name": "both", "augment": "classical", "synthetic": 1.5},
        {"name": "synthetic", "patients": 0, "synthetic": 1.0},
        {"name": "tuned", "patients": 1, "start_from": "synthetic", "steps": 2},
    )
    config = config_of(folder, generator, rows=rows, seeds=(0, 1))
    config.paper = {"none": {"WT": {"dice": 0.85}}}
    workdir = folder / "table"
    judge.run(config, workdir)
    return workdir, config
