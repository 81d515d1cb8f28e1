r"""Poisson's equation by finite elements, and manufactured problems whose exact solution is known.

    -Laplace(u) = f in the domain,  u = g on its boundary.

The problems are those on which r-adaptation is usually judged: layers, fronts, peaks and a re-entrant corner
(Mitchell, A collection of 2D elliptic problems for testing adaptive grid refinement algorithms, Appl. Math. Comput.
220, 2013; Huang & Russell, Adaptive Moving Mesh Methods, Springer 2011). Sources are in closed form: for u = g(s),

    Laplace(u) = g''(s) |grad s|^2 + g'(s) Laplace(s).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import skfem
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csc_matrix
from scipy.sparse.linalg import splu
from skfem.models.poisson import laplace

from meshmove.geometry import FieldError

__all__ = ["PROBLEMS", "Problem", "interpolation_error_of", "l2_error", "solve_poisson"]

Array = NDArray[np.float64]
Field = Callable[[Array], ArrayLike]

#: unknowns beyond which multigrid beats a direct solve, by dimension
_DIRECT = {2: 60_000, 3: 8_000}


def solve_poisson(
    mesh: skfem.Mesh,
    source: Field | float,
    dirichlet: Field | float = 0.0,
    *,
    element: skfem.Element | None = None,
    intorder: int | None = None,
    solver: Literal["auto", "direct", "multigrid"] = "auto",
) -> Array:
    """Degrees of freedom (n,) of the finite element solution of -Laplace(u) = source, u = dirichlet on the boundary.

    Parameters
    ----------
    mesh
        Any scikit-fem mesh; for linear cells the degrees of freedom are the values at the vertices.
    source, dirichlet
        Functions of x (dim, ...), or constants.
    element
        A Lagrange element; by default the mesh's own: P1 or Q1 on linear cells, P2 on second-order ones.
    intorder
        Quadrature degree for the source; by default what the element needs and at least 6: sources are steep.
    solver
        "direct", "multigrid" (conjugate gradients with smoothed aggregation, to 1e-12; falls back to
        direct should they stall), or by size.

    Raises
    ------
    ValueError
        Unknown solver.

    >>> mesh = skfem.MeshTri().refined(3)
    >>> u = solve_poisson(mesh, 0.0, lambda x: x[0] + 2 * x[1])
    >>> bool(np.allclose(u, mesh.p[0] + 2 * mesh.p[1]))
    True
    """
    if solver not in ("auto", "direct", "multigrid"):
        raise ValueError(f"Expected solver 'auto', 'direct' or 'multigrid' (got {solver!r})")
    element = mesh.elem() if element is None else element
    basis = skfem.Basis(mesh, element, intorder=max(6, 2 * element.maxdeg) if intorder is None else intorder)
    stiffness = laplace.assemble(basis)
    load = skfem.LinearForm(lambda v, w: _values(source, w.x) * v).assemble(basis)
    fixed = basis.get_dofs().all()
    u = np.zeros(basis.N)
    u[fixed] = _values(dirichlet, basis.doflocs[:, fixed])
    free = np.setdiff1d(np.arange(basis.N), fixed)
    if not len(free):
        return u
    u[free] = _solved(stiffness[free][:, free].tocsc(), (load - stiffness @ u)[free], mesh.dim(), solver)
    return u


def _solved(matrix: csc_matrix, rhs: Array, dim: int, solver: str) -> Array:
    if solver == "multigrid" or (solver == "auto" and len(rhs) > _DIRECT.get(dim, np.inf)):
        import pyamg

        hierarchy = pyamg.smoothed_aggregation_solver(matrix.tocsr(), max_coarse=200)
        x, stalled = hierarchy.solve(rhs, tol=1e-12, accel="cg", maxiter=200, return_info=True)
        if not stalled:
            return x
    return splu(matrix, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve(rhs)


def l2_error(
    mesh: skfem.Mesh,
    values: ArrayLike,
    exact: Field | float,
    intorder: int = 8,
    *,
    element: skfem.Element | None = None,
) -> float:
    """L2 norm of exact - u_h, where `values` (n,) are the degrees of freedom of u_h.

    Raises
    ------
    FieldError
        Not one value for each degree of freedom.

    >>> mesh = skfem.MeshTri().refined(2)
    >>> round(l2_error(mesh, mesh.p[0], lambda x: x[0] + 3), 12)
    3.0
    """
    basis = skfem.Basis(mesh, mesh.elem() if element is None else element, intorder=intorder)
    values = np.asarray(values, float)
    if values.shape != (basis.N,):
        raise FieldError(f"Expected {basis.N} values, one for each degree of freedom (got shape {values.shape})")
    error = _values(exact, np.asarray(basis.global_coordinates())) - np.asarray(basis.interpolate(values))
    return float(np.sqrt((error**2 * basis.dx).sum()))


def interpolation_error_of(
    mesh: skfem.Mesh, f: Field, intorder: int = 8, *, element: skfem.Element | None = None
) -> float:
    """L2 norm of f - If, where If is the nodal interpolant.

    >>> round(interpolation_error_of(skfem.MeshLine([0.0, 1.0]), lambda x: x[0] ** 2) ** 2 * 30, 12)
    1.0
    """
    basis = skfem.Basis(mesh, mesh.elem() if element is None else element, intorder=intorder)
    return l2_error(mesh, _values(f, basis.doflocs), f, intorder, element=element)


def _values(f: Field | float, x: Array) -> Array:
    return np.broadcast_to(np.asarray(f(np.array(x)) if callable(f) else f, float), np.shape(x)[1:])


@dataclass(frozen=True)
class Problem:
    """A manufactured solution: `exact` u and `source` f = -Laplace(u), functions of x (2, ...) -> (...).

    `domain`: the unit square, or the L that is left of it without its upper right quarter.
    """

    name: str
    exact: Callable[[Array], Array]
    source: Callable[[Array], Array]
    domain: Literal["square", "L"] = "square"

    def mesh(self, n: int) -> skfem.MeshTri:
        """Uniform triangles, n to a side of the unit square (n even for the L).

        >>> PROBLEMS["corner"].mesh(4).nelements
        24
        """
        if n < 1 or (self.domain == "L" and n % 2):
            raise ValueError(f"Expected a positive{', even' * (self.domain == 'L')} number of cells a side (got {n})")
        mesh = skfem.MeshTri.init_tensor(*[np.linspace(0, 1, n + 1)] * 2)
        if self.domain == "L":
            mesh = mesh.remove_elements(np.flatnonzero((mesh.p[:, mesh.t].mean(axis=1) > 0.5).all(axis=0)))
        return mesh


Derivatives = tuple[Array, Array, Array]


def _sum(
    name: str, *terms: tuple[Callable[[Array], Derivatives], Callable[[Array], Derivatives]], offset: float = 0.0
) -> Problem:
    """The problem u = offset + the sum of g(s(x)), from g -> (g, g', g'') and s -> (s, |grad s|^2, Laplace(s))."""

    def exact(x: Array) -> Array:
        return offset + np.sum([g(s(x)[0])[0] for g, s in terms], axis=0)

    def source(x: Array) -> Array:
        total = np.zeros(np.shape(x)[1:])
        for g, s in terms:
            value, slope2, lap = s(x)
            _, first, second = g(value)
            total -= second * slope2 + first * lap
        return total

    return Problem(name, exact, source)


def _tanh(k: float) -> Callable[[Array], Derivatives]:
    def g(s: Array) -> Derivatives:
        t = np.tanh(k * s)
        return t, k * (1 - t**2), -2 * k**2 * t * (1 - t**2)

    return g


def _arctan(k: float) -> Callable[[Array], Derivatives]:
    return lambda s: (np.arctan(k * s), k / (1 + (k * s) ** 2), -2 * k**3 * s / (1 + (k * s) ** 2) ** 2)


def _decay(k: float, height: float = 1.0) -> Callable[[Array], Derivatives]:
    def g(s: Array) -> Derivatives:
        e = height * np.exp(-k * s)
        return e, -k * e, k**2 * e

    return g


def _gaussian(width: float) -> Callable[[Array], Derivatives]:
    def g(s: Array) -> Derivatives:
        e = np.exp(-((s / width) ** 2))
        return e, -2 * s / width**2 * e, (4 * s**2 / width**4 - 2 / width**2) * e

    return g


def _distance2(x0: float, y0: float, less: float = 0.0) -> Callable[[Array], Derivatives]:
    def s(x: Array) -> Derivatives:
        r2 = (x[0] - x0) ** 2 + (x[1] - y0) ** 2
        return r2 - less, 4 * r2, np.full_like(r2, 4.0)

    return s


def _distance(x0: float, y0: float, less: float) -> Callable[[Array], Derivatives]:
    def s(x: Array) -> Derivatives:
        r = np.hypot(x[0] - x0, x[1] - y0)
        return r - less, np.ones_like(r), 1 / r

    return s


def _line(angle: float, x0: float, y0: float) -> Callable[[Array], Derivatives]:
    """Signed distance from the line through (x0, y0) whose normal has this angle in degrees."""
    a, b = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return lambda x: (a * (x[0] - x0) + b * (x[1] - y0), np.ones_like(x[0]), np.zeros_like(x[0]))


def _wavy(x: Array) -> Derivatives:
    a, k = 0.15, 2 * np.pi
    return x[1] - 0.5 - a * np.sin(k * x[0]), 1 + (a * k * np.cos(k * x[0])) ** 2, a * k**2 * np.sin(k * x[0])


def _outflow(t: Array, eps: float = 0.03) -> tuple[Array, Array]:
    """The layer of convection-diffusion at t = 1 and its second derivative; zero at both ends."""
    e, e0 = np.exp((t - 1) / eps), np.exp(-1 / eps)
    return t - (e - e0) / (1 - e0), -e / eps**2 / (1 - e0)


def _boundary_layer_source(x: Array) -> Array:
    (a, a2), (b, b2) = _outflow(x[0]), _outflow(x[1])
    return -(a2 * b + a * b2)


def _corner(x: Array) -> Array:
    a, b = x[0] - 0.5, x[1] - 0.5
    angle = np.arctan2(a - b, -(a + b)) + 0.75 * np.pi  # its jump lies in the quarter that is missing
    return np.hypot(a, b) ** (2 / 3) * np.sin(2 / 3 * angle)


def _waves(x: Array) -> Array:
    return np.sin(3 * np.pi * x[0]) * np.sin(2 * np.pi * x[1])


def _saddle(x: Array) -> Array:
    a, b = x[0] - 0.5, x[1] - 0.5
    return a**3 - 3 * a * b**2


def _harmonic(x: Array) -> Array:
    return np.zeros(np.shape(x)[1:])


#: manufactured problems by name
PROBLEMS: dict[str, Problem] = {
    p.name: p
    for p in (
        _sum("ring", (_tanh(60), _distance2(0.5, 0.5, 0.08))),
        _sum("peak", (_decay(200), _distance2(0.3, 0.4))),
        _sum("bell", (_decay(0.15**-2, 10), _distance2(0.5, 0.5)), offset=1.0),
        Problem("boundary_layer", lambda x: _outflow(x[0])[0] * _outflow(x[1])[0], _boundary_layer_source),
        _sum("oblique_layer", (_tanh(40), _line(30, 0.5, 0.45))),
        _sum("two_peaks", (_decay(150), _distance2(0.25, 0.3)), (_decay(400, -0.7), _distance2(0.7, 0.65))),
        _sum("shock", (_arctan(60), _wavy)),
        Problem("corner", _corner, _harmonic, "L"),
        _sum("wave_front", (_arctan(50), _distance(-0.05, -0.05, 0.7))),
        Problem("saddle", _saddle, _harmonic),
        Problem("waves", _waves, lambda x: 13 * np.pi**2 * _waves(x)),
        _sum("gaussian_ring", (_gaussian(0.05), _distance2(0.45, 0.55, 0.09))),
        _sum("crossed_layers", (_tanh(30), _line(20, 0.4, 0.5)), (_tanh(30), _line(110, 0.5, 0.6))),
    )
}
