"""The seven problems: formulas satisfy their statements, references are converged, what is stored is what is solved."""

import numpy as np
import pytest

from benchmarks.hypino.references import FILE, load
from meshmove.geometry import Rectangle
from meshmove.solvers.fem.evaluation import function_of
from meshmove.solvers.fem.linear import solve_finite_elements
from meshmove.solvers.fem.published_problems import BENCHMARKS, Benchmark, grid
from meshmove.solvers.pde import Dirichlet, LinearPDE

SOLVED = ("HZ-G", "PS-C", "PS-L", "PS-G")
KINDS = {"HT": "parabolic", "WV": "hyperbolic"}


def relative(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def test_the_seven():
    assert list(BENCHMARKS) == ["HT", "HZ", "HZ-G", "PS-C", "PS-L", "PS-G", "WV"]
    for name, b in BENCHMARKS.items():
        assert b.name == name and b.pde.kind == KINDS.get(name, "elliptic")
        assert (b.exact is None) == (name in SOLVED)
        assert b.pde.domain.bounds == ((-1, -1), (1, 1)) and name in repr(b)


@pytest.mark.parametrize("name", ["HT", "HZ", "WV"])
def test_formulas_solve_their_problems(name):
    b = BENCHMARKS[name]
    basis, dofs = solve_finite_elements(b.pde, size=0.05)
    assert relative(dofs, b.exact(basis.doflocs)) < 1e-3
    assert b.reference is b.exact
    rows = b.pde.unit.boundary(100)
    held = rows.kinds == 0
    assert np.allclose(b.exact(b.pde.unit.to_physical(rows.points[:, held])), rows.values[held])
    x, h = 0.98 * grid(41), 1e-4
    e = np.eye(2)[:, :, None] * h
    u, (px, py), (mx, my) = b.exact(x), [b.exact(x + d) for d in e], [b.exact(x - d) for d in e]
    jets = np.stack([u, (px - mx) / 2 / h, (py - my) / 2 / h, (px - 2 * u + mx) / h**2, (py - 2 * u + my) / h**2])
    miss = (b.pde.coefficients_at(x) * jets).sum(0) - b.pde.source_at(x)
    assert np.abs(miss).max() < 1e-5 * np.abs(b.pde.coefficients_at(x) * jets).max()


@pytest.mark.parametrize("name", SOLVED)
def test_stored_references(name):
    x, u = load(name)
    b = BENCHMARKS[name]
    assert b.pde.domain.contains(x).all()
    again = function_of(*b.solve(0.12))(x)
    assert relative(again, u) < 3e-4
    with np.load(FILE) as stored:
        assert stored[f"{name}.change"] < 1e-6
    assert FILE.stat().st_size < 300_000
    if name == "PS-L":
        assert abs(u.max() - 0.1494) < 1e-4


def test_refinement_meets_the_singularity():
    """The harmonic r^(2/3) sin(2/3 theta), solved as PS-L is."""

    def u(x):
        angle = np.mod(np.arctan2(x[1], x[0]) - np.pi / 2, 2 * np.pi)
        return np.hypot(*x) ** (2 / 3) * np.sin(2 / 3 * np.where(angle > 1.6 * np.pi, 0.0, angle))

    domain = Rectangle((-1, -1), (1, 1), name="outer") - Rectangle((0, 0), (1, 1), name="notch")
    pde = LinearPDE(domain, uxx=-1, uyy=-1, conditions={"outer": Dirichlet(u), "notch": Dirichlet(0.0)})
    x = grid(65)[:, domain.contains(grid(65))]
    errors = {k: relative(function_of(*Benchmark("L", pde, layers=k).solve(0.2))(x), u(x)) for k in (0, 24)}
    assert errors[24] < 2e-5 and errors[0] > 10 * errors[24]
