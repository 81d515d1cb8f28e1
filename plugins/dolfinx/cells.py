"""In which order DOLFINx has the nodes of its cells and facets, and in which meshmove does.

DOLFINx numbers the vertices of quadrilaterals and hexahedra as a tensor product, (0, 0), (1, 0), (0, 1), (1, 1), and
further nodes by the edges, faces and the inside of Basix's reference cells. Where these are is asked of Basix.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from meshmove.geometry.arrays import Ids
from meshmove.geometry.cells import KINDS
from meshmove.geometry.cells.curvilinear import QUADRATIC
from meshmove.geometry.errors import UnsupportedMeshError

from .versions import reference_nodes

__all__ = ["NAMES", "facet_vertices", "kind_of_cells", "vtk_order", "vtk_vertices"]

#: DOLFINx's name -> that of the linear and of the second-order kind here
NAMES = {
    "triangle": ("triangle", "triangle6"),
    "quadrilateral": ("quad", "quad9"),
    "tetrahedron": ("tetra", "tetra10"),
    "hexahedron": ("hexahedron", "hexahedron27"),
}
#: vertices of the reference cell in VTK order, where that is another
_VERTICES = {"quad": (0, 1, 3, 2), "hexahedron": (0, 1, 3, 2, 4, 5, 7, 6)}


def kind_of_cells(cell: str, degree: int) -> str:
    """The kind of cells here.

    Raises
    ------
    UnsupportedMeshError
        Cells of other kinds, or of a geometry beyond the second order.

    Examples
    --------
    >>> kind_of_cells("quadrilateral", 2)
    'quad9'
    """
    if cell not in NAMES:
        raise UnsupportedMeshError(
            f"Expected a DOLFINx mesh of {', '.join(NAMES)} cells (got {cell}). Others are not moved yet"
        )
    if degree not in (1, 2):
        raise UnsupportedMeshError(
            f"Expected cells of first or second order (got a geometry of degree {degree}). "
            "Move the mesh of the same cells with straight or quadratic edges"
        )
    return NAMES[cell][degree - 1]


def vtk_vertices(kind: str) -> Ids:
    """Which vertex of DOLFINx's cell each vertex in VTK order is.

    >>> vtk_vertices("quad").tolist()
    [0, 1, 3, 2]
    """
    return np.array(_VERTICES.get(kind, range(KINDS[kind].vertices)))


@cache
def _order(cell: str, degree: int) -> tuple[int, ...]:
    name = kind_of_cells(cell, degree)
    linear, parents = QUADRATIC.get(name, (name, ()))
    points = reference_nodes(cell, degree)
    corners = points[vtk_vertices(linear)]
    wanted = np.array([*corners, *(corners[list(p)].mean(axis=0) for p in parents)])
    off = np.abs(wanted[:, None] - points[None]).max(axis=2)
    return tuple(int(k) for k in off.argmin(axis=1))


def vtk_order(cell: str, degree: int) -> Ids:
    """Which node of DOLFINx's cell each node in VTK order is, mid-side nodes being means of vertices."""
    return np.array(_order(cell, degree))


def facet_vertices(cell: str) -> Ids:
    """Vertices (facets, k) of each facet of DOLFINx's cell, going round it.

    Basix numbers facets of simplices by the vertex that they lack, those of boxes by their vertices in ascending order.

    >>> facet_vertices("quadrilateral").tolist()
    [[0, 1], [0, 2], [1, 3], [2, 3]]
    """
    return np.array(_FACETS[cell])


_FACETS = {
    "triangle": ((1, 2), (0, 2), (0, 1)),
    "quadrilateral": ((0, 1), (0, 2), (1, 3), (2, 3)),
    "tetrahedron": ((1, 2, 3), (0, 2, 3), (0, 1, 3), (0, 1, 2)),
    "hexahedron": ((0, 1, 3, 2), (0, 1, 5, 4), (0, 2, 6, 4), (1, 3, 7, 5), (2, 3, 7, 6), (4, 5, 7, 6)),
}
