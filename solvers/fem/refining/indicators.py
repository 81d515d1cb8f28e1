"""Where a mesh is too coarse: the flux of the solution jumps across sides of cells, the source varies in cells."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import skfem
from skfem.quadrature import get_quadrature
from skfem.refdom import RefLine

from meshmove.geometry.arrays import Array, Ids
from meshmove.solvers.fem.fitted import conductivity, regions_of_cells
from meshmove.solvers.fem.meshes import mapping_of
from meshmove.solvers.fem.tables import Table, shapes
from meshmove.solvers.pde.statement import Statement

__all__ = ["Indicators", "bulk", "indicators", "rough", "source_on"]

_BULK = 0.6  #: share of the squared indicators in the cells that are refined
_SMALLEST = 1e-12  #: relative to the extent: smaller cells have no shape in double precision
_SOURCE = 0.3  #: of what the source varies in cells, beside the jumps of the flux
_ALONG, _WEIGHTS = get_quadrature(RefLine, 8)
#: of the reference triangle
_CORNERS = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


class Indicators(NamedTuple):
    """`squares` (cells,) of what is to be refined, in the scale of the energy; `energy`: those of the jumps of the flux
    together, relative to the energy of u; `residual`: the root of their sum in the scale of u.
    """

    squares: Array
    energy: float
    residual: float


def indicators(pde: Statement, table: Table, dofs: Array, f: Array) -> Indicators:
    """Of a solution with degrees of freedom (n,), the source f (cells, q) at the points of a basis."""
    mesh = table.basis.mesh
    which = regions_of_cells(pde, mesh)
    flux, most, length = _jumps(pde, table.basis, dofs, which)
    energy = length.sum(axis=1) * (flux**2 / most * length).sum(axis=1)
    value = length.sum(axis=1) ** 3 * ((flux / most) ** 2 * length).sum(axis=1)
    sides = mesh.f2t[:, mesh.f2t[1] >= 0]
    cells = sum(np.bincount(side, energy, minlength=mesh.nelements) for side in sides)
    k = conductivity(pde, which, table.points)
    cells = cells + _SOURCE * rough(f, table.dx) / np.einsum("iicq->cq", k).mean(axis=1)
    grad = table.gradients(dofs)
    density = sum(k[i, j] * grad[i] * grad[j] for i in (0, 1) for j in (0, 1))
    whole = float((density * table.dx).sum())
    return Indicators(np.asarray(cells), float(energy.sum()) / max(whole, 1e-300), float(np.sqrt(value.sum())))


def rough(f: Array, dx: Array) -> Array:
    """h^2 |f - mean f|^2 (cells,), of f (cells, q)."""
    area = dx.sum(axis=1)
    mean = (f * dx).sum(axis=1) / area
    return np.asarray(area * ((f - mean[:, None]) ** 2 * dx).sum(axis=1))


def source_on(pde: Statement, x: Array) -> Array:
    """The source (cells, q) at points (2, cells, q)."""
    return pde.source_at(x.reshape(2, -1)).reshape(x.shape[1:])


def bulk(squares: Array, mesh: skfem.MeshTri) -> Ids:
    """The cells with most of what is to be refined: as few as have `_BULK` of it, none that is all but a point."""
    extent = float(np.linalg.norm(np.ptp(mesh.p, axis=1)))
    corners = mesh.p[:, mesh.t]
    large = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=0).max(axis=0) > _SMALLEST * extent
    squares = np.where(large, squares, 0.0)
    order = np.argsort(squares)[::-1]
    share = np.cumsum(squares[order])
    return order[: int(np.searchsorted(share, _BULK * share[-1])) + 1]


def _jumps(pde: Statement, basis: skfem.CellBasis, dofs: Array, which: Ids) -> tuple[Array, Array, Array]:
    """n . [k grad u], the larger trace of k and weights of quadrature, (sides, q), at the sides between two cells."""
    mesh, mapping = basis.mesh, mapping_of(basis.mesh)
    facets = np.flatnonzero(mesh.f2t[1] >= 0)
    x = np.asarray(mapping.G(_ALONG, find=facets))
    flux, most, normal = np.zeros(x.shape[1:]), np.zeros(x.shape[1:]), np.empty(0)
    for sign, cells in zip((1, -1), mesh.f2t[:, facets], strict=True):
        local, slope = _along(basis, dofs, facets, cells)
        inverse = np.asarray(mapping.invDF(local, tind=cells))
        if sign == 1:
            normal = np.asarray(mapping.normals(local, cells, facets, mesh.t2f))
        k = conductivity(pde, which[cells], x)
        grad = [(inverse[:, j] * slope).sum(axis=0) for j in (0, 1)]
        flux += sign * sum(k[i, j] * grad[j] * normal[i] for i in (0, 1) for j in (0, 1))
        most = np.maximum(most, k[0, 0] + k[1, 1])
    return flux, most, np.abs(np.asarray(mapping.detDG(_ALONG, find=facets))) * _WEIGHTS


def _along(basis: skfem.CellBasis, dofs: Array, facets: Ids, cells: Ids) -> tuple[Array, Array]:
    """Reference coordinates of points along facets of cells, and slopes there along these, each (2, facets, q)."""
    mesh, count = basis.mesh, _ALONG.shape[1]
    first, last = ((mesh.t[:, cells] == mesh.facets[end, facets]).argmax(axis=0) for end in (0, 1))
    local, slope = np.empty((2, len(facets), count)), np.empty((2, len(facets), count))
    for pair in np.unique(np.stack([first, last]), axis=1).T:
        here = (first == pair[0]) & (last == pair[1])
        points = _CORNERS[:, pair[:1]] * (1 - _ALONG) + _CORNERS[:, pair[1:]] * _ALONG
        weights = dofs[basis.element_dofs[:, cells[here]]].T
        local[:, here] = points[:, None]
        slope[:, here] = np.stack([weights @ d for d in shapes(basis.elem, points)[1]])
    return local, slope
