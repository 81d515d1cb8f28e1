"""Small meshes of every kind of cell, order and way of tagging, as meshio has them."""

from __future__ import annotations

import meshio
import numpy as np
from meshio._mesh import topological_dimension

from meshmove.geometry import facets_of
from meshmove.geometry.cells.curvilinear import QUADRATIC
from tests.shapes import box, mesh_dim

#: linear kinds and mixtures of them, and those of second order that meshio has
LINEAR = ("triangle", "quad", "tetra", "hexahedron", "wedge", "pyramid", "mixed 2-D", "mixed 3-D")
KINDS = (*LINEAR, *(k for k in QUADRATIC if k in topological_dimension))
#: what tells cells or facets apart
TAGS = ("plain", "materials", "physical", "sets", "sides")


def drawn(kind: str, tags: str) -> meshio.Mesh:
    """Four cells a side, interior nodes off their places; a field `u`, and the tags.

    "materials": integer cell data of no format's own; "physical": Gmsh's, with names; "sets": cell sets; "sides": cells
    of a lower dimension on x = 0, with Gmsh's number and a name.
    """
    linear, further = QUADRATIC.get(kind, (kind, ()))
    mesh = box(linear, 4, 0.1, seed=3)
    points, blocks = mesh.points, [(b.kind.name, b.nodes) for b in mesh.blocks]
    if further:
        points, nodes = _second_order(points, blocks[0][1], further)
        blocks = [(kind, nodes)]
    right = [points[nodes].mean(axis=1)[:, 0] > 0.5 for _, nodes in blocks]
    out = meshio.Mesh(points, blocks, point_data={"u": np.tanh(9 * (points[:, 0] - 0.4))})
    if tags == "materials":
        out.cell_data["stuff_id"] = [7 + r.astype(np.int64) for r in right]
    elif tags == "sets":
        out.cell_sets = {"right": [np.flatnonzero(r) for r in right], "left": [np.flatnonzero(~r) for r in right]}
    elif tags in ("physical", "sides"):
        dim = mesh.dim
        numbers = [7 + r.astype(np.int32) for r in right]
        out.field_data = {"west": np.array([7, dim]), "east": np.array([8, dim])}
        if tags == "sides":
            for name, nodes in _side(mesh, points, right=False):
                out.cells.append(meshio.CellBlock(name, nodes))
                numbers.append(np.full(len(nodes), 3, np.int32))
            out.field_data["inlet"] = np.array([3, dim - 1])
        out.cell_data = {"gmsh:physical": numbers, "gmsh:geometrical": [n.copy() for n in numbers]}
    return out


def _second_order(points, cells, further):
    """Points and cells with the means of vertices as further nodes."""
    parents = np.concatenate([np.sort(cells[:, list(p) + [p[0]] * (8 - len(p))], axis=1) for p in further])
    known, number = np.unique(parents, axis=0, return_inverse=True)
    middles = np.stack([points[np.unique(row)].mean(axis=0) for row in known])
    nodes = len(points) + number.reshape(len(further), len(cells)).T
    return np.concatenate([points, middles]), np.c_[cells, nodes]


def _side(mesh, points, right):
    """Facets on x = 0 by their meshio kind, linear whatever the order of the cells."""
    facets = facets_of(mesh)
    nodes = facets.nodes[facets.exterior]
    there = np.array([np.abs(points[f[f >= 0], 0] - float(right)).max() < 1e-9 for f in nodes])
    count = (nodes >= 0).sum(axis=1)
    names = {2: "line", 3: "triangle", 4: "quad"}
    for k in np.unique(count[there]):
        yield names[int(k)], nodes[there & (count == k)][:, :k]


def dimension(kind: str) -> int:
    return mesh_dim(QUADRATIC.get(kind, (kind,))[0])
