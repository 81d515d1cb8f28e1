"""Alignment against equidistribution by cell kind: L2 and H1 errors of Poisson, and of a shell in the cube."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.adapting.fem_problems import MORE
from benchmarks.harness import CPU, Rows, main, row, timed

import numpy as np  # isort: skip
import skfem
from numpy.typing import NDArray

import meshmove
from meshmove.solvers.fem.manufactured import PROBLEMS
from meshmove.solvers.fem.poisson import l2_error, solve_poisson

BY_DEFAULT = False  # a quarter of an hour
Array = NDArray[np.float64]
OBJECTIVES = ("equidistribution", "alignment")
QUADS = 40
#: cells to a side of the cube, and the L2 and H1 factors that tetrahedra have to reach
SHELL, TARGETS = 16, (7.5, 3.3)
#: steepness of the shell and its radius
STEEP, RADIUS = 30.0, 0.8


@dataclass(frozen=True)
class Case:
    """A mesh, the exact solution of Poisson's equation on it, and its source."""

    name: str
    mesh: skfem.Mesh
    exact: Callable[[Array], Array]
    source: Callable[[Array], Array]
    intorder: int = 8

    def solve(self, mesh: skfem.Mesh) -> Array:
        return solve_poisson(mesh, self.source, self.exact)

    def errors(self, mesh: skfem.Mesh) -> Array:
        """In L2 and in the H1 seminorm."""
        u = self.solve(mesh)
        return np.array([l2_error(mesh, u, self.exact, self.intorder), h1_error(mesh, u, self.exact, self.intorder)])


def h1_error(
    mesh: skfem.Mesh,
    u: Array,
    exact: Callable[[Array], Array],
    intorder: int,
    step: float = 1e-6,
    element: skfem.Element | None = None,
) -> float:
    """H1 seminorm of exact - u_h, the exact gradient by central differences."""
    basis = skfem.Basis(mesh, mesh.elem() if element is None else element, intorder=intorder)
    x, slope = np.asarray(basis.global_coordinates()), np.asarray(basis.interpolate(u).grad)
    squares = np.zeros(x.shape[1:])
    for c in range(len(x)):
        shift = step * np.eye(len(x))[c][:, None, None]
        squares += ((exact(x + shift) - exact(x - shift)) / (2 * step) - slope[c]) ** 2
    return float(np.sqrt((squares * basis.dx).sum()))


def shell(x: Array) -> Array:
    """tanh(30 (r - 0.8)), r from the corner of the unit cube."""
    return np.tanh(STEEP * (np.sqrt((x**2).sum(axis=0)) - RADIUS))


def shell_source(x: Array) -> Array:
    """-Laplace of the shell."""
    r = np.sqrt((x**2).sum(axis=0))
    t = np.tanh(STEEP * (r - RADIUS))
    return STEEP * (1 - t * t) * (2 * STEEP * t - 2 / np.maximum(r, 1e-12))


def quads(name: str, n: int) -> Case:
    """A problem of the plane on uniform quadrilaterals."""
    problem = {**PROBLEMS, **MORE}[name]
    mesh = skfem.MeshQuad.init_tensor(*[np.linspace(0, 1, n + 1)] * 2)
    if problem.domain == "L":
        mesh = mesh.remove_elements(np.flatnonzero((mesh.p[:, mesh.t].mean(axis=1) > 0.5).all(axis=0)))
    return Case(f"{name}, {n}x{n} quadrilaterals", mesh, problem.exact, problem.source)


def cube(kind: type[skfem.Mesh], n: int) -> Case:
    mesh = kind.init_tensor(*[np.linspace(0, 1, n + 1)] * 3)
    cells = {skfem.MeshTet: "tetrahedra", skfem.MeshHex: "hexahedra"}[kind]
    return Case(f"shell, {mesh.nelements} {cells}", mesh, shell, shell_source, 6)


def measured(case: Case, target: tuple[float, float] | None = None) -> Rows:
    """Factors by which three rounds of `adapt_loop` lower the errors, for each objective."""
    before, rows = case.errors(case.mesh), []
    for objective in OBJECTIVES:
        loop = lambda: meshmove.adapt_loop(case.mesh, case.solve, objective=objective)  # noqa: B023, E731
        seconds, out = timed(loop, clock=CPU)
        in_l2, in_h1 = (float(f) for f in before / case.errors(out.mesh))
        judged = target if objective == "alignment" else None
        wanted = None if judged is None else f"L2 >= {judged[0]:g}, H1 >= {judged[1]:g}"
        met = None if judged is None else in_l2 >= judged[0] and in_h1 >= judged[1]
        rows.append(row(f"{case.name}: {objective}", f"{in_l2:.2f}, {in_h1:.2f}", wanted, met, seconds=seconds))
    return rows


def run(quick: bool = False, names: tuple[str, ...] = ()) -> Rows:
    """L2 and H1 factors over the uniform mesh; `names`: of problems on quadrilaterals, or "shell"."""
    names = names or (("ring", "shell") if quick else (*PROBLEMS, *MORE, "shell"))
    rows: Rows = []
    for name in names:
        if name != "shell":
            rows += measured(quads(name, QUADS // 2 if quick else QUADS))
            continue
        n = SHELL // 2 if quick else SHELL
        rows += measured(cube(skfem.MeshTet, n), None if quick else TARGETS)
        rows += measured(cube(skfem.MeshHex, n))
    return rows


if __name__ == "__main__":
    chosen = tuple(a for a in sys.argv[1:] if a in {**PROBLEMS, **MORE, "shell": None})
    sys.argv = [a for a in sys.argv if a not in chosen]
    main(lambda quick: run(quick, chosen))
