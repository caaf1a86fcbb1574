"""PGAN's parameters: as many as published, and all there from the start."""

import jax
import jax.numpy as jnp
import pytest

from jaxsyn.errors import UsageError
from jaxsyn.models.pgan import PganCritic, PganGenerator, sides, width


def count(model, *args, **kwargs):
    """Counted from shapes: nothing is computed."""

    def init(*args):
        return model.init(jax.random.key(0), *args, train=True, **kwargs)["params"]

    return sum(p.size for p in jax.tree.leaves(jax.eval_shape(init, *args)))


COUNTS = [
    (256, 1, 23_039_303, 23_047_361),
    (256, 3, 23_044_309, 23_052_353),
    (256, 7, 23_054_321, 23_062_337),
    (1024, 3, 23_079_115, 23_087_249),  # Both 23.1 M in the paper's table 2.
]


@pytest.mark.parametrize(("image_size", "channels", "generator", "critic"), COUNTS)
@pytest.mark.parametrize("size", [4, 256])
def test_counts_whatever_the_size_of_the_first_call(
    size, image_size, channels, generator, critic
):
    z = jax.ShapeDtypeStruct((1, 512), jnp.float32)
    image = jax.ShapeDtypeStruct((1, size, size, channels), jnp.float32)
    made = PganGenerator(out_channels=channels, image_size=image_size)
    assert count(made, z, size=size) == generator
    assert count(PganCritic(image_size=image_size), image) == critic


def test_sizes_below_the_first_have_no_layers_of_images():
    z = jax.ShapeDtypeStruct((1, 512), jnp.float32)
    made = PganGenerator(out_channels=1, image_size=256, first_size=32)
    # 512 weights and a bias for each of 4, 8 and 16 px.
    assert count(made, z, size=32) == 23_039_303 - 3 * 513


def test_widths_are_the_papers():
    found = [width(side, 8192, 512) for side in sides(4, 1024)]
    assert found == [512, 512, 512, 512, 256, 128, 64, 32, 16]
    assert width(1024, 64, 512) == 1


@pytest.mark.parametrize(("first", "last"), [(4, 240), (2, 8), (6, 48), (64, 32)])
def test_sizes_that_no_doubling_leads_to(first, last):
    with pytest.raises(UsageError, match=f"from {first} to {last} px"):
        sides(first, last)
