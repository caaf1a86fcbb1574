"""What is told of steps: who waited for whom, and when all stop."""

import time

import jax
import numpy as np
import pytest
from tqdm import tqdm

from jaxsyn.engine.mesh import Layout
from jaxsyn.engine.watch import Watch


class Scalar:
    """One on the accelerator, which may not be there yet."""

    def __init__(self, ready):
        self.ready = ready

    def is_ready(self):
        return self.ready


class Silent:
    def write_scalars(self, step, scalars):
        pass

    def flush(self):
        pass


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def watching(stop=False):
    return Watch(Silent(), 1, stop, tqdm(disable=True))


def look(watch, step, answer=()):
    watch.look_at((step, {"loss": np.ones(1), **dict(answer)}), 8)


def test_the_accelerator_waits_only_when_it_has_nothing_left_to_do(clock):
    watch = watching()
    look(watch, 1)  # The clock starts.
    for ready in (True, False, False, False):
        with watch.waiting_for_data((2, {"loss": Scalar(ready)})):
            clock[0] += 1.0
        clock[0] += 1.0
        look(watch, 2)
    assert watch.pace.data_wait == pytest.approx(1 / 8)
    assert watch.pace.images_per_second == pytest.approx(4 * 8 / 8)


def test_compiling_is_not_waiting(clock):
    watch = watching()
    clock[0] += 100.0
    look(watch, 1)
    assert watch.pace.data_wait == watch.pace.images_per_second == 0


def test_slow_data_are_said(clock, caplog):
    caplog.set_level("INFO", logger="jaxsyn")
    watch = watching()
    look(watch, 1)
    with watch.waiting_for_data((1, {"loss": Scalar(True)})):
        clock[0] += 1.0
    look(watch, 2)
    watch.summarise()
    assert "100.0 % of the time waiting for data" in caplog.text
    assert "config.data.cache=device" in caplog.text


def test_alone_a_process_stops_when_it_is_asked():
    assert watching(stop=True).stopping
    assert not watching().stopping


def test_alone_a_process_asks_nobody():
    assert not watching(stop=True).ask(Layout.over())


def test_together_they_stop_when_all_know(monkeypatch):
    layout = Layout.over()
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    watch, other = watching(stop=False), watching(stop=True)
    assert not other.stopping  # The first does not know yet.
    look(watch, 1, watch.ask(layout))
    assert not watch.stopping
    look(watch, 2, other.ask(layout))
    assert watch.stopping
