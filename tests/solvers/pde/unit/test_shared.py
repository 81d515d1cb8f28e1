"""What depends on a domain alone is made once for all problems there, and is what each would make for itself."""

import gc
import weakref

import numpy as np
import pytest

from meshmove.geometry import Disk, Rectangle
from meshmove.geometry.domains.boundary import Boundary
from meshmove.solvers.pde import Dirichlet, LinearPDE, Neumann
from meshmove.solvers.pde.unit import shared
from meshmove.solvers.projection.features.knots import Knots
from meshmove.solvers.projection.features.splines import Splines
from meshmove.solvers.projection.grids import fit


def problem(domain, k=0.0, hole=None):
    return LinearPDE(
        domain, uxx=-1 - k, uyy=-1, ux=k, source=1.0 + k, conditions={"all": Dirichlet(), "hole": hole or Dirichlet(k)}
    )


def plate(radius=0.2):
    return Rectangle((0, 0), (1, 1), "all") - Disk((0.55, 0.45), radius, "hole")


@pytest.mark.parametrize("graded", [False, True])
def test_another_operator_on_a_domain_takes_cut_cells_and_rows_as_they_are(monkeypatch, graded):
    asked = []
    encloses = Boundary.encloses
    monkeypatch.setattr(Boundary, "encloses", lambda self, x: asked.append(x.shape[1]) or encloses(self, x))
    uneven = Knots(np.array([-1, -0.6, -0.3, -0.1, 0.0, 0.1, 0.3, 0.6, 1]))
    splines = Splines.graded((uneven, uneven), 3) if graded else Splines((8, 8), 3)
    domain, other = plate(0.21 if graded else 0.2), plate(0.18 if graded else 0.19)
    for k, pde in enumerate([problem(domain), problem(domain, 2.0, Neumann(1.0)), problem(other)]):
        unit = pde.unit
        asked.clear()
        fit(unit, splines, seed=1)
        rows = unit.interior(300, seed=5)
        assert bool(asked) == (k != 1)
        inside = unit.pde.domain.boundary.encloses(unit.to_physical(rows.points))
        assert inside.all() and rows.weights.sum() == pytest.approx(unit.area)


def test_shared_solutions_are_those_of_a_domain_of_ones_own():
    first = plate(0.17)
    known = weakref.ref(first)
    fit(problem(first).unit, (9, 9))
    after = fit(problem(first, 3.0).unit, (9, 9))
    del first
    gc.collect()
    assert known() is None  # nothing is remembered of a domain that is gone
    assert np.array_equal(fit(problem(plate(0.17), 3.0).unit, (9, 9)).field.weights, after.field.weights)


def test_what_is_remembered_is_bounded_and_cannot_be_written_to():
    domain, made = Rectangle((0, 0), (1, 1)), []

    def make(k):
        made.append(k)
        return (np.full(2, float(k)),)

    for k in range(200):
        assert shared(domain, k, lambda k=k: make(k))[0][0] == k
    assert shared(domain, 199, lambda: make(-1))[0][0] == 199 and len(made) == 200
    assert shared(domain, 0, lambda: make(0))[0][0] == 0 and len(made) == 201  # long forgotten
    with pytest.raises(ValueError, match="read-only"):
        shared(domain, 0, lambda: make(0))[0][0] = 1
