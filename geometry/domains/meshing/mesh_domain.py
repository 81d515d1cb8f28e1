"""Triangle meshes of domains, with facets named as the boundary."""

from __future__ import annotations

import importlib.util

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.domains.boundary import Boundary
from meshmove.geometry.errors import DomainError
from meshmove.geometry.given import chosen, generator, number
from meshmove.geometry.mesh import CellMesh

from .gmsh_engine import triangulate as _gmsh
from .scipy_engine import triangulate as _scipy
from .sizes import boundary_edges

__all__ = ["mesh_domain"]

ENGINES = ("auto", "gmsh", "scipy")
MOST_CELLS = 20_000_000


def mesh_domain(boundary: Boundary, size: float, engine: str = "auto", seed: int = 0) -> CellMesh:
    """Triangles with edges of about `size`, smaller where the shape is: at tight curves, short sides, thin gaps.

    Boundary vertices lie on the true curves, corners of the boundary are vertices. All triangles are positively
    oriented.

    Parameters
    ----------
    boundary
        Of what is meshed, not empty; several components and holes are fine.
    size
        Wanted edge length.
    engine
        "gmsh" (where the package is installed), "scipy" (no further package), or "auto": gmsh if installed.
    seed
        Of the scipy engine; gmsh is deterministic as it is.

    Returns
    -------
    CellMesh
        With `facets` {name: vertex ids (f, 2)}, which cover the boundary exactly; the domain is on their left.

    Raises
    ------
    DomainError
        If the size is not positive, larger than the domain or too small for any computer, the
        engine is unknown, or a corner or gap is too thin to be meshed.
    ImportError
        If gmsh is asked for and not installed.

    References
    ----------
    Persson and Strang, A simple mesh generator in MATLAB, SIAM Review 46 (2004), for the scipy engine.

    >>> from meshmove.geometry.domains import Disk, Rectangle
    >>> mesh = (Rectangle((0, 0), (4, 1), "wall") - Disk((1, 0.5), 0.2, "cylinder")).mesh(0.2, engine="scipy")
    >>> sorted(mesh.facets)
    ['cylinder', 'wall']
    """
    chosen(engine, ENGINES, "an engine", DomainError)
    rng = generator(seed, DomainError)
    size = _checked(boundary, size)
    edges, field = boundary_edges(boundary, size)
    has_gmsh = importlib.util.find_spec("gmsh") is not None
    if engine == "gmsh" and not has_gmsh:
        raise ImportError('Meshing with engine="gmsh" needs gmsh: pip install "meshmove[gmsh]", or engine="scipy"')
    if engine == "gmsh" or (engine == "auto" and has_gmsh):
        points, cells = _gmsh(edges, field)
    else:
        edges, points, cells = _scipy(edges, field, rng)
    facets = edges.facets()
    _check(points, cells, np.concatenate(list(facets.values())))
    return CellMesh.single(points.T, cells, "triangle", facets=facets)


def _checked(boundary: Boundary, size: float) -> float:
    size = number(size, "a positive cell size", low=1e-150, error=DomainError)
    if size > boundary.extent:
        raise DomainError(
            f"Expected a cell size smaller than the domain, whose diagonal is {boundary.extent:.3g} "
            f"(got {size:.3g}); try {boundary.extent / 10:.2g}"
        )
    cells = 2.31 * boundary.area / size**2
    if max(cells, boundary.lengths.sum() / size) > MOST_CELLS:
        raise DomainError(
            f"Expected a cell size that gives at most {MOST_CELLS:,} cells (got {size:.3g}, about {cells:.2g} cells); "
            f"try {np.sqrt(2.31 * boundary.area / 1e5):.2g} for a hundred thousand"
        )
    return size


def _check(points: NDArray[np.float64], cells: NDArray[np.int64], facets: NDArray[np.int64]) -> None:
    """Every boundary edge belongs to one cell, every other edge to two, no cell is flat or inverted."""
    e1, e2 = points[:, cells[:, 1]] - points[:, cells[:, 0]], points[:, cells[:, 2]] - points[:, cells[:, 0]]
    n = points.shape[1]
    directed = cells[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    there, back = directed[:, 0] * n + directed[:, 1], directed[:, 1] * n + directed[:, 0]
    outer = np.sort(there[~np.isin(there, back)])
    wanted = np.sort(facets[:, 0] * n + facets[:, 1])
    if not ((e1[0] * e2[1] - e1[1] * e2[0]) > 0).all() or not np.array_equal(outer, wanted):
        raise DomainError(
            "Expected a boundary that a mesh of this size can follow (got edges that overlap or are missing); "
            "try a smaller size, or remove corners and gaps that are thinner than a thousandth of it"
        )
