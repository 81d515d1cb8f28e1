"""Dual problems tell the distance to the solution on a finer grid."""

import numpy as np
import pytest

from meshmove.geometry import Disk, Rectangle
from meshmove.solvers.pde import Dirichlet, LinearPDE, Neumann
from meshmove.solvers.projection.features.singular import corner_features, hole_features
from meshmove.solvers.projection.grids import fit
from meshmove.solvers.projection.many.duals import Duals
from meshmove.solvers.projection.many.products import Products

SQUARE = Rectangle((0, 0), (2, 1), "all")
CORNER = Rectangle((-1, -1), (1, 1), "all") - Rectangle((0, 0), (1, 1), "notch")
HOLED = SQUARE - Disk((0.6, 0.5), 0.2, "hole")


def _unit(domain, source, **terms):
    conditions = {"all": Dirichlet(lambda x: x[0]), "hole": Neumann(), "notch": Dirichlet(lambda x: x[0])}
    conditions = {name: conditions[name] for name in domain.boundary_names}
    return LinearPDE(domain, **({"uxx": -1, "uyy": -1} | terms), source=source, conditions=conditions).unit


def _told(unit, now, cells):
    duals = Duals(unit, now, cells)
    return duals.told(unit.pde.source_at(unit.to_physical(duals.points))[None], now.field.weights[None])[0]


@pytest.mark.parametrize("domain", [SQUARE, CORNER, HOLED])
@pytest.mark.parametrize("terms", [{}, {"ux": 3, "uyy": lambda x: -2 - x[0]}])
def test_told_is_the_distance_to_the_finer_solution(domain, terms):
    unit = _unit(domain, lambda x: np.sin(4 * x[0] + 7 * x[1]), **terms)
    features = [*corner_features(unit), *hole_features(unit, 1.0)]
    now, finer = (fit(unit, (cells, cells), features) for cells in (8, 24))
    X = unit.interior(2000, seed=3).points
    apart = np.sqrt(unit.area) * np.sqrt(((now.field.jets(X)[0] - finer.field.jets(X)[0]) ** 2).mean())
    assert 0.5 * apart < _told(unit, now, 24) < 2 * apart


def test_nothing_is_told_of_a_solution_that_both_grids_have():
    unit = _unit(SQUARE, 0.0)  # u = x
    assert _told(unit, fit(unit, (6, 6)), 9) < 1e-10


def test_told_is_that_of_the_weights_that_are_given():
    unit = _unit(SQUARE, lambda x: np.sin(4 * x[0]))
    now = fit(unit, (16, 16))
    duals, source = Duals(unit, now, 24), unit.pde.source
    source = source(unit.to_physical(duals.points))
    w = now.field.weights
    good, wrong = duals.told(np.stack([source, source]), np.stack([w, 1.01 * w]))
    size = np.sqrt(unit.area) * np.sqrt((now.field.jets(unit.interior(2000, seed=3).points)[0] ** 2).mean())
    assert good < 1e-3 * size and 0.5e-2 * size < wrong < 2e-2 * size


@pytest.mark.parametrize("domain", [CORNER, HOLED])
def test_products_are_those_of_the_system(domain):
    unit = _unit(domain, 1.0, ux=3)
    now = fit(unit, (8, 7), [*corner_features(unit), *hole_features(unit, 1.0)])
    system, n = now.system, now.equation.points.shape[1]
    dense = system.dense.toarray()[:n]
    products = Products(now.equation, dense)
    rng = np.random.default_rng(0)
    x, r = rng.standard_normal((3, len(now.field.weights))), rng.standard_normal((3, n))
    assert dense.any()
    applied = np.stack([now.equation.apply(one[: system.size]) for one in x]) + x[:, system.size :] @ dense.T
    assert np.allclose(products.apply(x)[:, now.equation.inside], applied)
    splines, columns = products.transpose(products.spread(r))
    assert np.allclose(splines, np.stack([now.equation.transpose(one) for one in r]))
    assert np.allclose(columns, r @ dense)


def test_several_adjoints_are_each_of_them():
    now = fit(_unit(HOLED, 1.0), (8, 8), hole_features(_unit(HOLED, 1.0), 1.0))
    several = np.random.default_rng(0).standard_normal((len(now.field.weights), 5))
    each = np.stack([now.system.adjoint(one, 2) for one in several.T], axis=1)
    assert np.allclose(now.system.adjoint(several, 2), each, rtol=0, atol=1e-8 * np.abs(each).max())
