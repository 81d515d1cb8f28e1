"""The plain arrays of a mesh as PyVista's grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meshmove.geometry.mesh import CellMesh
from meshmove.optional import require

if TYPE_CHECKING:
    import pyvista

__all__ = ["cellmesh_to_pyvista"]

_VTK = {"triangle": 5, "quad": 9, "tetra": 10, "hexahedron": 12, "wedge": 13, "pyramid": 14}


def cellmesh_to_pyvista(mesh: CellMesh) -> pyvista.UnstructuredGrid:
    """The vertices and linear cells of a `CellMesh`; 2-D meshes lie in the plane z = 0.

    Examples
    --------
    >>> mesh = CellMesh.single([[0, 0], [1, 0], [0, 1]], [[0, 1, 2]], "triangle")
    >>> cellmesh_to_pyvista(mesh).n_cells
    1
    """
    pyvista = require("pyvista", extra="pyvista")
    points = np.zeros((mesh.n_points, 3))
    points[:, : mesh.dim] = mesh.points
    cells = [np.column_stack([np.full(len(b), b.kind.vertices), b.nodes]).ravel() for b in mesh.blocks]
    types = [np.full(len(b), _VTK[b.kind.name], np.uint8) for b in mesh.blocks]
    return pyvista.UnstructuredGrid(np.concatenate(cells), np.concatenate(types), points)
