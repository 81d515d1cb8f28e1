"""A start from a coarse level: the inverse map, which is smooth, found on a mesh of a few thousand nodes.

The inverse phase needs no more of the monitor than the masses of cells. So it may run on any mesh of the same domain:
here on one of equal triangles between some of the boundary nodes, each holding the mass of the fine cells whose
centres lie in it. Its inverse, evaluated at the fine nodes, is where they start.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, depth_first_order
from scipy.spatial import Delaunay, cKDTree

from meshmove.geometry import CellMesh, PointLocator, Slide, cell_volumes, facets_of
from meshmove.geometry.arrays import Array
from meshmove.movers import Problem

from .batch import MeshBatch
from .dmm import DMM

__all__ = ["coarse_of", "coarse_start", "coarsened"]


#: nodes of a mesh from which on a coarse level pays, and about how many that has
LARGE, COARSE = 3000, 2000
#: a coarse edge spans at most so much of a turn (radians) of the boundary
TURN = 0.2
#: coarse nodes keep this share of an edge away from the boundary
APART = 0.6
#: the coarse mesh covers the domain up to this share
COVERED = 0.01


def coarse_start(model: DMM, problem: Problem) -> tuple[Array, float, int] | None:
    """Positions (n, 2) of the nodes by way of a coarse mesh, the share of a step let through, and the rounds.

    None where there is no such way: small meshes, three dimensions, meshes that have moved already, or that have
    interfaces, periodic images or fixed nodes inside.
    """
    made = coarse_of(problem, COARSE) if problem.mesh.n_points >= LARGE else None
    if made is None:
        return None
    mesh, slide, (coarse, fixed) = problem.mesh, problem.slide, made
    batch = MeshBatch.of([coarse], [Slide(coarse, facets_of(coarse), fixed=fixed)], [np.zeros(coarse.n_cells, int)])
    volume = batch.volume.numpy()
    target = _gathered(problem, coarse)
    target = np.log(target * volume.sum() / (target @ volume))
    with torch.no_grad():
        image, share, rounds = model.invert(batch, torch.from_numpy(target))
    home = PointLocator(coarse.moved(image.numpy())).find(mesh.points.T)
    return slide.retract(home.interpolate(coarse.points)), share, rounds


def coarse_of(problem: Problem, count: int) -> tuple[CellMesh, Array] | None:
    """`coarsened` of a problem's mesh; None where it moves in space, or has moved already, or has interfaces, periodic
    images or fixed nodes inside."""
    mesh, slide, facets = problem.mesh, problem.slide, problem.facets
    exterior = np.unique(facets.nodes[facets.exterior][:, :2])
    if (
        mesh.dim != 2
        or not np.array_equal(problem.start, mesh.points)
        or problem.component.max() > 0
        or (facets.constrained & ~facets.exterior).any()
        or mesh.periodic is not None
        or np.setdiff1d(np.flatnonzero(slide.fixed), exterior).size
    ):
        return None
    return coarsened(mesh, facets.nodes[facets.exterior][:, :2], slide.fixed, count, problem.locator)


def coarsened(
    mesh: CellMesh, outline: NDArray[np.int64], keep: NDArray[np.bool_], count: int, fine: PointLocator
) -> tuple[CellMesh, Array] | None:
    """About `count` nodes and triangles of the domain of `mesh`, and which of its nodes are fixed.

    `outline` (e, 2): boundary edges; `keep` (n,): nodes that stay where they are, and remain; `fine`: finds points in
    the mesh. None if it fails.
    """
    p = mesh.points
    volume = np.abs(cell_volumes(mesh)).sum()
    size = np.sqrt(2 / np.sqrt(3) * volume / count)
    boundary = np.concatenate([_thinned(p, loop, keep, size) for loop in _loops(outline, len(p))])
    low, high = p.min(axis=0), p.max(axis=0)
    i, j = np.meshgrid(*(np.arange(k) for k in np.ceil((high - low) / size * (1, 2 / np.sqrt(3))).astype(int) + 1))
    lattice = low + size * np.stack([(i + 0.5 * (j % 2)).ravel(), np.sqrt(3) / 2 * j.ravel()], axis=1)
    lattice = lattice[cKDTree(p[np.unique(outline)]).query(lattice)[0] > APART * size]
    lattice = lattice[~fine.find(lattice.T).outside]
    points = np.concatenate([p[boundary], lattice])
    triangles = Delaunay(points).simplices
    triangles = triangles[np.abs(_areas(points, triangles)) > 1e-4 * size**2]
    triangles = triangles[~fine.find(points[triangles].mean(axis=1).T).outside]
    used, triangles = np.unique(triangles, return_inverse=True)
    coarse = CellMesh.single(points[used], triangles.reshape(-1, 3), "triangle")
    fixed = np.concatenate([keep[boundary], np.zeros(len(lattice), bool)])[used]
    covered = np.abs(_areas(coarse.points, coarse.corners[0])).sum()
    return (coarse, fixed) if abs(covered - volume) < COVERED * volume else None


def _areas(points: Array, triangles: NDArray[np.int64]) -> Array:
    u, v = points[triangles[:, 1]] - points[triangles[:, 0]], points[triangles[:, 2]] - points[triangles[:, 0]]
    return 0.5 * (u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])


def _loops(edges: NDArray[np.int64], n: int) -> list[NDArray[np.int64]]:
    """The nodes of each closed line of edges (e, 2), in order."""
    graph = csr_matrix((np.ones(len(edges)), edges.T), shape=(n, n))
    label = connected_components(graph, directed=False)[1]
    firsts = np.unique(label[edges[:, 0]], return_index=True)[1]
    return [depth_first_order(graph, edges[k, 0], directed=False, return_predecessors=False) for k in firsts]


def _thinned(points: Array, loop: NDArray[np.int64], keep: NDArray[np.bool_], size: float) -> NDArray[np.int64]:
    """Nodes of a loop about `size` apart, closer where it turns, with those to keep."""
    step = np.roll(points[loop], -1, axis=0) - points[loop]
    angle = np.arctan2(step[:, 1], step[:, 0])
    turn = np.abs((angle - np.roll(angle, 1) + np.pi) % (2 * np.pi) - np.pi)
    length = np.linalg.norm(step, axis=1)
    along = np.cumsum(np.roll(length, 1) / size + np.where(keep[loop], 0, turn / TURN)).astype(int)
    first = np.concatenate([[True], along[1:] > along[:-1]])
    stay = keep[loop]
    # a node just before or after one to keep would make a sliver
    return loop[stay | first & ~np.roll(stay, 1) & ~np.roll(stay, -1)]


def _gathered(problem: Problem, coarse: CellMesh) -> Array:
    """Mean of the monitor on coarse cells: of the fine cells with their centres there, or at the cell's own centre."""
    mesh = problem.mesh
    simplices, owner = mesh.corners
    centre = np.stack([np.bincount(owner, x, mesh.n_cells) for x in mesh.points[simplices].mean(axis=1).T])
    home = PointLocator(coarse).find(centre / np.bincount(owner, minlength=mesh.n_cells)).cells
    mass = np.bincount(home, problem.mass(mesh.points), coarse.n_cells)
    volume = np.bincount(home, problem.volume, coarse.n_cells)
    here = problem.density.value(coarse.points[coarse.corners[0]].mean(axis=1).T)
    return np.where(volume > 0, mass / np.maximum(volume, 1e-300), here)
