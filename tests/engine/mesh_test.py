import jax
import numpy as np
import pytest

from jaxsyn.engine.mesh import Layout
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
