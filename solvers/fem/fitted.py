"""Meshes of a domain, fitted to the regions of a conductivity that jumps: made, refined, curved along all curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import skfem
from skfem.quadrature import get_quadrature
from skfem.refdom import RefTri

from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.domains import Domain
from meshmove.geometry.domains.boundary import Boundary
from meshmove.geometry.domains.meshing.fitted import mesh_fitted
from meshmove.geometry.domains.pieces import Arc
from meshmove.geometry.errors import InvalidMeshError
from meshmove.optional import require
from meshmove.solvers.pde.functions import ProblemError
from meshmove.solvers.pde.regions import region_at
from meshmove.solvers.pde.statement import Statement
from meshmove.solvers.pde.terms import principal

__all__ = ["conductivity", "curved", "fitted_mesh", "on_curves", "regions_of_cells", "sound"]

#: how far vertices of a cell may be outside of its region, relative to its size
_SLACK = 1e-2
#: where cells are integrated, in reference coordinates; the least that a Jacobian determinant is there over its mean:
#: at the very tip of a cusp it is zero
_NODES, _LEAST = get_quadrature(RefTri, 8)[0], 0.01
_ROUNDS, _NONE = 4, np.empty(0, int)


def fitted_mesh(pde: Statement, size: float) -> skfem.MeshTri:
    """Straight triangles, size relative to half the longer side of the box, none of which an interface cuts."""
    if not (np.isfinite(size) and size > 0):
        raise ProblemError(f"Expected a positive size of cells (got {size!r})")
    if pde.regions:
        require("gmsh", extra="gmsh")
        parts = [region.shape.boundary for region in pde.regions]
        cells = mesh_fitted(pde.domain.boundary, parts, size * float(pde.unit.half.max()))
    else:
        cells = pde.domain.mesh(size * float(pde.unit.half.max()))
    return sound(pde, skfem.MeshTri(cells.points.T, cells.blocks[0].nodes.T))


def regions_of_cells(pde: Statement, mesh: skfem.Mesh) -> Ids:
    """The region of each cell, (cells,): 0 where there are none.

    Raises
    ------
    InvalidMeshError
        An interface cuts cells.
    """
    if not pde.regions:
        return np.zeros(mesh.nelements, int)
    corners = mesh.p[:, mesh.t]
    which = region_at([region.shape for region in pde.regions], corners.mean(axis=1))
    size = np.linalg.norm(corners[:, 1] - corners[:, 0], axis=0)
    cut = np.zeros(mesh.nelements, bool)
    for k, region in enumerate(pde.regions):
        mine = which == k
        away = region.shape.signed_distance(corners[:, :, mine].reshape(2, -1)).reshape(len(mesh.t), -1)
        cut[mine] = (away > _SLACK * size[mine]).any(axis=0)
    if cut.any():
        at = ", ".join(f"{c:.4g}" for c in corners.mean(axis=1)[:, cut][:, 0])
        raise InvalidMeshError(
            f"Expected a mesh whose cells are each in one region of divergence= (got {int(cut.sum())} that interfaces "
            f"cut, the first at ({at})); leave the mesh out, and one that is fitted is made"
        )
    return which


def conductivity(pde: Statement, which: Ids, x: Array) -> Array:
    """k (2, 2, n, m) at points (2, n, m) of cells that are in the regions (n,); without regions that of -div(k grad u)
    with the same second derivatives, up to its sign.
    """
    if not pde.regions:
        k = principal(pde.table, pde.coefficients_at(x.reshape(2, -1)).reshape(-1, *x.shape[1:]))
        return k * np.sign(np.einsum("iinm->nm", k))
    out = np.empty((2, 2, *x.shape[1:]))
    for k in np.unique(which):
        at = which == k
        out[:, :, at] = pde.regions[k].conductivity(x[:, at].reshape(2, -1)).reshape(2, 2, -1, x.shape[2])
    return out


def on_curves(pde: Statement, mesh: skfem.MeshTri) -> skfem.MeshTri:
    """The same straight mesh with the vertices of boundary and interfaces on the true curves."""
    if not _curve(pde):
        return mesh
    x = np.array(mesh.p)
    for curves, facets in _skins(pde, mesh):
        nodes = np.unique(mesh.facets[:, facets])
        x[:, nodes] = _nearest(curves, x[:, nodes])
    return skfem.MeshTri(x, mesh.t)


def curved(pde: Statement, mesh: skfem.MeshTri) -> skfem.MeshTri:
    """Second-order triangles with the middles of facets on the true curves; the straight mesh where nothing curves.

    Cells that would fold stay straight.
    """
    second = _bent(pde, mesh)
    if second is None:
        return mesh
    folded = _folded(second)
    if not len(folded):
        return second
    x, facets = np.array(second.doflocs), np.unique(mesh.t2f[:, folded])
    x[:, second.dofs.facet_dofs[0, facets]] = mesh.p[:, mesh.facets[:, facets]].mean(axis=1)
    return skfem.MeshTri2(x, second.t)


def sound(pde: Statement, mesh: skfem.MeshTri) -> skfem.MeshTri:
    """The same straight mesh, refined where curved sides would fold their cells: bulges shrink faster than sizes."""
    for _ in range(_ROUNDS):
        second = _bent(pde, mesh)
        folded = _folded(second) if second is not None else _NONE
        if not len(folded):
            break
        mesh = on_curves(pde, mesh.refined(folded))
    return mesh


def _bent(pde: Statement, mesh: skfem.MeshTri) -> skfem.MeshTri2 | None:
    """Second-order triangles with the middles of facets on the true curves; None where nothing curves."""
    if not _curve(pde):
        return None
    second = skfem.MeshTri2.from_mesh(mesh)
    x = np.array(second.doflocs)
    for curves, facets in _skins(pde, mesh):
        nodes = second.dofs.facet_dofs[0, facets]
        x[:, nodes] = _nearest(curves, x[:, nodes])
    return skfem.MeshTri2(x, second.t)


def _folded(mesh: skfem.MeshTri2) -> Ids:
    """Cells that fold where they are integrated, or all but fold."""
    (a, b), (c, d) = mesh.mapping().DF(_NODES)
    det = a * d - b * c
    det = det * np.sign(det.mean(axis=1, keepdims=True))
    return np.flatnonzero(det.min(axis=1) < _LEAST * det.mean(axis=1))


def _curve(pde: Statement) -> bool:
    """Whether something does; halved cells of straight sides are where they should be."""
    return any(isinstance(piece, Arc) for shape in _shapes(pde) for piece in shape.boundary.pieces)


def _shapes(pde: Statement) -> list[Domain]:
    """The regions, or the domain where there are none."""
    return [region.shape for region in pde.regions] or [pde.domain]


def _skins(pde: Statement, mesh: skfem.MeshTri) -> list[tuple[list[Boundary], Ids]]:
    """The facets between every two regions, and those of the boundary, with the boundaries that they are on."""
    shapes = _shapes(pde)
    which = region_at(shapes, mesh.p[:, mesh.t].mean(axis=1)) if len(shapes) > 1 else np.zeros(mesh.nelements, int)
    inner = np.flatnonzero(mesh.f2t[1] >= 0)
    left, right = np.sort(which[mesh.f2t[:, inner]], axis=0)
    pairs = np.unique(np.stack([left, right])[:, left != right], axis=1)
    found = [([shapes[k].boundary for k in pair], inner[(left == pair[0]) & (right == pair[1])]) for pair in pairs.T]
    return [*found, ([pde.domain.boundary], mesh.boundary_facets())]


def _nearest(curves: Sequence[Boundary], x: Array) -> Array:
    """The nearest points (2, n) that are on all the boundaries: on one of them where it is on the other."""
    best, miss = x, np.full(x.shape[1], np.inf)
    for k, boundary in enumerate(curves):
        _, piece, s = boundary.nearest(x)
        point = boundary.evaluate(piece, s)[0]
        rest = [other.nearest(point)[0] for j, other in enumerate(curves) if j != k]
        off = np.max(rest, axis=0) if rest else np.zeros(x.shape[1])
        best, miss = np.where(off < miss, point, best), np.minimum(off, miss)
    return best
