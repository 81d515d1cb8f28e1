"""Random meshes of cells that can fold between their corners, and of bodies with curved surfaces, from a seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import skfem
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, label

from meshmove.geometry import CellBlock, CellMesh, Validity, facets_of, kind_of
from meshmove.geometry.cells.curvilinear import QUADRATIC
from meshmove.geometry.validity import POSITIVE
from meshmove.plugins.blocks import Block, assemble

__all__ = ["SOLIDS", "jittered", "second_order", "used"]

Array = NDArray[np.float64]


def used(points: Array, blocks: list[tuple[str, NDArray]]) -> CellMesh:
    """The mesh of these cells, without points that none of them uses."""
    ids = np.unique(np.concatenate([cells.ravel() for _, cells in blocks]))
    number = np.full(len(points), -1)
    number[ids] = np.arange(len(ids))
    return CellMesh(points[ids], tuple(CellBlock(kind_of(k), number[c]) for k, c in blocks if len(c)))


def jittered(rng: np.random.Generator, mesh: CellMesh) -> CellMesh:
    """Interior nodes displaced at random, as far as all cells stay valid."""
    facets = facets_of(mesh)
    nodes = facets.nodes[facets.exterior]
    edges = mesh.points[mesh.edges]
    near = np.full(mesh.n_points, np.inf)
    np.minimum.at(near, mesh.edges.ravel(), np.repeat(np.linalg.norm(edges[:, 1] - edges[:, 0], axis=1), 2))
    push = rng.uniform(-1, 1, mesh.points.shape) * near[:, None]
    push[nodes[nodes >= 0]] = 0
    for amount in (0.6, 0.45, 0.3, 0.2, 0.1):
        moved = mesh.moved(mesh.points + amount * push)
        if not len(Validity(mesh).lost(moved.points)) and rng.random() < 0.8:
            return moved
    return mesh


def _grid(rng: np.random.Generator, most: int) -> tuple[Array, NDArray, tuple[int, ...]]:
    """Points and boxes (m, 8) of a grid of the cube, and how many there are along each axis."""
    count = tuple(int(n) for n in rng.integers(2, most, 3))
    axes = [np.linspace(0, 1, n + 1) for n in count]
    points = np.stack(np.meshgrid(*axes, indexing="ij")).reshape(3, -1).T
    ids = np.arange(len(points)).reshape([n + 1 for n in count])
    first = np.indices(count).reshape(3, -1).T
    corners = kind_of("hexahedron").reference.astype(int)
    return points, np.stack([ids[tuple((first + c).T)] for c in corners], axis=1), count


def _voxels(rng: np.random.Generator) -> CellMesh:
    """The voxels of a random image in which a smooth random function is large: steps, re-entrant edges, thin necks."""
    points, boxes, count = _grid(rng, 7)
    image = gaussian_filter(rng.standard_normal(count), 1.0, mode="nearest")
    inside = label(image > np.quantile(image, rng.uniform(0, 0.6)))[0].ravel()
    return jittered(rng, used(points, [("hexahedron", boxes[inside == 1])]))


def _wedges(rng: np.random.Generator) -> CellMesh:
    """Triangles of a square, stacked."""
    side, layers = int(rng.integers(2, 6)), int(rng.integers(1, 5))
    axis = np.linspace(0, 1, side + 1)
    flat = skfem.MeshTri.init_tensor(axis, axis) if rng.random() < 0.5 else skfem.MeshTri.init_symmetric().refined(1)
    return jittered(rng, _stacked(flat.p.T, flat.t.T, np.linspace(0, 1, layers + 1), "wedge"))


def _stacked(points: Array, cells: NDArray, heights: Array, kind: str) -> CellMesh:
    n = len(points)
    space = np.concatenate([np.c_[points, np.full(n, z)] for z in heights])
    stacks = [np.concatenate([cells + k * n, cells + (k + 1) * n], axis=1) for k in range(len(heights) - 1)]
    return used(space, [(kind, np.concatenate(stacks))])


def _pyramids(rng: np.random.Generator) -> CellMesh:
    """Boxes, some of them or all split into six pyramids."""
    points, boxes, _ = _grid(rng, 5)
    split = rng.random(len(boxes)) < rng.choice([0.5, 1.0])
    apex = len(points) + np.arange(split.sum())
    points = np.concatenate([points, points[boxes[split]].mean(axis=1)])
    faces = [np.c_[boxes[split][:, f[::-1]], apex] for f in kind_of("hexahedron").facets]
    parts = [("pyramid", np.concatenate(faces)), ("hexahedron", boxes[~split])]
    return jittered(rng, used(points, [p for p in parts if len(p[1])]))


def _ball(rng: np.random.Generator) -> CellMesh:
    """A ball, or a half, a quarter or an eighth of one."""
    mesh = skfem.MeshTet.init_ball(int(rng.integers(1, 3)))
    centre = mesh.p[:, mesh.t].mean(axis=1)
    keep = (centre[: rng.integers(0, 4)] > 0).all(axis=0)
    return used(0.5 + 0.5 * mesh.p.T, [("tetra", mesh.t.T[keep])])


def _cylinder(rng: np.random.Generator) -> CellMesh:
    """A disk of triangles, or of quadrilaterals around a square, stacked to wedges or hexahedra."""
    heights = np.linspace(0, 1, int(rng.integers(2, 5)) + 1)
    if rng.random() < 0.5:
        disk = skfem.MeshTri.init_circle(int(rng.integers(1, 3)))
        return _stacked(0.5 + 0.5 * disk.p.T, disk.t.T, heights, "wedge")
    axis = np.linspace(-1, 1, int(rng.integers(2, 4)) * 2 + 1)
    square = skfem.MeshQuad.init_tensor(axis, axis)
    size = np.abs(square.p).max(axis=0)
    round_ = square.p * size / np.maximum(np.linalg.norm(square.p, axis=0), 1e-12)
    points = square.p + size**2 * (round_ - square.p)
    points = np.where(size > 0.99, 0.99 * points + 0.01 * square.p, points)  # at 45 degrees a corner of less than 180
    return _stacked(0.5 + 0.5 * points.T, square.t.T, heights, "hexahedron")


SOLIDS: dict[str, Callable[[np.random.Generator], CellMesh]] = {
    "voxels": _voxels,
    "wedges": _wedges,
    "pyramids": _pyramids,
    "ball": _ball,
    "cylinder": _cylinder,
}


def second_order(rng: np.random.Generator, mesh: CellMesh, bend: float, place: Callable[[Array], Array]) -> CellMesh:
    """The mesh in cells of second order, curved inside by up to `bend` of an edge's length, as far as cells are valid.

    On the boundary edges stay straight, so that the domain is known. `place` takes all nodes to where they belong.
    """
    cells, nodes = _with_middles(rng, mesh)
    blocks = [Block(name, ids, mesh.dim) for name, ids in cells]
    made = assemble(place(nodes), blocks)
    facets = facets_of(mesh)
    outer = facets.nodes[facets.exterior]
    on = np.zeros(mesh.n_points, bool)
    on[outer[outer >= 0]] = True
    assert made.lift is not None
    loose = np.flatnonzero((np.diff(made.lift.indptr) > 1) & (made.lift @ on.astype(float) < 1 - 1e-9))
    lengths = np.linalg.norm(mesh.points[mesh.edges[:, 1]] - mesh.points[mesh.edges[:, 0]], axis=1)
    push = np.zeros(nodes.shape)
    push[loose] = rng.uniform(-1, 1, (len(loose), mesh.dim)) * lengths.min()
    for amount in bend * 0.7 ** np.arange(12):
        bent = assemble(place(nodes + amount * push), blocks)
        if (Validity(bent).state == POSITIVE).all():
            return bent
    return made


def _with_middles(rng: np.random.Generator, mesh: CellMesh) -> tuple[list[tuple[str, NDArray]], Array]:
    """Cells of second order, and all nodes: those of edges, faces and cells are shared as their vertices are."""
    keys, places, cells = [], [], []
    # with nodes amid faces and cells, where there is such a kind; pyramids and wedges have none
    full = rng.random() < 0.5 and len(mesh.blocks) == 1
    for block in mesh.blocks:
        names = [k for k, (linear, _) in QUADRATIC.items() if linear == block.kind.name]
        name = names[-1] if full else names[0]
        for parent in QUADRATIC[name][1]:
            around = np.sort(block.nodes[:, parent], axis=1)
            keys.append(np.pad(around, ((0, 0), (0, 8 - around.shape[1])), constant_values=-1))
            places.append(mesh.points[around].mean(axis=1))
        cells.append((name, block))
    key = np.concatenate(keys)
    _, index, inverse = np.unique(key, axis=0, return_index=True, return_inverse=True)
    inverse = inverse.ravel() + mesh.n_points
    nodes = np.concatenate([mesh.points, np.concatenate(places)[index]])
    out, at = [], 0
    for name, block in cells:
        k = len(QUADRATIC[name][1])
        middles = inverse[at : at + k * len(block)].reshape(k, -1).T
        at += k * len(block)
        out.append((name, np.concatenate([block.nodes, middles], axis=1)))
    return out, nodes
