"""Every configuration parses, builds what it names, and runs when shrunk."""

import importlib
from pathlib import Path

import pytest

from configs import datasets
from fixtures import brats_spec
from jaxsyn import jobs, settings, systems, train
from jaxsyn.data import sources
from jaxsyn.data.feed import DataSettings
from jaxsyn.engine.optimizers import Adam
from jaxsyn.errors import UsageError
from jaxsyn.evaluate import judge
from jaxsyn.spec import DataSpec

ROOT = Path(__file__).parent.parent
CONFIGS = sorted(
    path.stem
    for path in (ROOT / "configs").glob("*.py")
    if path.stem not in ("__init__", "common", "datasets")
)
COMPARED = ("borde", "sean", "pix2pix", "shin", "pix2pixhd", "cyclegan", "samr")
COMPARED += ("platscher", "platscher-spade")
WORDS = {
    "borde_brats": [f"regions={r}" for r in ("semantic", "b+semantic", "b+2", "b+4")]
    + [f"row={r}" for r in ("blocks", "multi_task", "residual")]
    + ["adam=momentum", "adam=ttur"],
    "samr_brats": ["preset=samr-code", "preset=samr-literal"]
    + [f"row=no-{r}" for r in ("stretch-out", "label-wise", "atlas", "consistency")],
    "pix2pix_brats": ["lambda=10", "generator=resnet"],
    "platscher_brats": ["lambda=10", "generator=spade"],
    "sean_brats": ["shared"],
    "pix2pixhd_brats": ["enhancer"],
    "spade_brats": ["vae"],
    "pgan_brats": ["codec=one_hot"],
    "stylegan2_brats": ["makes=pairs", "makes=images", "preset=f", "preset=half"]
    + ["ada"],
    "cstylegan2_brats": ["condition=index", "preset=f", "ada"],
    "compare": [f"system={name}" for name in COMPARED],
    "train": [f"data={name}" for name in datasets.DATA]
    + [f"system={name},data=table" for name in ("borde", "wgan3d", "pgan", "samr")],
    "judge": [f"data={name}" for name in datasets.DATA] + ["paper=004,data=dwi_stroke"],
    "judge_borde_brats": ["real"] + [f"paper=00{i}" for i in range(5)],
}
VARIANTS = [(c, w) for c in CONFIGS for w in ["", *WORDS.get(c, [])]]


def get_config(name, words):
    module = importlib.import_module(f"configs.{name}")
    return module.get_config(words) if name != "segment" else module.get_config()


def of_job(*jobs):
    return [(c, w) for c, w in VARIANTS if get_config(c, w).job in jobs]


# `compare` trains what others train.
TRAININGS = sorted({name for name, _ in of_job("train")} - {"compare"})


@pytest.mark.parametrize(("name", "words"), of_job("judge"))
def test_a_judge_reads_it(name, words, tmp_path):
    config = get_config(name, words)
    config.generator = "somewhere"
    made = judge.Judge.from_config(config.to_dict(), tmp_path)
    known = sources.load(made.data.source).module
    # Where they are the folder's own, any will do.
    labels = getattr(known, "LABELS", brats_spec().labels)
    spec = DataSpec(image_size=256, modalities=("t1",), labels=labels)
    assert made.metrics.for_spec(spec).regions
    assert set(made.parts.paper) <= {row.name for row in made.rows}


def test_every_job_has_a_configuration():
    found = {get_config(name, "").job for name in CONFIGS}
    assert found | {"experiment"} == set(jobs.JOBS)


@pytest.mark.parametrize(("name", "words"), of_job("train", "judge"))
def test_builds_what_it_names(name, words):
    config = get_config(name, words).to_dict()
    data = DataSettings.from_config(config["data"])
    spec = brats_spec(data.prepare.image_size)
    system = systems.build(config["system"], spec)
    assert set(config["optimizers"]) == set(system.networks)
    for values in config["optimizers"].values():
        settings.build(Adam, values, "optimizer")
    settings.build(train.TrainSettings, config["train"], "config.train")


@pytest.mark.parametrize(
    ("name", "words"),
    [(name, "") for name in TRAININGS] + [("train", "system=borde,data=isles2018")],
)
def test_runs_when_shrunk(name, words, tmp_path_factory, monkeypatch):
    # One prepared phantom serves all.
    shared = tmp_path_factory.getbasetemp() / "prepared"
    config = get_config(name, f"{words},runlocal")
    config.data.prepared_dir = str(shared)
    workdir = tmp_path_factory.mktemp(name)
    train.run(config, workdir)
    assert list((workdir / "samples").glob("*.png"))
    assert (workdir / "metrics.jsonl").read_text()
    assert list((workdir / "checkpoints").iterdir())


def test_an_unknown_word_lists_the_known():
    with pytest.raises(ValueError, match="'runlokal' is none of: .*runlocal"):
        get_config("spade_brats", "runlokal")


def test_a_systems_own_augmentation_is_kept_where_the_data_have_none():
    def augment(words):
        return get_config("train", words).data.augment.to_dict()

    jitter = get_config("pix2pix_brats", "").data.augment.to_dict()
    assert jitter["zoom"][0] > 1.1
    assert augment("system=pix2pix,data=brats") == jitter
    assert augment("system=pix2pix,data=table") == jitter
    assert augment("system=pix2pix,data=kits19") != jitter
    assert augment("system=spade,data=table") == {"flip": 0.5}


def test_an_unknown_system_lists_the_known():
    with pytest.raises(ValueError, match="'spad' is none of: .*sean, .*spade"):
        get_config("train", "system=spad")


def static_labels(data):
    return getattr(sources.load(data.source).module, "LABELS", None)


@pytest.mark.parametrize("system", ["spade", "borde", "samr", "wgan3d", "pgan"])
def test_a_system_knows_the_labels_of_every_data_set(system):
    for name, data in datasets.DATA.items():
        if labels := static_labels(data):
            config = get_config("train", f"system={system},data={name}").to_dict()
            spec = DataSpec(image_size=128, modalities=("a", "b"), labels=labels)
            if system == "samr" and name in ("oasis_tissues", "ibsr18"):
                with pytest.raises(UsageError, match="config.system.lesion"):
                    systems.build(config["system"], spec)
                continue
            systems.build(config["system"], spec)
            for label in config["data"]["holding"]:
                spec.label_index(label)
