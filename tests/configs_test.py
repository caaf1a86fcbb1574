"""Every configuration parses, builds what it names, and runs when shrunk."""

import importlib
from pathlib import Path

import pytest

from fixtures import brats_spec
from jaxsyn import settings, systems, train
from jaxsyn.data.feed import DataSettings
from jaxsyn.engine.optimizers import Adam

ROOT = Path(__file__).parent.parent
CONFIGS = sorted(
    path.stem
    for path in (ROOT / "configs").glob("*.py")
    if path.stem not in ("__init__", "common")
)
WORDS = {
    "borde_brats": [f"regions={r}" for r in ("semantic", "b+semantic", "b+2", "b+4")]
    + [f"row={r}" for r in ("blocks", "multi_task", "residual")]
    + ["adam=momentum", "adam=ttur"],
    "spade_brats": ["vae"],
}
VARIANTS = [(c, w) for c in CONFIGS for w in ["", *WORDS.get(c, [])]]


def get_config(name, words):
    return importlib.import_module(f"configs.{name}").get_config(words)


@pytest.mark.parametrize(("name", "words"), VARIANTS)
def test_builds_what_it_names(name, words):
    config = get_config(name, words).to_dict()
    data = DataSettings.from_config(config["data"])
    spec = brats_spec(data.prepare.image_size)
    system = systems.build(config["system"], spec)
    assert set(config["optimizers"]) == set(system.networks)
    for values in config["optimizers"].values():
        settings.build(Adam, values, "optimizer")
    settings.build(train.TrainSettings, config["train"], "config.train")


@pytest.mark.parametrize("name", CONFIGS)
def test_runs_when_shrunk(name, tmp_path_factory, monkeypatch):
    # One prepared phantom serves all.
    shared = tmp_path_factory.getbasetemp() / "prepared"
    config = get_config(name, "runlocal")
    config.data.prepared_dir = str(shared)
    workdir = tmp_path_factory.mktemp(name)
    train.run(config, workdir)
    assert list((workdir / "samples").glob("*.png"))
    assert (workdir / "metrics.jsonl").read_text()
    assert list((workdir / "checkpoints").iterdir())


def test_an_unknown_word_lists_the_known():
    with pytest.raises(ValueError, match="'runlokal' is none of: .*runlocal"):
        get_config("spade_brats", "runlokal")
