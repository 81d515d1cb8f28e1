"""Nodes between vertices: those of second-order cells, and how they go where the vertices go."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from meshmove.geometry.cells.curvilinear import QUADRATIC
from meshmove.geometry.mesh import CellBlock

from .elements import HEX

if TYPE_CHECKING:
    import skfem

__all__ = ["lift_of", "second_order"]


def _parents(mesh: skfem.Mesh) -> list[tuple[int, ...]]:
    """The vertices that each node of the cell is the mean of, in scikit-fem's order."""
    refdom, elem = mesh.elem.refdom, mesh.elem
    parents: list[tuple[int, ...]] = [(v,) for v in range(refdom.nnodes)]
    parents += [tuple(e) for e in refdom.edges or []] if elem.edge_dofs else []
    parents += [tuple(f) for f in refdom.facets] if elem.facet_dofs else []
    parents += [tuple(range(refdom.nnodes))] if elem.interior_dofs else []
    return parents


def second_order(mesh: skfem.Mesh, block: CellBlock) -> CellBlock:
    """The block with the mid-side nodes of its cells, where these are of a known kind."""
    vtk = np.argsort(HEX) if block.kind.name == "hexahedron" else np.arange(block.kind.vertices)
    column = {frozenset(vtk[list(p)].tolist()): k for k, p in enumerate(_parents(mesh))}
    for name, (linear, further) in QUADRATIC.items():
        wanted = [frozenset((v,)) for v in range(block.kind.vertices)] + [frozenset(p) for p in further]
        if linear == block.kind.name and column.keys() == set(wanted):
            nodes = mesh.dofs.element_dofs[[column[w] for w in wanted]].T
            return replace(block, second=name, second_nodes=nodes)
    return block


def lift_of(mesh: skfem.Mesh, cells: NDArray, n_vertices: int) -> csr_matrix:
    """Each node's displacement as the mean over the edge, facet or cell that it stands in; unused nodes: zero."""
    parents = _parents(mesh)
    nodes = mesh.dofs.element_dofs
    shape = (mesh.p.shape[1], n_vertices)
    rows, columns, weights = [], [], []
    seen = np.zeros(shape[0], bool)
    for local, parent in zip(nodes, parents, strict=True):
        node, cell = np.unique(local, return_index=True)
        new = ~seen[node]
        node, cell = node[new], cell[new]
        seen[node] = True
        rows.append(np.repeat(node, len(parent)))
        columns.append(cells[list(parent)][:, cell].T.ravel())
        weights.append(np.full(len(node) * len(parent), 1 / len(parent)))
    return csr_matrix((np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), shape=shape)
