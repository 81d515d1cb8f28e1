"""The energy of a user's problem as an objective: its gradient is that of what it returns, distortion included."""

import numpy as np
import pytest

from meshmove.movers import EnergyFunctional
from tests.shapes import box


@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra", "hexahedron"])
def test_the_gradient_is_that_of_energy_and_distortion(kind):
    mesh, rng = box(kind, 3), np.random.default_rng(0)
    energy = EnergyFunctional(mesh, lambda x: (float((x**3).sum()), 3 * x**2), origin=0.2, gap=2.0, distortion=0.5)
    points = mesh.points + 0.03 * rng.standard_normal(mesh.points.shape)
    step, h = rng.standard_normal(points.shape), 1e-6
    gradient = energy(points)[1]
    difference = (energy(points + h * step)[0] - energy(points - h * step)[0]) / (2 * h)
    assert np.vdot(gradient, step) == pytest.approx(difference, rel=1e-6)
