import jax
import numpy as np
import pytest

from jaxsyn.engine.mesh import Layout, bytes_on_each
from jaxsyn.engine.step import TrainState
from jaxsyn.errors import UsageError


def test_a_batch_is_split_and_whole():
    layout = Layout.over()
    batch = layout.put_batch({"x": np.arange(8.0)})["x"]
    assert len(batch.addressable_shards) == len(jax.devices()) == 4
    assert batch.addressable_shards[0].data.shape == (2,)
    np.testing.assert_array_equal(batch, np.arange(8.0))


def test_a_batch_that_cannot_be_split_says_what_can():
    with pytest.raises(UsageError, match="multiple of 8"):
        Layout.over().check_batch_size(12, accumulate=2)
    Layout.over().check_batch_size(16, accumulate=2)


def make_state(params):
    opt = {name: {"mu": x, "count": np.int32(0)} for name, x in params.items()}
    step = np.int32(0)
    return TrainState(step=step, params=params, stats={}, opt=opt, ema={}, memory={})


@pytest.mark.parametrize(
    ("shard", "kilobytes"), [("none", 64 + 64), ("optimizer", 64 + 16), ("all", 32)]
)
def test_what_is_split_takes_a_quarter_on_each_of_four(shard, kilobytes):
    layout = Layout.over(shard=shard)
    state = make_state({"net": np.zeros((2, 16, 512), np.float32)})
    state = jax.device_put(state, layout.of_state(state))
    here, whole = bytes_on_each(state)
    assert whole == 2 * 64 * 1024 + 8  # Two counters.
    assert here == kilobytes * 1024 + 8


def test_arrays_are_split_along_the_longest_axis_that_can_be():
    layout = Layout.over(shard="all")
    shapes = {"a": (3, 3, 8, 12), "b": (3, 6), "c": (4, 4), "d": ()}
    state = make_state({k: np.zeros(s, np.float32) for k, s in shapes.items()})
    specs = {k: tuple(s.spec) for k, s in layout.of_state(state).params.items()}
    assert specs == {
        "a": (None, None, None, "data"),
        "b": (),
        "c": (None, "data"),
        "d": (),
    }
