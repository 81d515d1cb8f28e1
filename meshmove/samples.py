"""Meshes to try things on, small and with names: a channel, a wing and a bracket, as `meshio.Mesh`.

>>> import meshmove
>>> mesh = meshmove.samples.bracket()
>>> mesh.cells[0].type, len(mesh.cells[0].data), sorted(mesh.cell_sets)
('hexahedron', 1536, ['clamp', 'load', 'steel'])
"""

from __future__ import annotations

from importlib.resources import as_file, files

import meshio
import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.domains import Polygon, Rectangle
from meshmove.geometry.facets import facets_of
from meshmove.geometry.mesh import CellMesh
from meshmove.meshes.files.io import load

__all__ = ["bracket", "channel", "wing"]


def channel() -> meshio.Mesh:
    """Triangles in a channel past a warm cylinder, as Gmsh wrote them, with the point data "temperature".

    Physical groups "inlet", "outlet", "wall", "cylinder", and "fluid".

    >>> sorted(channel().field_data)
    ['cylinder', 'fluid', 'inlet', 'outlet', 'wall']
    """
    with as_file(files("meshmove") / "data" / "channel.msh") as path:
        return load(path)


def wing(size: float = 0.05) -> meshio.Mesh:
    """Triangles around a NACA 0012 section of chord 1, with the point data "speed" of a flow with a shock.

    Boundaries are "wing" and "far", the cells are "air". The speed is a formula, no solution: it jumps where a shock
    would stand on the upper side, at 0.6 of the chord.

    Parameters
    ----------
    size
        Of the cells.

    >>> wing().point_data["speed"].shape[0] > 1000
    True
    """
    t = (1 - np.cos(np.linspace(0, np.pi, 30))) / 2
    half = 0.6 * (0.2969 * np.sqrt(t) - 0.126 * t - 0.3516 * t**2 + 0.2843 * t**3 - 0.1036 * t**4)
    section = np.concatenate([np.stack([t, half], axis=1)[::-1], np.stack([t, -half], axis=1)[1:-1]])
    outline = tuple((float(a), float(b)) for a, b in section)
    domain = Rectangle((-0.5, -0.75), (1.5, 0.75), name="far") - Polygon(outline, name="wing")
    mesh = domain.mesh(size, engine="scipy")
    x, y = mesh.points.T
    shock = (1 - np.tanh(30 * (x - 0.6 - 0.15 * y))) / 2
    over = (1 + np.tanh(10 * x)) * (1 + np.tanh(20 * y)) / 4 * np.exp(-4 * y**2)
    return _named(mesh, "air", dict(mesh.facets), {"speed": 1 + 0.6 * shock * over})


def bracket() -> meshio.Mesh:
    """Hexahedra of an angle of steel, with the point data "stress", which is large at the inner edge.

    Boundaries are "clamp", the upper end, and "load", the right one, the cells are "steel". The stress is the formula
    1 / (r + 0.05) with the distance r to the inner edge, no solution.
    """
    n, depth = 16, 8
    i, j, k = np.meshgrid(range(n + 1), range(n + 1), range(depth + 1), indexing="ij")
    points = np.stack([i / n, j / n, k / (2 * depth)], axis=-1).reshape(-1, 3)
    first = [a[:-1, :-1, :-1].ravel() for a in (i, j, k)]  # of each cell its first corner
    corners = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)]
    number = (n + 1) * (depth + 1) * first[0] + (depth + 1) * first[1] + first[2]
    cells = np.stack([number + ((n + 1) * a + b) * (depth + 1) + c for a, b, c in corners], axis=1)
    used, inverse = np.unique(cells[(first[0] < n // 2) | (first[1] < n // 2)], return_inverse=True)
    mesh = CellMesh.single(points[used], inverse.reshape(-1, 8), "hexahedron")
    facets = facets_of(mesh)
    middle = mesh.points[facets.nodes].mean(axis=1)
    sides = {"clamp": facets.nodes[middle[:, 1] == 1], "load": facets.nodes[middle[:, 0] == 1]}
    x, y, _ = mesh.points.T
    return _named(mesh, "steel", sides, {"stress": 1 / (np.hypot(x - 0.5, y - 0.5) + 0.05)})


def _named(mesh: CellMesh, name: str, sides: dict[str, NDArray], data: dict[str, NDArray]) -> meshio.Mesh:
    """With a name for the cells, and the sides as cells of their own, in sets."""
    (block,) = mesh.blocks
    kind = "line" if mesh.dim == 2 else "quad"
    count = np.cumsum([0, *map(len, sides.values())])
    sets = {name: [np.array([], int), np.arange(*count[k : k + 2])] for k, name in enumerate(sides)}
    sets[name] = [np.arange(len(block)), np.array([], int)]
    cells = [(block.kind.name, block.nodes), (kind, np.concatenate(list(sides.values())))]
    return meshio.Mesh(mesh.points, cells, point_data=data, cell_sets=sets)


def __dir__() -> list[str]:
    return __all__
