import numpy as np
import pytest

from fixtures import brats_spec, label_maps
from jaxsyn.data.cache import Cache
from jaxsyn.data.codec import MaskCodec
from jaxsyn.engine.checkpoint import Checkpoints
from jaxsyn.engine.step import TrainState
from jaxsyn.engine.system import Stage
from jaxsyn.errors import UsageError
from jaxsyn.snapshots import BestSnapshot

SPEC = brats_spec(32)
STAGE = Stage(start=0, stop=100, image_size=32, batch_size=4)
COUNT = 40


class Drawer:
    """Stands for an engine: draws real label maps, blurred by what the state says."""

    makes_labels = True

    def __init__(self):
        self.system = self

    def generate(self, state, batch, *, stage, index):
        labels = label_maps(32, 32)
        real = MaskCodec.of_spec(SPEC).encode(labels)
        blur = state.params["blur"]
        return real * (1 - blur) + blur * real.mean(0)[None]

    def decode(self, made):
        return {"label": MaskCodec.of_spec(SPEC).decode(made)}


class Scalars:
    def __init__(self):
        self.written = {}

    def write_scalars(self, step, scalars):
        self.written[step] = scalars["swd"]


def state_of(blur, step):
    empty = {"stats": {}, "opt": {}, "ema": {}, "memory": {}}
    return TrainState(step=np.int32(step), params={"blur": np.float32(blur)}, **empty)


@pytest.fixture
def open_best(tmp_path):
    labels = label_maps(COUNT, 32)
    cache = Cache(
        image=np.zeros((COUNT, 32, 32, 4), np.uint16),
        label=labels,
        rows=tuple(("a", i) for i in range(COUNT)),
    )
    writer = Scalars()

    def open_again(engine=None):
        checkpoints = Checkpoints(tmp_path / "best", keep=1)
        best = BestSnapshot(
            engine or Drawer(), [STAGE], cache, SPEC, checkpoints, writer, {}, count=32
        )
        return best, checkpoints, writer.written

    return open_again


def test_the_closest_state_is_kept(open_best):
    best, checkpoints, written = open_best()
    for step, blur in ((1, 0.8), (2, 0.0), (3, 0.5)):
        best.look(state_of(blur, step), step)
    assert written[2] < written[3] < written[1]
    assert checkpoints.latest() == 2 and best.best == written[2]
    assert checkpoints.meta(2)["swd"] == written[2]
    assert checkpoints.restore_arrays(2)["params"]["blur"] == 0


def test_it_is_remembered_when_a_run_goes_on(open_best):
    best, checkpoints, written = open_best()
    best.look(state_of(0.2, 1), 1)
    checkpoints.close()
    again, checkpoints, _ = open_best()
    assert again.best == written[1]
    again.look(state_of(0.9, 2), 2)
    assert checkpoints.latest() == 1


def test_one_level_everywhere_is_no_candidate(open_best, caplog):
    class Blank(Drawer):
        def generate(self, *args, **kwargs):
            return 0.0 * super().generate(*args, **kwargs)

    best, checkpoints, written = open_best(Blank())
    best.look(state_of(0, 1), 1)
    assert not written and checkpoints.latest() is None
    assert "one and the same level" in caplog.text


def test_a_system_that_makes_images(open_best):
    engine = Drawer()
    engine.makes_labels = False
    with pytest.raises(UsageError, match="this system makes none"):
        open_best(engine)
