"""What phantoms are made by: fields, pushes, growth and the brain's arteries."""

import numpy as np
import pytest

from jaxsyn.data.phantom.anatomy import Push
from jaxsyn.data.phantom.fields import Field, Grid
from jaxsyn.data.phantom.growth import grow
from jaxsyn.data.phantom.territories import (
    ANTERIOR,
    MIDDLE,
    NONE,
    POSTERIOR,
    territory,
)


def test_main_arteries_feed_what_anatomy_says():
    places = {
        (8, 45, 25): ANTERIOR,  # Medial frontal lobe.
        (-50, -10, 15): MIDDLE,  # Opercula.
        (-26, 4, 2): MIDDLE,  # Putamen.
        (10, -85, 5): POSTERIOR,  # Calcarine cortex.
        (12, -20, 8): POSTERIOR,  # Thalamus.
        (20, -65, -40): NONE,  # Cerebellum.
        (0, -28, -35): NONE,  # Pons.
    }
    found = territory(np.array(list(places), np.float32).T)
    assert found.tolist() == list(places.values())


def test_fields_reproduce_straight_lines_and_have_unit_variance():
    lattice = Grid.around((0, 0, 0), 10.0, 60.0)
    x, y, z = lattice.positions()
    field = Field(lattice, (1 + 0.5 * x - 2 * y + z).astype(np.float32))
    grid = Grid((-20.0, 13.0, 7.0), (3.0, -2.0, 1.5), (8, 9, 5))
    x, y, z = grid.positions()
    np.testing.assert_allclose(field.on(grid), 1 + 0.5 * x - 2 * y + z, atol=1e-3)
    part = grid.crop((slice(2, 5), slice(0, 9), slice(1, 2)))
    np.testing.assert_allclose(
        field.on(part), field.on(grid)[2:5, :, 1:2], rtol=1e-5, atol=1e-5
    )
    noise = Field.random(np.random.default_rng(0), 5.0)
    values = noise.on(Grid.around((0, 0, 0), 2.3, 100.0))
    assert abs(values.mean()) < 0.05
    assert abs(values.std() - 1) < 0.05


def test_a_push_holds_its_centre_and_the_skull():
    push = Push((10.0, 0.0, 0.0), radius=10.0, strength=0.3)
    mni = np.array([[10.0, 0, 0], [20, 0, 0], [20, 0, 0]], np.float32).T
    source = push.source(mni, np.array([1, 1, 0], np.float32))
    # Ten millimetres away it is a tenth of 3 mm x exp(-1/2) times ten.
    np.testing.assert_allclose(
        source.T, [[10, 0, 0], [20 - 3 * np.exp(-0.5), 0, 0], [20, 0, 0]], rtol=1e-5
    )


def test_diffusion_keeps_mass_and_stops_at_walls():
    start = np.zeros((9, 9, 9), np.float32)
    start[2, 4, 4] = 1
    diffusivity = np.full(start.shape, 0.1, np.float32)
    diffusivity[5] = 0
    u, age = grow(start, diffusivity, np.zeros_like(start), 1e9, max_steps=50)
    assert u.sum() == pytest.approx(1, abs=1e-4)
    assert not u[5:].any()
    assert u[4, 0, 0] > 0
    assert age.sum() == pytest.approx(50, abs=1e-2)


def test_a_front_moves_at_fishers_speed_until_its_volume_is_reached():
    start = np.zeros((240, 1, 1), np.float32)
    start[:5] = 1
    shape, d, rho = start.shape, 0.16, 0.04
    args = start, np.full(shape, d, np.float32), np.full(shape, rho, np.float32)
    filled = [np.count_nonzero(grow(*args, 1e9, n)[0] > 0.5) for n in (600, 1000)]
    speed = (filled[1] - filled[0]) / 400
    assert speed == pytest.approx(2 * np.sqrt(d * rho), rel=0.1)
    assert np.count_nonzero(grow(*args, 40)[0] > 0.5) == 40
