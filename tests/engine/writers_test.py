import json

from jaxsyn.engine import writers


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_resuming_drops_what_will_be_measured_again(tmp_path):
    path = tmp_path / "metrics.jsonl"
    writer = writers.JsonlWriter(path)
    for step in (10, 20, 30):
        writer.write_scalars(step, {"loss": 1.0 / step})
    writer.close()
    with path.open("a") as file:
        file.write('{"step": 15, "lo')  # A crash in the middle of a line.
    writer = writers.JsonlWriter(path, resume_step=20)
    writer.write_scalars(30, {"loss": 7.0})
    writer.close()
    assert [row["step"] for row in read(path)] == [10, 20, 30]
    assert read(path)[-1]["loss"] == 7.0


def test_values_that_are_not_finite_stay_valid_json(tmp_path):
    writer = writers.JsonlWriter(tmp_path / "m.jsonl")
    writer.write_scalars(1, {"loss": float("nan")})
    writer.close()
    assert read(tmp_path / "m.jsonl") == [{"step": 1, "loss": "nan"}]


def test_tensorboard_events_are_written(tmp_path):
    writer = writers.create(tmp_path)
    writer.write_scalars(1, {"loss": 0.5})
    writer.flush()
    writer.close()
    assert read(tmp_path / "metrics.jsonl") == [{"step": 1, "loss": 0.5}]
    assert list((tmp_path / "tensorboard").glob("events.out.tfevents.*"))
