"""Meshes fitted to the regions of a jumping conductivity: made, refined, curved along the interfaces."""

from __future__ import annotations

import numpy as np
import skfem

from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.domains.meshing.fitted import mesh_fitted
from meshmove.geometry.domains.pieces import Arc
from meshmove.geometry.errors import InvalidMeshError
from meshmove.optional import require
from meshmove.solvers.pde.functions import ProblemError
from meshmove.solvers.pde.regions import region_at
from meshmove.solvers.pde.statement import Statement

__all__ = ["conductivity", "curved", "fitted_mesh", "on_curves", "regions_of_cells"]

#: how far vertices of a cell may be outside of its region, relative to its size
_SLACK = 1e-2


def fitted_mesh(pde: Statement, size: float) -> skfem.MeshTri:
    """Straight triangles, size relative to half the longer side of the box, none of which an interface cuts."""
    if not (np.isfinite(size) and size > 0):
        raise ProblemError(f"Expected a positive size of cells (got {size!r})")
    require("gmsh", extra="gmsh")
    parts = [region.shape.boundary for region in pde.regions]
    cells = mesh_fitted(pde.domain.boundary, parts, size * float(pde.unit.half.max()))
    return skfem.MeshTri(cells.points.T, cells.blocks[0].nodes.T)


def regions_of_cells(pde: Statement, mesh: skfem.Mesh) -> Ids:
    """The region of each cell, (cells,).

    Raises
    ------
    InvalidMeshError
        An interface cuts cells.
    """
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
    """k (2, 2, n, m) at points (2, n, m) of cells that are in the regions (n,)."""
    out = np.empty((2, 2, *x.shape[1:]))
    for k in np.unique(which):
        at = which == k
        out[:, :, at] = pde.regions[k].conductivity(x[:, at].reshape(2, -1)).reshape(2, 2, -1, x.shape[2])
    return out


def on_curves(pde: Statement, mesh: skfem.MeshTri) -> skfem.MeshTri:
    """The same straight mesh with the vertices of boundary and interfaces on the true curves."""
    x = np.array(mesh.p)
    for region, facets in _skins(pde, mesh):
        nodes = np.unique(mesh.facets[:, facets])
        x[:, nodes] = _nearest(pde, region, x[:, nodes])
    return skfem.MeshTri(x, mesh.t)


def curved(pde: Statement, mesh: skfem.MeshTri) -> skfem.MeshTri:
    """Second-order triangles with the middles of facets on the true curves; the straight mesh where nothing curves."""
    if not any(isinstance(piece, Arc) for region in pde.regions for piece in region.shape.boundary.pieces):
        return mesh
    second = skfem.MeshTri2.from_mesh(mesh)
    x = np.array(second.doflocs)
    for region, facets in _skins(pde, mesh):
        nodes = second.dofs.facet_dofs[0, facets]
        x[:, nodes] = _nearest(pde, region, x[:, nodes])
    return skfem.MeshTri2(x, second.t)


def _skins(pde: Statement, mesh: skfem.MeshTri) -> list[tuple[int, Ids]]:
    """The facets around each region, those of an interface with the first of its two, then those of the boundary."""
    which = region_at([region.shape for region in pde.regions], mesh.p[:, mesh.t].mean(axis=1))
    inner = np.flatnonzero(mesh.f2t[1] >= 0)
    left, right = which[mesh.f2t[:, inner]]
    found = [(int(k), inner[(left != right) & (left == k)]) for k in np.unique(left)]
    return [*found, (-1, mesh.boundary_facets())]


def _nearest(pde: Statement, region: int, x: Array) -> Array:
    boundary = (pde.domain if region < 0 else pde.regions[region].shape).boundary
    _, piece, s = boundary.nearest(x)
    return boundary.evaluate(piece, s)[0]
