"""Is this mesh fit to be moved? Every way in which it may not be has its own message."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from meshmove.geometry.arrays import Ids

from .closest import closest_on_triangles
from .errors import InvalidMeshError, TangledMeshError, first_ids
from .facets import Facets
from .mesh import CellMesh
from .quality import corner_volumes
from .validity import NEGATIVE, TOUCHING, Validity

__all__ = ["check_cells", "check_facets"]


#: coordinates whose sixth power, as in squares of volumes, is a float64
LARGEST = 1e40
#: relative to the extent: points this close together are one
SAME = 1e-12
#: a corner is flat when its volume is this small against the product of its edges
FLAT = 1e-12


def check_cells(mesh: CellMesh) -> None:
    """Raise unless there are cells, all with volume.

    Raises
    ------
    InvalidMeshError
        No cells; cells of nodes that are not there; coordinates that are not finite, or too large or small for
        arithmetic; degenerate (flat) cells.
    TangledMeshError
        Cells of which the Jacobian determinant changes its sign: at a corner, or anywhere inside; of second-order cells
        with their mid-side nodes.
    """
    if not mesh.n_cells or not mesh.n_points:
        raise InvalidMeshError("Expected a mesh with cells (got none). Check that the file was read as intended.")
    beyond = np.flatnonzero(
        np.concatenate([((b.nodes < 0) | (b.nodes >= mesh.n_points)).any(axis=1) for b in mesh.blocks])
    )
    if len(beyond):
        raise InvalidMeshError(
            f"Expected cells of nodes from 0 to {mesh.n_points - 1} (got others in cells {first_ids(beyond)})"
        )
    bad = np.flatnonzero(~np.isfinite(mesh.points).all(axis=1))
    if len(bad):
        raise InvalidMeshError(f"Expected finite coordinates (got NaN or infinity at nodes {first_ids(bad)})")
    _check_size(mesh)
    _check_corners(mesh)
    _check_inside(mesh)


def _check_size(mesh: CellMesh) -> None:
    most, size = float(np.abs(mesh.points).max()), float(np.ptp(mesh.points, axis=0).max())
    if most > LARGEST or 0 < size < 1 / LARGEST:
        raise InvalidMeshError(
            f"Expected a mesh with coordinates up to {LARGEST:g}, and not smaller than {1 / LARGEST:g} (got "
            f"coordinates up to {most:.3g}, a size of {size:.3g}). Choose another unit of length."
        )


def _check_corners(mesh: CellMesh) -> None:
    simplices, owner = mesh.corners
    volume = corner_volumes(mesh)
    edges = mesh.points[simplices[:, 1:]] - mesh.points[simplices[:, :1]]
    size = np.linalg.norm(edges, axis=2).prod(axis=1)
    flat = np.unique(owner[np.abs(volume) <= FLAT * size])
    if len(flat):
        raise InvalidMeshError(
            f"Expected cells with a positive volume ({len(flat)} of {mesh.n_cells} are degenerate: cells "
            f"{first_ids(flat)}). Remove or merge flat cells before adapting."
        )
    positive = np.bincount(owner, volume > 0, mesh.n_cells)
    mixed = np.flatnonzero((positive > 0) & (positive < np.bincount(owner, minlength=mesh.n_cells)))
    if len(mixed):
        raise TangledMeshError(
            f"Expected cells without inverted corners (cells {first_ids(mixed)} are inverted or not convex at a "
            "corner). Untangle or re-mesh there before adapting."
        )


def _check_inside(mesh: CellMesh) -> None:
    """Corners are fine by now. Second-order cells may touch zero, as the quarter-point elements at a crack's tip do."""
    validity = Validity(mesh)
    folded = np.flatnonzero(validity.state == NEGATIVE)
    if len(folded):
        raise TangledMeshError(
            f"Expected cells with a Jacobian determinant of one sign ({len(folded)} of {mesh.n_cells} are inverted "
            f"in a part of them: cells {first_ids(folded)}). Untangle or re-mesh there, or straighten the edges of "
            "second-order cells, before adapting."
        )
    flat = np.flatnonzero(validity.straight == TOUCHING)
    if len(flat):
        raise InvalidMeshError(
            f"Expected cells with a positive volume everywhere ({len(flat)} of {mesh.n_cells} have a Jacobian "
            f"determinant of zero at a point: cells {first_ids(flat)}). Move a node of these cells before adapting."
        )


def check_facets(mesh: CellMesh, facets: Facets, fixed: NDArray[np.bool_]) -> None:
    """Raise unless neighbours lie side by side and the boundary is closed up.

    Raises
    ------
    TangledMeshError
        Two cells lie on the same side of the facet that they share.
    InvalidMeshError
        Nodes coincide (unless `fixed` (n,) holds them), or hang on the middle of a facet.
    """
    _check_folds(mesh, facets)
    outer = facets.nodes[facets.exterior]
    on_boundary = np.unique(outer[outer >= 0])
    _check_duplicates(mesh, fixed)
    _check_hanging(mesh, outer, on_boundary[~fixed[on_boundary]])


def _check_folds(mesh: CellMesh, facets: Facets) -> None:
    inner = ~facets.exterior
    nodes, cells = facets.nodes[inner], facets.cells[inner]
    p = mesh.points
    centre = np.concatenate([p[b.nodes].mean(axis=1) for b in mesh.blocks])
    a, b = p[nodes[:, 0]], p[nodes[:, 1]]
    if mesh.dim == 2:
        along = b - a
        normal = np.stack([-along[:, 1], along[:, 0]], axis=1)
    else:
        # of the diagonals where there are four corners: a warped quadrilateral has no plane, but a mean one
        c, d = p[nodes[:, 2]], p[nodes[:, -1]]
        quad = (nodes[:, -1] >= 0)[:, None] & (nodes.shape[1] == 4)
        normal = np.where(quad, np.cross(c - a, d - b), np.cross(b - a, c - a))
        a = np.where(quad, (a + b + c + d) / 4, a)
    side = [np.sign(((centre[cells[:, k]] - a) * normal).sum(axis=1)) for k in (0, 1)]
    folded = np.unique(cells[side[0] * side[1] > 0])
    if len(folded):
        raise TangledMeshError(
            f"Expected neighbouring cells on opposite sides of their facet ({len(folded)} cells overlap a neighbour: "
            f"cells {first_ids(folded)}). The mesh is tangled: restore its node positions before adapting."
        )


def _check_duplicates(mesh: CellMesh, fixed: NDArray[np.bool_]) -> None:
    scale = SAME * max(mesh.extent, 1e-300)
    lattice = np.round((mesh.points - mesh.points.min(axis=0)) / (1e3 * scale))
    order = np.lexsort(lattice.T)
    gap = np.abs(np.diff(mesh.points[order], axis=0)).max(axis=1)
    twins = np.flatnonzero(gap <= scale)
    pair = order[np.stack([twins, twins + 1], axis=1)] if len(twins) else np.zeros((0, 2), np.int64)
    loose = pair[~fixed[pair].all(axis=1)]
    if len(loose):
        shown = first_ids(np.unique(loose))
        raise InvalidMeshError(
            f"Expected nodes at different places ({len(loose)} pairs coincide: nodes {shown}). The mesh would "
            "tear there: merge them (meshio and Gmsh can), or hold a wanted crack with `fixed=` these nodes."
        )


def _check_hanging(mesh: CellMesh, outer: Ids, nodes: Ids) -> None:
    if not len(outer) or not len(nodes):
        return
    p = mesh.points
    used = outer >= 0
    centre = np.where(used[:, :, None], p[outer], 0).sum(axis=1) / used.sum(axis=1, keepdims=True)
    _, near = cKDTree(centre).query(p[nodes], k=min(12, len(outer)))
    tolerance = 1e-9 * mesh.extent
    for facet in near.reshape(len(nodes), -1).T:
        corners = outer[facet]
        own = (corners == nodes[:, None]).any(axis=1)
        x, a, b = p[nodes], p[corners[:, 0]], p[corners[:, 1]]
        gap = np.linalg.norm(_closest(p, corners, x, a, b) - x, axis=1)
        size = np.linalg.norm(b - a, axis=1)
        hanging = nodes[~own & (gap <= np.minimum(tolerance, 1e-6 * size))]
        if len(hanging):
            raise InvalidMeshError(
                f"Expected a conforming mesh (nodes {first_ids(hanging)} hang on the middle of another cell's facet). "
                "Refine without hanging nodes, or hold them with `fixed=`."
            )


def _closest(p: NDArray, corners: Ids, x: NDArray, a: NDArray, b: NDArray) -> NDArray:
    if corners.shape[1] == 2:
        along = b - a
        t = np.clip(((x - a) * along).sum(axis=1) / (along * along).sum(axis=1), 0, 1)
        return a + t[:, None] * along
    best = closest_on_triangles(x, a, b, p[corners[:, 2]])
    if corners.shape[1] == 4:
        quad = corners[:, 3] >= 0
        other = closest_on_triangles(x[quad], a[quad], p[corners[quad, 2]], p[corners[quad, 3]])
        nearer = ((other - x[quad]) ** 2).sum(axis=1) < ((best[quad] - x[quad]) ** 2).sum(axis=1)
        best[np.flatnonzero(quad)[nearer]] = other[nearer]
    return best
