r"""Finite element solutions of the problems that can be stated, to compare with.

Elliptic equations by continuous Galerkin elements: with A = [[c_uxx, c_uxy/2], [c_uxy/2, c_uyy]], all read from the
table of terms,

    int A grad u . grad v - int (c - div A) . grad u v - int c_u u v = -int f v + oint (A grad u . n) v,

where du/dn = g gives A grad u . n = g n.A n + (n.A t) du/dt, t the tangent, and a Robin condition g - s u for g.
Degenerate parabolic equations the same way, first-order equations by least squares, and problems in time on a box by
stepping (`march`). Where a conductivity jumps A is -k, with that of the region that a cell is in: u and the flux are
then continuous across interfaces, of themselves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import skfem

from meshmove.geometry.arrays import Ids
from meshmove.geometry.errors import InvalidMeshError
from meshmove.geometry.given import shown
from meshmove.solvers.pde.functions import Array, ProblemError, evaluate
from meshmove.solvers.pde.sides import DIRICHLET, NEUMANN, ROBIN, is_box
from meshmove.solvers.pde.statement import Statement
from meshmove.solvers.pde.terms import principal

from .constrained import Constrained
from .fitted import conductivity, curved, fitted_mesh, regions_of_cells
from .meshes import grid_of, mapping_of, mesh_of, skfem_mesh
from .radau import march
from .tables import Table

__all__ = ["solve_finite_elements", "system_by"]

_SYMMETRIC = 1e-12  #: differences across the diagonal, relative to the largest entry, that are rounding


def solve_finite_elements(
    pde: Statement, mesh: Any = None, size: float = 0.05, element: skfem.Element | None = None
) -> tuple[skfem.CellBasis, Array]:
    """The finite element solution as scikit-fem's pair (basis, degrees of freedom).

    Parameters
    ----------
    pde
        The problem; hyperbolic ones on a box of space and time.
    mesh
        A mesh of the domain, scikit-fem's or of another library that meshmove knows, fitted to the regions of a
        conductivity that jumps; by default triangles whose edges on curves are curved. Problems in time on a box are
        stepped on a grid of their own, and given on this mesh.
    size
        Length of edges where no mesh is given, relative to half the longer side of the bounding box.
    element
        By default Lagrange elements of second order.

    Raises
    ------
    ProblemError
        A hyperbolic equation on a domain of space and time that is not a box, or a term without a weak form.
    InvalidMeshError
        The mesh is of another domain, or interfaces between regions cut its cells.
    UnsupportedMeshError
        The mesh is not of triangles or quadrilaterals alone.

    >>> from meshmove.geometry import Rectangle
    >>> from meshmove.solvers.pde import Dirichlet, LinearPDE
    >>> linear = Dirichlet(lambda x: 1 + x[0] - 2 * x[1])
    >>> pde = LinearPDE(Rectangle((0, 0), (1, 1), "all"), uxx=1, uyy=3, ux=2, uy=1, conditions={"all": linear})
    >>> basis, dofs = solve_finite_elements(pde, skfem.MeshTri().refined(2))
    >>> bool(np.allclose(dofs, linear.value(basis.doflocs)))
    True
    """
    if not isinstance(pde, Statement):
        raise ProblemError(f"Expected a LinearPDE (got {type(pde).__name__})")
    if element is not None and not isinstance(element, skfem.Element):
        raise ProblemError(f"Expected an element of scikit-fem (got {shown(element)})")
    formless = [term.name for term in pde.table if not term.weak]
    if formless:
        raise ProblemError(
            "Expected an equation with a weak form for continuous finite elements "
            f"(got the term {', '.join(formless)}); project(pde) solves it"
        )
    stepped = pde.timed and is_box(pde.domain) and pde.kind in ("parabolic", "hyperbolic")
    if pde.kind == "hyperbolic" and not stepped:
        raise ProblemError(
            "Expected a box of space and time for a hyperbolic equation "
            f"(got a domain with the boundaries {', '.join(pde.domain.boundary_names)}); finite elements step in time"
        )
    if mesh is not None:
        grid = skfem_mesh(mesh)
    elif pde.regions:
        grid = curved(pde, fitted_mesh(pde, size))
    else:
        grid = grid_of(pde, size) if stepped else mesh_of(pde.domain, size)
    element = element or (skfem.ElementQuad2() if isinstance(grid, skfem.MeshQuad) else skfem.ElementTriP2())
    basis = skfem.Basis(grid, element, intorder=max(6, 2 * element.maxdeg + 2))
    if stepped:
        return basis, march(pde, size)(np.asarray(basis.doflocs))
    system, load = _system(pde, basis)
    return basis, system.solve(load)


def _system(pde: Statement, basis: skfem.CellBasis) -> tuple[Constrained, Array]:
    """The factorised system of a problem that is not stepped in time, and its right-hand side."""
    if pde.kind in ("first-order", "algebraic"):
        return _constrained(pde, basis, *_squared(pde, basis))
    if isinstance(basis.elem, skfem.ElementH1):
        table = Table(basis)
        return system_by(pde, table, pde.source_at(table.points.reshape(2, -1)).reshape(table.dx.shape))
    x = np.asarray(basis.global_coordinates())
    (a, c), f = _weak(pde, x, _regions(pde, basis)), pde.source_at(x.reshape(2, -1)).reshape(x.shape[1:])
    fields = {"a": a[0, 0], "b": a[1, 1], "h": a[0, 1], "e": c[0], "cx": c[1], "cy": c[2], "f": f}
    matrix = skfem.BilinearForm(_form).assemble(basis, **fields).tocsr()
    return _constrained(pde, basis, matrix, skfem.LinearForm(lambda v, w: -w.f * v).assemble(basis, **fields))


def system_by(pde: Statement, table: Table, f: Array) -> tuple[Constrained, Array]:
    """The same by a table of shape functions, at whose points the source is f (cells, q); not for equations of first
    order.
    """
    a, (e, *along) = _weak(pde, table.points, _regions(pde, table.basis))
    matrix = table.matrix(a, -np.stack(along) if np.any(along) else None, -e if np.any(e) else None)
    return _constrained(pde, table.basis, matrix, -table.load(f))


def _constrained(pde: Statement, basis: skfem.CellBasis, matrix: Any, load: Array) -> tuple[Constrained, Array]:
    """With what the boundary's conditions add to the matrix, and hold."""
    facets, piece = _facet_pieces(pde, basis.mesh)
    if pde.kind not in ("first-order", "algebraic"):
        matrix, load = _with_neumann(pde, basis, facets, piece, matrix, load)
    u, fixed = _dirichlet(pde, basis, facets, piece)
    asymmetry = abs(matrix - matrix.T).max() / max(abs(matrix).max(), 1e-300)
    return Constrained(matrix, fixed, u[fixed], symmetric=bool(asymmetry < _SYMMETRIC)), load


def _facet_pieces(pde: Statement, mesh: skfem.Mesh) -> tuple[Ids, Ids]:
    """Boundary facets and the pieces of the domain's boundary that they stand for."""
    facets = mesh.boundary_facets()
    ends = mesh.p[:, mesh.facets[:, facets]]
    middle, length = ends.mean(axis=1), np.linalg.norm(ends[:, 1] - ends[:, 0], axis=0)
    distance, piece, _ = pde.domain.boundary.nearest(middle)
    far = np.flatnonzero(distance > 0.5 * length)
    if len(far):
        at = ", ".join(f"{c:.4g}" for c in middle[:, far[0]])
        raise InvalidMeshError(
            f"Expected a mesh of the problem's domain (got {len(far)} boundary facets away from its boundary, "
            f"the first at ({at}))"
        )
    return facets, piece


def _squared(pde: Statement, basis: skfem.CellBasis) -> tuple[Any, Array]:
    """Equations of first order by least squares."""
    x = np.asarray(basis.global_coordinates())
    _, c = _at(pde, x, None)

    def applied(v: Any, w: Any) -> Any:
        return w.e * v + w.cx * v.grad[0] + w.cy * v.grad[1]

    fields = {"e": c[0], "cx": c[1], "cy": c[2], "f": pde.source_at(x.reshape(2, -1)).reshape(x.shape[1:])}
    matrix = skfem.BilinearForm(lambda u, v, w: applied(u, w) * applied(v, w)).assemble(basis, **fields)
    return matrix.tocsr(), skfem.LinearForm(lambda v, w: w.f * applied(v, w)).assemble(basis, **fields)


def _regions(pde: Statement, basis: skfem.CellBasis) -> Ids | None:
    """The regions of the cells, where there are some."""
    return regions_of_cells(pde, basis.mesh) if pde.regions else None


def _weak(pde: Statement, x: Array, which: Ids | None) -> tuple[Array, Array]:
    """A (2, 2, ...), and e and the two c of the weak form, (3, ...), at points (2, cells, ...)."""
    a, c = _at(pde, x, which)
    if not pde.regions:
        c[1:] -= _slopes(pde, x)
    return a, c


def _form(u: Any, v: Any, w: Any) -> Any:
    """A grad u . grad v - (c . grad u + e u) v, for elements whose functions differ from cell to cell."""
    (ux, uy), (vx, vy) = u.grad, v.grad
    flux = w.a * (ux * vx) + w.b * (uy * vy) + w.h * (ux * vy + uy * vx)
    return flux - (w.cx * ux + w.cy * uy + w.e * u) * v


def _at(pde: Statement, x: Array, which: Ids | None) -> tuple[Array, Array]:
    """A (2, 2, ...), and the coefficients of u, ux and uy, (3, ...), beside -div(k grad u) where k jumps: then `which`
    are the regions of the cells that points (2, cells, ...) are in.
    """
    if which is not None:
        lower = [evaluate(c, x.reshape(2, -1), "a coefficient").reshape(x.shape[1:]) for c in pde.regions[0].lower]
        return -conductivity(pde, which, x), np.stack(lower)
    values = pde.coefficients_at(x.reshape(2, -1)).reshape(-1, *x.shape[1:])
    return principal(pde.table, values), values[:3]


def _slopes(pde: Statement, x: Array) -> Array:
    """div A by central differences, (2, ...)."""
    out = np.zeros_like(x)
    for term, word, coefficient in zip(pde.table, pde.terms, pde.coefficients, strict=True):
        for i, j, share in term.weak if callable(coefficient) else ():
            if i and j:
                step = np.zeros((2, 1))
                step[j - 1] = 1e-5 * pde.unit.half[j - 1]
                name = f"the coefficient {word}"
                high, low = (evaluate(coefficient, x.reshape(2, -1) + k * step, name) for k in (1, -1))
                out[i - 1] -= share * ((high - low) / (2 * step[j - 1])).reshape(x.shape[1:])
    return out


def _with_neumann(
    pde: Statement, basis: skfem.CellBasis, facets: Ids, piece: Ids, matrix: Any, load: Array
) -> tuple[Any, Array]:
    kinds = NEUMANN, ROBIN
    groups = [rows for rows in dict.fromkeys(side.rows for side in pde.sides) if any(r.kind in kinds for r in rows)]
    sides = [facets[np.isin(piece, [i for i, side in enumerate(pde.sides) if side.rows == rows])] for rows in groups]
    if not sum(map(len, sides)):
        return matrix, load
    which, order = _regions(pde, basis), max(6, 2 * basis.elem.maxdeg + 2)
    here = np.concatenate(sides)  # all together, for what is known of facets is dear
    side = skfem.FacetBasis(basis.mesh, basis.elem, mapping_of(basis.mesh), facets=here, intorder=order)
    x, n = np.asarray(side.global_coordinates()), np.asarray(side.normals)
    (a, h), (_, b) = _at(pde, x, None if which is None else which[side.tind])[0]
    g, s, start = np.zeros_like(a), np.zeros_like(a), 0
    for (row,), few in zip(groups, sides, strict=True):
        of = slice(start, start := start + len(few))
        if len(few):
            y = x[:, of].reshape(2, -1)
            g[of], s[of] = (evaluate(f, y, row.what).reshape(len(few), -1) for f in (row.value, row.share))
    normal = a * n[0] ** 2 + b * n[1] ** 2 + 2 * h * n[0] * n[1]
    flux, shear = g * normal, (b - a) * n[0] * n[1] + h * (n[0] ** 2 - n[1] ** 2)
    if np.any(s):
        mass = skfem.BilinearForm(lambda u, v, w: w.s * u * v)
        matrix = matrix + mass.assemble(side, s=s * normal)
    load = load + skfem.LinearForm(lambda v, w: w.flux * v).assemble(side, flux=flux)
    if np.abs(shear).max(initial=0.0) > 1e-12 * np.abs(np.stack([a, b])).max():
        along = skfem.BilinearForm(lambda u, v, w: w.shear * (w.n[0] * u.grad[1] - w.n[1] * u.grad[0]) * v)
        matrix = matrix - along.assemble(side, shear=shear)
    return matrix, load


def _dirichlet(pde: Statement, basis: skfem.CellBasis, facets: Ids, piece: Ids) -> tuple[Array, Ids]:
    """Degrees of freedom with the boundary values set, and which are set."""
    u, fixed = np.zeros(basis.N), [np.empty(0, int)]
    if pde.kind == "algebraic":
        return u, fixed[0]
    where = np.asarray(basis.doflocs)
    for rows in dict.fromkeys(side.rows for side in pde.sides):
        for row in rows:
            here = facets[np.isin(piece, [i for i, side in enumerate(pde.sides) if side.rows == rows])]
            if row.kind == DIRICHLET and len(here):
                dofs = basis.get_dofs(here).all()
                u[dofs] = evaluate(row.value, where[:, dofs], row.what)
                fixed.append(dofs)
    return u, np.unique(np.concatenate(fixed))
