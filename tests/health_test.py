"""What goes wrong with a training is found, and what is merely young is not."""

import json
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import quickstart
from jaxsyn import health, train
from jaxsyn.data.preprocess import quantise
from jaxsyn.engine.checkpoint import Checkpoints
from jaxsyn.engine.step import Engine
from jaxsyn.engine.system import Stage
from jaxsyn.engine.watch import DivergedError
from jaxsyn.errors import UsageError
from jaxsyn.health import Health, UnhealthyError, find_alarms, is_certain
from jaxsyn.spec import DataSpec

SPEC = DataSpec(
    image_size=16,
    modalities=("flair",),
    labels=("background", "brain", "lesion"),
    intensities=((0.0, 1.0),),
)
STAGE = Stage(start=0, stop=100, image_size=16, batch_size=4)


def label_maps(count=8):
    """Brains with a lesion each, at different places."""
    label = np.ones((count, 16, 16), np.uint8)
    for i in range(count):
        label[i, i : i + 6, i : i + 6] = 2
    return label


def slices(count=8):
    label = label_maps(count)
    image = (label[..., None] - 1.0).astype(np.float32)
    rows = [(f"case{i}", 0) for i in range(count)]
    return types.SimpleNamespace(label=label, image=quantise(image), rows=rows)


class Planted:
    """An engine that makes what it is told to."""

    def __init__(self, make, makes_labels=False):
        self.make = make
        kind = "label" if makes_labels else "image"
        self.system = types.SimpleNamespace(
            makes_labels=makes_labels, decode=lambda made: {kind: made}
        )

    def generate(self, state, batch, *, stage, index):
        key = jax.random.fold_in(jax.random.key(0), index)
        return self.make(batch["label"], jax.random.normal(key, (8, 1, 1)))


class Lines:
    """A writer to metrics.jsonl, where `Health` reads what it wrote before."""

    def __init__(self, folder):
        self.path = folder / "metrics.jsonl"

    def write_scalars(self, step, scalars):
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step, **scalars}) + "\n")

    def flush(self):
        pass

    def rows(self):
        return [json.loads(line) for line in self.path.read_text().splitlines()]


def healthy(label, noise):
    return (label - 1.0 + 0.3 * noise)[..., None]


def look_at(folder, *makers, on_alarm="warn", makes_labels=False):
    """A look at each of some generators, as at one that trains; returns the lines."""
    writer = Lines(folder)
    engine = Planted(None, makes_labels)
    options = (engine, [STAGE], slices(), SPEC, folder, writer)
    for step, make in enumerate(makers, start=1):
        engine.make = make
        Health(*options, every=1, on_alarm=on_alarm).look(None, step)
    return writer.rows()


def alarms(caplog):
    return [record.getMessage() for record in caplog.records]


def test_what_follows_its_label_map_is_healthy(tmp_path, caplog):
    rows = look_at(tmp_path, healthy, healthy, healthy)
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert rows[2]["health/conditioning"] == pytest.approx(1.0, rel=1e-3)
    assert rows[2]["health/contrast"] == pytest.approx(1.0, rel=1e-3)
    assert rows[2]["health/noise"] > 0.5
    assert not alarms(caplog)


PLANTED = {
    "hardly depend on the label map": (
        healthy,
        lambda label, noise: healthy(label_maps()[:1] + 0 * label, noise),
    ),
    "nearly blank": (healthy, lambda label, noise: 0.01 * healthy(label, 0 * noise)),
    "one and the same": (healthy, lambda label, noise: healthy(label, 0.0 * noise)),
}


@pytest.mark.parametrize("message", PLANTED)
def test_what_goes_wrong_is_said_at_the_second_look(message, tmp_path, caplog):
    well, ill = PLANTED[message]
    look_at(tmp_path, well, ill)
    assert not alarms(caplog)
    (tmp_path / "metrics.jsonl").unlink()
    look_at(tmp_path, well, ill, ill)
    assert any(message in said for said in alarms(caplog))


def test_noise_that_never_did_anything_is_not_missed(tmp_path, caplog):
    look_at(tmp_path, *[lambda label, noise: healthy(label, 0.0 * noise)] * 3)
    assert not alarms(caplog)


def test_label_maps_that_are_all_alike_end_the_training(tmp_path):
    def collapsed(label, noise):
        return jnp.asarray(label_maps()[:1] + 0 * label)

    with pytest.raises(UnhealthyError, match=r"^Step 2: Label maps are nearly all"):
        look_at(tmp_path, *[collapsed] * 2, on_alarm="stop", makes_labels=True)


def test_label_maps_that_differ_are_healthy(tmp_path, caplog):
    def diverse(label, noise):
        return jnp.roll(jnp.asarray(label_maps()), 3, axis=1)

    rows = look_at(tmp_path, diverse, diverse, makes_labels=True)
    assert rows[1]["health/diversity"] == pytest.approx(1.0, rel=0.2)
    assert not alarms(caplog)


def test_looks_are_due_every_so_often(tmp_path):
    writer = Lines(tmp_path)
    options = (Planted(healthy), [STAGE], slices(), SPEC, tmp_path, writer)
    watched = Health(*options, every=4, on_alarm="warn")
    for step in (4, 4, 6, 8):
        watched.look(None, step)
    assert [row["step"] for row in writer.rows()] == [4, 8]


def test_an_ended_training_is_not_measured_twice(tmp_path):
    look_at(tmp_path, healthy, healthy)
    assert len(look_at(tmp_path, healthy, healthy)) == 2


def losing(loss, count=health.LINES, **more):
    half = {"discriminator/fake": loss / 2, "discriminator/real": loss / 2}
    return [{"step": i, **half, **more} for i in range(count)]


def test_a_discriminator_that_loses_nothing_has_nothing_to_learn():
    assert is_certain(losing(0.01))
    assert not is_certain(losing(0.01, health.LINES - 1))
    assert not is_certain([*losing(0.01), *losing(1.0, 1)])
    assert is_certain([*losing(1.0), *losing(0.01)])
    assert not is_certain(losing(0.01, **{"discriminator/penalty": 0.1}))
    cycle = {f"critics/{k}_{t}": 0.001 for k in "ab" for t in ("fake", "real")}
    assert is_certain([{"step": i, **cycle} for i in range(health.LINES)])
    (alarm,) = find_alarms(losing(0.01), {})
    assert "tells synthetic from real with certainty" in alarm.what


def test_an_unknown_policy_lists_the_known():
    with pytest.raises(UsageError, match="on_alarm='panic'") as error:
        train.TrainSettings(steps=1, on_alarm="panic")
    assert "stop" in error.value.hint


def diverging(monkeypatch, seeds=1):
    """Losses are no numbers at step 4 with the first seeds."""
    step = Engine.step
    bad_seeds = [train._NEXT_SEED * i for i in range(seeds)]

    def planted(self, state, batch, **options):
        after, scalars = step(self, state, batch, **options)
        bad = (state.step == 3) & (self.seed in bad_seeds)
        return after, {k: jnp.where(bad, jnp.nan, v) for k, v in scalars.items()}

    monkeypatch.setattr(Engine, "step", planted)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("health")


def train_there(folder, name, steps, rollbacks):
    config = quickstart.get_config("runlocal")
    config.data.prepared_dir = str(folder / "prepared")
    config.train.update({"steps": steps, "log_every": 1, "checkpoint_every": 2})
    config.train.update({"rollbacks": rollbacks, "sample_every": 100})
    train.run(config, folder / name)
    rows = (folder / name / "metrics.jsonl").read_text().splitlines()
    checkpoints = Checkpoints(folder / name / "checkpoints", readonly=True)
    return map(json.loads, rows), checkpoints


def test_a_loss_that_is_no_number_ends_the_training(folder, monkeypatch):
    diverging(monkeypatch)
    with pytest.raises(DivergedError, match="is nan at step 4"):
        train_there(folder, "ended", 6, 0)


def test_or_it_goes_back_and_on_with_other_batches(folder, monkeypatch, caplog):
    diverging(monkeypatch, seeds=2)
    rows, checkpoints = train_there(folder, "back", 6, 2)
    losses = [row for row in rows if "generator/grad_norm" in row]
    assert [row["step"] for row in losses] == [1, 2, 3, 4, 5, 6]
    assert all(isinstance(v, int | float) for row in losses for v in row.values())
    assert checkpoints.meta(6)["rollbacks"] == 2
    said = [text for text in alarms(caplog) if "Back to step 2" in text]
    assert len(said) == 2
    assert "(2 of 2 times)" in said[1]
    # Stopped and started again, it goes the same way.
    train_there(folder, "parts", 4, 2)
    _, again = train_there(folder, "parts", 6, 2)
    one, other = (c.restore_arrays(6)["params"] for c in (checkpoints, again))
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_it_does_not_go_back_more_often_than_is_allowed(folder, monkeypatch):
    diverging(monkeypatch, seeds=3)
    with pytest.raises(DivergedError, match="is nan at step 4"):
        train_there(folder, "given_up", 6, 2)
