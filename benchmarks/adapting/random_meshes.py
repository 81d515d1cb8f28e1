"""Random meshes of every kind, from a seed: the ground that the robustness run covers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import meshio
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from benchmarks.adapting.random_cells import SOLIDS, second_order
from meshmove.geometry import CellBlock, CellMesh, corner_volumes, facets_of, inverted_cells, kind_of
from meshmove.geometry.domains import Disk, Domain, DomainError, Ellipse, Polygon, Rectangle
from meshmove.meshes.source import Source

__all__ = ["KINDS", "Sample", "random_mesh"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sample:
    """A mesh, the affine map x = A s + b that it has been through, and its shape before that, where one is known.

    `domain`: in coordinates s, with its curves. None: all exterior facets are straight, `wavy` ones excepted.
    `given`: what `adapt` gets where that is not `mesh` itself but what `mesh` was read from: single precision, regions
    by name. `regions`: their labels, whether or not they were recognised.
    """

    kind: str
    mesh: CellMesh
    matrix: Array
    shift: Array
    domain: Domain | None = None
    wavy: bool = False
    given: meshio.Mesh | None = None
    regions: NDArray[np.int64] | None = None

    @property
    def handed(self) -> Any:
        return self.mesh if self.given is None else self.given

    @property
    def single(self) -> bool:
        return self.given is not None and self.given.points.dtype == np.float32

    @cached_property
    def vertices(self) -> NDArray[np.int64]:
        """Rows of the displacement that belong to the points of `mesh`."""
        return Source.of(self.handed).cells.vertex_nodes

    def local(self, x: Array) -> Array:
        """Points (n, dim) in coordinates s, in which the mesh is about one in size."""
        return np.linalg.solve(self.matrix, (x - self.shift).T).T


# -- meshes of size one ---------------------------------------------------------------------------------------------


def _polygon(rng: np.random.Generator) -> tuple[CellMesh, Domain]:
    """A star-shaped polygon with random corners, minus up to three round or angular holes."""
    while True:
        n = int(rng.integers(3, 10))
        angle = np.sort(rng.uniform(0, 2 * np.pi, n))
        radius = rng.uniform(0.35, 1, n) / 2
        try:
            domain: Domain = Polygon(np.c_[radius * np.cos(angle), radius * np.sin(angle)] + 0.5, name="outer")
            for k in range(int(rng.integers(0, 4))):
                at, size = rng.uniform(0.25, 0.75, 2), rng.uniform(0.02, 0.15)
                hole = [
                    lambda at=at, size=size, k=k: Disk(at, size, name=f"hole {k}"),
                    lambda at=at, size=size, k=k: Ellipse(at, (size, size / 2), name=f"hole {k}"),
                    lambda at=at, size=size, k=k: Rectangle(at - size, at + size * rng.uniform(0.1, 1, 2), f"hole {k}"),
                ][rng.integers(3)]()
                domain = domain - hole
            if domain.is_empty or domain.area < 0.05:
                continue
            return domain.mesh(float(rng.uniform(0.05, 0.12)), engine="scipy", seed=int(rng.integers(1 << 30))), domain
        except DomainError:  # corners too thin to be meshed
            continue


def _scattered(rng: np.random.Generator) -> CellMesh:
    """Delaunay of points at random in the square: slivers of every kind, also along the sides."""
    n, side = int(rng.integers(5, 120)), int(rng.integers(2, 9))
    s = np.linspace(0, 1, side + 1)[1:-1]
    walls = [np.c_[s, 0 * s], np.c_[s, 0 * s + 1], np.c_[0 * s, s], np.c_[0 * s + 1, s]]
    p = np.concatenate([[[0, 0], [1, 0], [1, 1], [0, 1.0]], *walls, rng.uniform(0.002, 0.998, (n, 2))])
    t = Delaunay(p).simplices
    a, b = p[t[:, 1]] - p[t[:, 0]], p[t[:, 2]] - p[t[:, 0]]
    return CellMesh.single(p, t[np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) > 1e-9], "triangle")


def _boxes(rng: np.random.Generator, dim: int) -> tuple[Array, NDArray]:
    """Points and boxes (m, 2^dim) of a tensor grid, graded at random."""
    most = 14 if dim == 2 else 6
    axes = []
    for _ in range(dim):
        s = np.linspace(0, 1, int(rng.integers(2, most)) + 1)
        grade = rng.integers(4)
        if grade == 1:
            s = s ** rng.uniform(1, 4)
        elif grade == 2:
            s = np.r_[0, np.cumsum(rng.uniform(0.05, 1, len(s) - 1))]
        axes.append(s / s[-1])
    shape = tuple(map(len, axes))
    index = np.indices(shape).reshape(dim, -1).T
    points = np.stack([a[i] for a, i in zip(axes, index.T, strict=True)], axis=1)
    ids = np.arange(len(points)).reshape(shape)
    first = np.indices([n - 1 for n in shape]).reshape(dim, -1).T
    reference = kind_of("quad" if dim == 2 else "hexahedron").reference.astype(int)
    return points, np.stack([ids[tuple((first + corner).T)] for corner in reference], axis=1)


def _jittered(rng: np.random.Generator, mesh: CellMesh, step: Array) -> CellMesh:
    """Interior nodes displaced at random, as far as no cell is inverted."""
    exterior = facets_of(mesh)
    nodes = exterior.nodes[exterior.exterior]
    push = rng.uniform(-1, 1, mesh.points.shape) * step
    push[nodes[nodes >= 0]] = 0
    before = corner_volumes(mesh)
    for amount in (0.45, 0.3, 0.2, 0.1, 0.05):
        moved = mesh.points + amount * push
        if (corner_volumes(mesh, moved) / before).min() > 0.02:
            return mesh.moved(moved)
    return mesh


def _tensor(rng: np.random.Generator, kind: str) -> CellMesh:
    dim = kind_of(kind).dim
    points, boxes = _boxes(rng, dim)
    if kind_of(kind).is_simplex:
        cells = boxes[:, kind_of("quad" if dim == 2 else "hexahedron").simplices].reshape(-1, dim + 1)
    else:
        cells = boxes
    mesh = CellMesh.single(points, cells, kind)
    if rng.random() < 0.25:  # take out a corner: re-entrant
        centre = points[cells].mean(axis=1)
        mesh = _only(mesh, ~(centre > 0.5).all(axis=1))
    if rng.random() < 0.6:
        edges = mesh.points[mesh.edges]
        length = np.linalg.norm(edges[:, 1] - edges[:, 0], axis=1)
        near = np.full(mesh.n_points, np.inf)
        np.minimum.at(near, mesh.edges.ravel(), np.repeat(length, 2))
        mesh = _jittered(rng, mesh, near[:, None])
    return mesh


def _only(mesh: CellMesh, keep: NDArray[np.bool_]) -> CellMesh:
    cells = mesh.blocks[0].nodes[keep]
    if not len(cells):
        return mesh
    used, cells = np.unique(cells, return_inverse=True)
    return CellMesh.single(
        mesh.points[used], cells.reshape(-1, mesh.blocks[0].nodes.shape[1]), mesh.blocks[0].kind.name
    )


def _mixed(rng: np.random.Generator) -> CellMesh:
    """Quadrilaterals, some of them split into triangles."""
    mesh = _tensor(rng, "quad")
    cells = mesh.blocks[0].nodes
    split = rng.random(len(cells)) < 0.5
    triangles = cells[split][:, kind_of("quad").simplices].reshape(-1, 3)
    blocks = (CellBlock(kind_of("triangle"), triangles), CellBlock(kind_of("quad"), cells[~split]))
    return CellMesh(mesh.points, tuple(b for b in blocks if len(b)))


def _tets(rng: np.random.Generator) -> CellMesh:
    """Delaunay of a jittered grid in the cube."""
    k = int(rng.integers(2, 6))
    points = np.indices((k + 1,) * 3).reshape(3, -1).T / k
    inner = ((points > 0) & (points < 1)).all(axis=1)
    points[inner] += rng.uniform(-0.3, 0.3, (inner.sum(), 3)) / k
    # a nudge along the faces, so that the grid has one Delaunay mesh only
    nudge = rng.uniform(-0.05, 0.05, points.shape) / k * ((points > 0) & (points < 1)) * ~inner[:, None]
    points += nudge
    cells = Delaunay(points).simplices
    e = points[cells[:, 1:]] - points[cells[:, :1]]
    return CellMesh.single(points, cells[np.abs(np.linalg.det(e)) > 1e-6 / k**3], "tetra")


def _wavy(rng: np.random.Generator) -> CellMesh:
    """Quadrilaterals or triangles of a square with curved sides."""
    mesh = _tensor(rng, "quad" if rng.random() < 0.5 else "triangle")
    x, y = mesh.points.T
    a, b = rng.uniform(0.02, 0.08, 2)
    bent = np.stack([x + a * np.sin(3 * y + rng.uniform(0, 6)), y + b * np.sin(4 * x + rng.uniform(0, 6))], axis=1)
    fine = (corner_volumes(mesh, bent) * corner_volumes(mesh) > 0).all()
    return mesh.moved(bent) if fine else mesh


KINDS: dict[str, Callable[[np.random.Generator], CellMesh]] = {
    "scattered": _scattered,
    "triangles": lambda rng: _tensor(rng, "triangle"),
    "quads": lambda rng: _tensor(rng, "quad"),
    "mixed": _mixed,
    "wavy": _wavy,
    "tets": _tets,
    "graded tets": lambda rng: _tensor(rng, "tetra"),
    "hexes": lambda rng: _tensor(rng, "hexahedron"),
    **SOLIDS,
}
#: kinds that are made into second-order ones, and kinds in which a plane may part two regions
CURVED = ("scattered", "triangles", "quads", "mixed", "tets", "graded tets", "hexes", "voxels", "wedges", "pyramids")
STRIPED = ("triangles", "quads", "mixed", "hexes", "graded tets", "wedges", "voxels")
#: what others call the regions of a mesh
NAMES = ("gmsh:physical", "material", "attribute", "mat_id", "MaterialIDs", "medit:ref", "name_to_read")


# -- what may happen to any of them ---------------------------------------------------------------------------------


def _flipped(rng: np.random.Generator, mesh: CellMesh) -> CellMesh:
    """Simplices of mixed orientation, as scikit-fem has them."""
    blocks = []
    for block in mesh.blocks:
        nodes = block.nodes.copy()
        if block.kind.is_simplex:
            swap = rng.random(len(nodes)) < 0.5
            nodes[swap, :2] = nodes[swap, 1::-1]
        blocks.append(CellBlock(block.kind, nodes))
    return replace(mesh, blocks=tuple(blocks))


def _tagged(rng: np.random.Generator, mesh: CellMesh) -> CellMesh:
    """Two regions side by side, and a name for the facets on one half."""
    centre = np.concatenate([mesh.points[b.nodes].mean(axis=1) for b in mesh.blocks])
    normal = rng.standard_normal(mesh.dim)
    side = (centre - np.median(centre, axis=0)) @ normal > 0
    facets = facets_of(mesh)
    outer = facets.nodes[facets.exterior]
    middle = mesh.points[np.abs(outer)].mean(axis=1)
    named = {"half": outer[(middle - 0.5) @ normal > 0]} if not mesh.facets else mesh.facets
    return replace(mesh, regions=side.astype(np.int64), facets=named)


def _affine(rng: np.random.Generator, dim: int) -> tuple[Array, Array]:
    """Turned, stretched by up to 100:1, scaled from 1e-9 to 1e9, and shifted."""
    turn = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    stretch = np.ones(dim)
    if rng.random() < 0.35:
        stretch[0] = 10 ** rng.uniform(0, 2)
    scale = 10 ** rng.uniform(-9, 9) if rng.random() < 0.2 else 1.0
    shift = rng.uniform(-3, 3, dim) * (rng.random() < 0.5)
    if rng.random() < 0.3:
        turn = np.eye(dim)
    return scale * turn * stretch, scale * shift


def _handed(mesh: CellMesh, dtype: Any, data: dict[str, list[NDArray]] | None = None) -> meshio.Mesh:
    blocks = [(b.kind.name, b.nodes) for b in mesh.blocks]
    return meshio.Mesh(mesh.points.astype(dtype), blocks, cell_data=data)


def _striped(rng: np.random.Generator, mesh: CellMesh) -> NDArray[np.int64] | None:
    """Two regions on either side of a plane that no cell crosses; None where there is no such plane."""
    low = np.concatenate([mesh.points[b.nodes, 0].min(axis=1) for b in mesh.blocks])
    high = np.concatenate([mesh.points[b.nodes, 0].max(axis=1) for b in mesh.blocks])
    for c in rng.permutation(np.unique(low[low > low.min()])):
        if not ((low < c) & (high > c)).any():
            return (low >= c).astype(np.int64)
    return None


def random_mesh(rng: np.random.Generator, kind: str | None = None) -> Sample:
    """A small random mesh: of the given kind, or of one in turn at random ("polygon", "curved", or one of `KINDS`)."""
    kind = kind or str(rng.choice(["polygon"] * 3 + ["curved"] * 3 + list(KINDS)))
    domain = None
    if kind == "polygon":
        mesh, domain = _polygon(rng)
    else:
        mesh = KINDS[str(rng.choice(CURVED)) if kind == "curved" else kind](rng)
    matrix, shift = _affine(rng, mesh.dim)
    if kind == "curved":
        bend = float(rng.choice([0.02, 0.1, 0.3]))
        return Sample(kind, second_order(rng, mesh, bend, lambda x: x @ matrix.T + shift), matrix, shift)
    regions = _striped(rng, mesh) if kind in STRIPED and rng.random() < 0.15 else None
    if regions is None and rng.random() < 0.5:
        mesh = _flipped(rng, mesh)
    if regions is None and rng.random() < 0.15:
        mesh = _tagged(rng, mesh)
    mesh = mesh.moved(mesh.points @ matrix.T + shift)
    wavy = kind in ("wavy", "ball", "cylinder")
    if regions is not None:
        ends = np.cumsum([len(b) for b in mesh.blocks])[:-1]
        given = _handed(mesh, float, {str(rng.choice(NAMES)): np.split(regions, ends)})
        return Sample(kind, Source.of(given).cells, matrix, shift, given=given, regions=regions)
    if kind in SOLIDS and not mesh.facets and rng.random() < 0.2:
        given = _handed(mesh, np.float32)
        rounded = Source.of(given).cells
        if not len(inverted_cells(mesh, rounded.points)) and np.abs(shift).max() <= 10 * np.abs(matrix).max():
            return Sample(kind, rounded, matrix, shift, wavy=wavy, given=given)
    return Sample(kind, mesh, matrix, shift, domain, wavy)
