"""Generators that remember, and that do not, before the audit."""

import csv
import json

import numpy as np
import pytest

from configs import audit as audit_config
from configs import synthesize_brats
from fixtures import save_training
from jaxsyn.data.feed import DataSettings
from jaxsyn.data.preprocess import dequantise
from jaxsyn.errors import DataError, UsageError
from jaxsyn.evaluate import audit, audit_sets
from jaxsyn.synthesis import synthesize
import smooth_patients

SYSTEM = {"name": "pix2pix", "ngf": 4, "ndf": 4, "kernel_init": "he"}
FRACTIONS = (0.5, 0.25, 0.25)
CHANGES = {
    **smooth_patients.CHANGES,
    "moved": lambda x: np.roll(x, (1, -2), axis=(1, 2)),
}


def config_of(folder, **parts):
    config = audit_config.get_config("runlocal")
    config.data.prepared_dir = str(folder / "prepared")
    config.data.prepare.fractions = FRACTIONS
    config.data.phantom.patients = 16
    config.generator, config.features = "a/folder", "orientations"
    config.update(parts)
    return config


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("audit")


@pytest.fixture(scope="module")
def prepared(folder):
    data = DataSettings.from_config(config_of(folder).data.to_dict())
    return data.open(folder / "prepared")


class Painter:
    """Paints classes in greys of its own; what it was taught, as it was taught."""

    makes_labels, makes_images = False, True

    def __init__(self, prepared, taught=(), names=None):
        self.spec, self.calls = prepared.spec, 0
        self.trained_on = {"unit": "patient", "names": prepared.split.parts["train"]}
        if names is not None:
            self.trained_on["names"] = names
        self.taught = dict(taught)

    def generate(self, labels, *, seed, normalised):
        rng = np.random.default_rng(seed)
        greys = np.linspace(-1, 0.8, len(self.spec.labels))
        noise = smooth_patients.ndimage.gaussian_filter(
            rng.normal(size=labels.shape), (0, 1, 1)
        )
        plain = np.clip(greys[labels] + 0.5 * noise * (labels > 0), -1, 1)
        images = np.repeat(plain[..., None], len(self.spec.modalities), axis=-1)
        for i, label in enumerate(labels):
            images[i] = self.taught.get(label.tobytes(), images[i])
        return images.astype(np.float32)


class Drawer(Painter):
    """Draws label maps that it is given."""

    makes_labels, makes_images = True, False

    def __init__(self, prepared, labels):
        super().__init__(prepared)
        self.labels = labels

    def sample(self, count, *, seed, first):
        return {"label": self.labels[np.arange(first, first + count)]}


def audited(monkeypatch, generator, config, workdir):
    monkeypatch.setattr(audit.Generator, "load", lambda path: generator)
    audit.run(config, workdir)
    with open(workdir / "audit.csv", newline="") as file:
        return json.loads((workdir / "verdict.json").read_text()), [
            *csv.DictReader(file)
        ]


def flagged(rows, *origins):
    return [row["flagged"] == "True" for row in rows if row["label_map_of"] in origins]


def taught(labels, images):
    return zip(map(bytes, labels), images, strict=True)


def of_part(prepared, *parts):
    caches = [prepared.cache(part) for part in parts]
    images = np.concatenate([dequantise(np.asarray(c.image)) for c in caches])
    return images, np.concatenate([np.asarray(c.label) for c in caches])


def test_one_that_remembers_nobody_passes(monkeypatch, prepared, folder, capsys):
    workdir = folder / "clean"
    verdict, rows = audited(monkeypatch, Painter(prepared), config_of(folder), workdir)
    assert verdict["word"] == "passes", verdict
    assert len(rows) == 2 * 8 * 8  # Eight patients of each kind, eight slices each.
    assert {row["label_map_of"] for row in rows} == {"training", "unseen"}
    assert np.mean(flagged(rows, "training", "unseen")) <= 0.05
    assert "Verdict: passes." in capsys.readouterr().out
    assert {"pairs.png", "own_pairs.png", "ratio.svg", "own.svg"} <= {
        path.name for path in (workdir / "figures").iterdir()
    }


def test_no_file_names_a_patient_or_a_path(monkeypatch, prepared, folder):
    workdir = folder / "nameless"
    audited(monkeypatch, Painter(prepared), config_of(folder), workdir)
    names = {*prepared.cases, *prepared.patient_of.values(), str(folder), "a/folder"}
    files = [path for path in workdir.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        content = path.read_bytes()
        assert not [name for name in names if name.encode() in content], path
        assert not [name for name in names if name in path.name]


def test_one_that_returns_its_training_images_fails(monkeypatch, prepared, folder):
    images, labels = of_part(prepared, "train")
    generator = Painter(prepared, taught(labels, CHANGES["turned"](images)))
    verdict, rows = audited(monkeypatch, generator, config_of(folder), folder / "own")
    assert verdict["word"] == "fails" and verdict["copies"]
    assert np.mean(flagged(rows, "training")) >= 0.95
    assert np.mean(flagged(rows, "unseen")) <= 0.05


@pytest.mark.parametrize("change", ["mirrored", "moved"])
def test_training_images_for_the_label_maps_of_others(
    change, monkeypatch, prepared, folder
):
    images, _ = of_part(prepared, "train")
    _, labels = of_part(prepared, "validation", "test")
    copies = np.resize(CHANGES[change](images), (len(labels), *images.shape[1:]))
    verdict, rows = audited(
        monkeypatch,
        Painter(prepared, taught(labels, copies)),
        config_of(folder),
        folder / f"others-{change}",
    )
    assert verdict["word"] == "fails"
    assert np.mean(flagged(rows, "unseen")) >= 0.95
    assert np.mean(flagged(rows, "training")) <= 0.05


def test_label_maps_from_memory_fail(monkeypatch, prepared, folder):
    _, seen = of_part(prepared, "train")
    config = config_of(folder, samples=40)
    verdict, rows = audited(
        monkeypatch,
        Drawer(prepared, seen[:, :, ::-1]),
        config.copy_and_resolve_references(),
        folder / "masks-copied",
    )
    assert verdict["word"] == "fails"
    assert np.mean(flagged(rows, "none")) >= 0.95


def exported(folder):
    config = synthesize_brats.get_config("runlocal")
    config.data.update(config_of(folder).data)
    prepared = DataSettings.from_config(config.data.to_dict()).open(folder / "prepared")
    save_training(
        folder / "images", SYSTEM, prepared.spec, prepared.split.parts["train"]
    )
    config.generator = str(folder / "images")
    synthesize.run(config, folder / "synthetic")
    return folder / "synthetic"


def test_an_export_of_few_cases_cannot_tell(prepared, folder):
    config = config_of(folder, generator="", export=str(exported(folder)))
    audit.run(config, folder / "exported")
    verdict = json.loads((folder / "exported/verdict.json").read_text())
    assert verdict["word"] in ("cannot tell", "fails")
    assert (folder / "exported/audit.csv").stat().st_size
    with pytest.raises(DataError, match="is no finished export"):
        audit.run(config_of(folder, generator="", export="none"), folder / "none")


def test_few_unseen_patients_cannot_tell(monkeypatch, prepared, folder):
    others = sorted({*prepared.patient_of.values()} - {*prepared.split.parts["test"]})
    generator = Painter(prepared, names=others)
    verdict, _ = audited(monkeypatch, generator, config_of(folder), folder / "few")
    assert verdict["word"] == "cannot tell"
    assert "only 4 unseen patients" in verdict["reasons"][0]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["stranger"], "1 of 1 training patients or slices are not in the data"),
        ([], "0 of 0 training patients"),
        (None, "no patient whom the generator has not seen"),
        ("one", "one training patient"),
    ],
)
def test_data_that_are_not_the_trainings(names, words, monkeypatch, prepared, folder):
    every = sorted({*prepared.patient_of.values()})
    names = {None: every, "one": every[:1]}.get(
        names if not isinstance(names, list) else "", names
    )
    generator = Painter(prepared, names=names)
    monkeypatch.setattr(audit.Generator, "load", lambda path: generator)
    with pytest.raises(DataError, match=words):
        audit.run(config_of(folder), folder / "refused")
    assert not (folder / "refused").exists()


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"generator": ""}, "config.generator is '' and config.export is ''"),
        ({"export": "b"}, "config.export is 'b'"),
        ({"features": "inceptoin"}, "features='inceptoin'"),
        ({"features": "unet"}, "needs a U-Net"),
        ({"slices": 0}, "config.slices is 0"),
        ({"samples": 2}, "config.samples 2"),
    ],
)
def test_settings_that_make_no_sense(parts, words, folder):
    with pytest.raises(UsageError, match=words):
        audit.run(config_of(folder, **parts), folder / "senseless")


def test_slices_of_a_patient_are_spread_evenly(prepared):
    members, unseen = audit_sets.divide(
        prepared, prepared.split.parts["train"], audit_sets.of_images
    )
    assert len(np.unique(members.patients)) == 8
    some = unseen.spread(3, 2)
    assert len(np.unique(some.patients)) == 3 and len(some) == 6
    (first, last), patient = some.places[:2], some.patients[0]
    rows = [unseen.places[i] for i in np.flatnonzero(unseen.patients == patient)]
    assert [first[1], last[1]] == [rows[0][1], rows[-1][1]]


def test_paths_are_hashed():
    found = audit.without_paths({"a": {"b": "/data/Doe", "c": "brats"}, "d": 1})
    assert found["a"]["c"] == "brats" and found["d"] == 1
    assert found["a"]["b"].startswith("sha256:") and "Doe" not in found["a"]["b"]
