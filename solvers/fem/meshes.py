"""Meshes of scikit-fem for domains, and from the meshes of others."""

from __future__ import annotations

from typing import Any

import numpy as np
import skfem
from scipy.spatial import cKDTree
from skfem.mapping import MappingIsoparametric

from meshmove.geometry.arrays import Ids
from meshmove.geometry.domains import Domain
from meshmove.geometry.domains.pieces import Arc
from meshmove.geometry.errors import UnsupportedMeshError
from meshmove.geometry.given import number
from meshmove.geometry.mesh import CellMesh
from meshmove.meshes.registry import converter_for
from meshmove.solvers.pde.functions import Array, ProblemError
from meshmove.solvers.pde.statement import Statement

__all__ = ["curved_along", "grid_of", "mapping_of", "mesh_of", "skfem_mesh"]


def mesh_of(domain: Domain, size: float = 0.05, corners: Array | None = None, layers: int = 12) -> skfem.MeshTri:
    """Triangles of a domain, size relative to half the longer side of its box; second-order ones along curves.

    Parameters
    ----------
    corners
        Vertices (2, n) at which cells are halved `layers` times.

    >>> from meshmove.geometry import Disk
    >>> mesh = mesh_of(Disk((0, 0), 3), 0.3)
    >>> type(mesh).__name__, bool(abs(mesh.param() / 3 - 0.3) < 0.2)
    ('MeshTri2', True)
    """
    size = number(size, "a positive size of cells", low=1e-150, error=ProblemError)
    low, high = np.array(domain.bounds)
    mesh = skfem_mesh(domain.mesh(size * float((high - low).max()) / 2))
    for _ in range(layers if corners is not None and corners.size else 0):
        _, vertices = cKDTree(mesh.p.T).query(np.asarray(corners).T)
        mesh = mesh.refined(np.flatnonzero(np.isin(mesh.t, vertices).any(axis=0)))
    return curved_along(mesh, domain) if any(isinstance(p, Arc) for p in domain.boundary.pieces) else mesh


def curved_along(mesh: skfem.MeshTri, domain: Domain) -> skfem.MeshTri2:
    """Vertices and mid-nodes of boundary facets put on the boundary."""
    second = skfem.MeshTri2.from_mesh(mesh)
    facets = second.boundary_facets()
    x = np.array(second.doflocs)
    nodes = np.concatenate([second.dofs.facet_dofs[0, facets], np.unique(second.facets[:, facets])])
    _, piece, s = domain.boundary.nearest(x[:, nodes])
    x[:, nodes] = domain.boundary.evaluate(piece, s)[0]
    return skfem.MeshTri2(x, second.t)


class _Curves(MappingIsoparametric):
    """Curved cells whose map is inverted to rounding; scikit-fem's own gives up on cells smaller than that."""

    def invF(self, x: Array, tind: Ids | None = None, newton_max_iters: int = 10, newton_tol: float = 1e-14) -> Array:
        X = np.full(x.shape, 1 / 3)
        for _ in range(newton_max_iters):
            step = np.einsum("ijkl,jkl->ikl", self.invDF(X, tind), x - self.F(X, tind))
            X = X + step
            if np.abs(step).max(initial=0.0) <= newton_tol:
                break
        return X


def mapping_of(mesh: skfem.Mesh) -> Any:
    mapping = mesh.mapping()
    return _Curves(mesh, mapping.elem, mapping.bndelem) if isinstance(mesh, skfem.MeshTri2) else mapping


def grid_of(pde: Statement, size: float) -> skfem.MeshQuad:
    size = number(size, "a positive size of cells", low=1e-3, error=ProblemError)
    (x0, t0), (x1, t1) = pde.domain.bounds
    n = int(np.ceil(2 / size))
    return skfem.MeshQuad.init_tensor(np.linspace(x0, x1, n + 1), np.linspace(t0, t1, n + 1))


def skfem_mesh(mesh: Any) -> skfem.Mesh:
    """A plane mesh of triangles or of quadrilaterals as scikit-fem's: vertices in the same order, names of boundaries.

    Raises
    ------
    UnsupportedMeshError
        The mesh has other cells, or none of the libraries that are known made it.

    >>> from meshmove.geometry import Rectangle
    >>> skfem_mesh(Rectangle((0, 0), (1, 1), "wall").mesh(0.5, engine="scipy")).boundaries["wall"].size
    8
    """
    if isinstance(mesh, skfem.MeshTri | skfem.MeshQuad):
        return mesh
    arrays = mesh if isinstance(mesh, CellMesh) else converter_for(mesh).read(mesh)
    kinds = {"triangle": skfem.MeshTri, "quad": skfem.MeshQuad}
    if arrays.dim != 2 or len(arrays.blocks) != 1 or arrays.blocks[0].kind.name not in kinds:
        raise UnsupportedMeshError(f"Expected a plane mesh of triangles or of quadrilaterals (got {arrays!r})")
    (block,) = arrays.blocks
    points, cells = (np.ascontiguousarray(a.T) for a in (arrays.points, block.nodes))
    out = kinds[block.kind.name](points, cells)
    found = {name: _facets_between(out, nodes) for name, nodes in arrays.facets.items()}
    return out.with_boundaries(found) if found else out


def _facets_between(mesh: skfem.Mesh, nodes: Ids) -> Ids:
    """Numbers (f,) of the facets with these end points (f, 2)."""
    facets = np.sort(mesh.facets, axis=0)
    key = facets[0] * mesh.nvertices + facets[1]
    order = np.argsort(key)
    low, high = np.sort(nodes, axis=1).T
    return order[np.searchsorted(key, low * mesh.nvertices + high, sorter=order)]
