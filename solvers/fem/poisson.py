"""Poisson's equation, -Laplace(u) = f in the domain and u = g on its boundary, by finite elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import skfem
from numpy.typing import ArrayLike
from skfem.models.poisson import laplace

from meshmove.geometry import FieldError
from meshmove.geometry.arrays import Array
from meshmove.geometry.errors import UnsupportedMeshError
from meshmove.geometry.given import called, chosen, count, real, shown

from .constrained import Constrained

__all__ = ["interpolation_error_of", "l2_error", "solve_poisson"]

Field = Callable[[Array], ArrayLike]


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
    chosen(solver, ("auto", "direct", "multigrid"), "a solver")
    element = _element(mesh, element)
    basis = skfem.Basis(mesh, element, intorder=max(6, 2 * element.maxdeg) if intorder is None else _order(intorder))
    stiffness = laplace.assemble(basis)
    load = skfem.LinearForm(lambda v, w: _values(source, w.x) * v).assemble(basis)
    fixed = basis.get_dofs().all()
    u = np.zeros(basis.N)
    u[fixed] = _values(dirichlet, basis.doflocs[:, fixed])
    return Constrained(stiffness, fixed, u[fixed], solver=solver, dim=mesh.dim()).solve(load)


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
    basis = skfem.Basis(mesh, _element(mesh, element), intorder=_order(intorder))
    values = real(values, "the degrees of freedom")
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
    basis = skfem.Basis(mesh, _element(mesh, element), intorder=_order(intorder))
    return l2_error(mesh, _values(f, basis.doflocs), f, intorder, element=element)


def _element(mesh: skfem.Mesh, element: skfem.Element | None) -> skfem.Element:
    if not isinstance(mesh, skfem.Mesh):
        raise UnsupportedMeshError(f"Expected a mesh of scikit-fem (got {type(mesh).__name__})")
    if element is not None and not isinstance(element, skfem.Element):
        raise ValueError(f"Expected an element of scikit-fem (got {shown(element)})")
    return mesh.elem() if element is None else element


def _order(intorder: int) -> int:
    return count(intorder, "a degree of quadrature intorder", high=50)


def _values(f: Field | float, x: Array) -> Array:
    what = "the function of points"
    given = called(f, np.array(x), what) if callable(f) else f
    values = real(given, f"the values of {what}" if callable(f) else "a constant")
    shape = np.shape(x)[1:]
    try:
        return np.broadcast_to(values, shape)
    except ValueError:
        raise FieldError(f"Expected a number, or values of shape {shape} (got {values.shape})") from None
