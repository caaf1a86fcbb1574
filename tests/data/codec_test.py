import jax.numpy as jnp
import numpy as np
import pytest

from fixtures import brats_spec, label_maps
from jaxsyn.data.codec import MaskCodec
from jaxsyn.errors import DataError, UsageError


@pytest.mark.parametrize("kind", ["index", "one_hot"])
def test_what_is_encoded_is_decoded(kind):
    codec = MaskCodec.of_spec(brats_spec(), kind)
    labels = label_maps(3).astype(np.int32)
    code = codec.encode(jnp.asarray(labels))
    assert code.shape == (3, 16, 16, codec.channels)
    assert float(code.min()) == -1.0 and float(code.max()) == 1.0
    np.testing.assert_array_equal(codec.decode(code), labels)


def test_levels_are_at_equal_distances():
    codec = MaskCodec(labels=5)
    code = codec.encode(jnp.arange(5))
    np.testing.assert_allclose(code[:, 0], [-1, -0.5, 0, 0.5, 1])


@pytest.mark.parametrize("kind", ["index", "one_hot"])
def test_whatever_is_decoded_is_a_declared_label(kind):
    codec = MaskCodec(labels=5, kind=kind)
    code = np.random.default_rng(0).normal(0, 3, (500, codec.channels))
    decoded = np.asarray(codec.decode(jnp.asarray(code)))
    assert decoded.min() == 0 and decoded.max() == 4 and decoded.dtype == np.int32


def test_to_the_nearest_level_and_the_largest_channel():
    levels = jnp.array([[-0.74], [-0.76], [0.3], [7.0]])
    np.testing.assert_array_equal(MaskCodec(labels=5).decode(levels), [1, 0, 3, 4])
    channels = jnp.array([[0.1, 0.3, 0.2]])
    assert MaskCodec(labels=3, kind="one_hot").decode(channels) == 1


def test_codes_that_do_not_fit():
    with pytest.raises(DataError, match="4 channels are no index code of 4 labels"):
        MaskCodec(labels=4).decode(jnp.zeros((1, 2, 2, 4)))
    with pytest.raises(UsageError, match="codec='levels'"):
        MaskCodec(labels=4, kind="levels")
    with pytest.raises(DataError, match="of 1 label has nothing"):
        MaskCodec(labels=1)
