"""The gmsh engine: our boundary edges are given, gmsh fills them; whatever its user had open stays as it was."""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.errors import DomainError

from .scipy_engine import delaunay, scatter
from .sizes import BoundaryEdges, SizeField

__all__ = ["shells", "triangulate"]


_LOCK = threading.Lock()  # gmsh has one global state
_OPTIONS = {
    "General.Terminal": 0,
    "Mesh.Algorithm": 6,  # frontal Delaunay: the best shapes
    "Mesh.MeshSizeExtendFromBoundary": 1,
    "Mesh.MeshSizeFromPoints": 0,
    "Mesh.MeshSizeFromCurvature": 0,
    "Mesh.MeshSizeMin": 0,
    "Mesh.MeshSizeFactor": 1,
    "Mesh.ElementOrder": 1,
    "Mesh.RecombineAll": 0,
    "Mesh.SubdivisionAlgorithm": 0,
    "Mesh.Optimize": 1,
}


@contextmanager
def _session(options: dict[str, float]) -> Iterator[Any]:
    """A fresh model in a quiet gmsh; afterwards finalised, or as its user had it."""
    import gmsh

    with _LOCK:
        mine = not gmsh.isInitialized()
        if mine:
            # interruptible installs a signal handler, which only the main thread may do
            with _broken_pipes_as_before():
                gmsh.initialize(readConfigFiles=False, interruptible=False)
        saved = {name: gmsh.option.getNumber(name) for name in options}
        current = "" if mine else gmsh.model.getCurrent()
        name = "meshmove domain"
        try:
            for key, value in options.items():
                gmsh.option.setNumber(key, value)
            gmsh.model.add(name)
            yield gmsh
        finally:
            if gmsh.model.getCurrent() == name:
                gmsh.model.remove()
            if mine:
                gmsh.finalize()
            else:
                for key, value in saved.items():
                    gmsh.option.setNumber(key, value)
                if current in gmsh.model.list():
                    gmsh.model.setCurrent(current)


@contextmanager
def _broken_pipes_as_before() -> Iterator[None]:
    """Python ignores SIGPIPE and raises BrokenPipeError; gmsh lets it end the process, also after `finalize`."""
    number = getattr(signal, "SIGPIPE", None)
    if number is None:  # Windows
        yield
        return
    handler = ctypes.pythonapi.PyOS_getsig  # unlike `signal.signal`, from any thread
    handler.restype, handler.argtypes = ctypes.c_void_p, (ctypes.c_int,)
    restore = ctypes.pythonapi.PyOS_setsig
    restore.restype, restore.argtypes = ctypes.c_void_p, (ctypes.c_int, ctypes.c_void_p)
    before = handler(number)
    try:
        yield
    finally:
        restore(number, before)


def triangulate(edges: BoundaryEdges, field: SizeField) -> tuple[Array, Ids]:
    """Points (2, n), the boundary vertices first, and triangles (m, 3)."""
    low, scale = edges.boundary.bounds[0][:, None], edges.boundary.extent
    x = (edges.points - low) / scale  # gmsh has absolute tolerances
    with _session({**_OPTIONS, "Mesh.MeshSizeMax": field.size / scale}) as gmsh:
        geo = gmsh.model.geo
        vertex = [geo.addPoint(*p, 0.0) for p in x.T.tolist()]
        lines = [geo.addLine(vertex[a], vertex[b]) for a, b in edges.edges.tolist()]
        for shell in shells(x, edges.edges):
            geo.addPlaneSurface([geo.addCurveLoop([lines[i] for i in loop]) for loop in shell])
        geo.synchronize()
        for line in lines:
            gmsh.model.mesh.setTransfiniteCurve(line, 2)
        view = _grade(gmsh, edges, field, low, scale) if field.is_graded else None
        try:
            gmsh.model.mesh.generate(2)
        except Exception as error:  # all that gmsh ever raises
            raise DomainError(f"Expected a domain that gmsh can mesh (got: {error}); try engine='scipy'") from error
        finally:
            if view is not None:
                gmsh.view.remove(view)
        tags, coordinates, _ = gmsh.model.mesh.getNodes()
        kinds, _, nodes = gmsh.model.mesh.getElements(2)
        own = np.array([gmsh.model.mesh.getNodes(0, v)[0][0] for v in vertex], dtype=np.int64)
    if list(kinds) != [2]:
        raise DomainError("Expected a domain that gmsh can mesh (got no triangles); try engine='scipy'")
    tags = tags.astype(np.int64)
    cells = nodes[0].reshape(-1, 3).astype(np.int64)
    inner = np.setdiff1d(cells, own)
    number = np.zeros(tags.max() + 1, dtype=np.int64)
    number[own], number[inner] = np.arange(len(own)), len(own) + np.arange(len(inner))
    place = np.zeros(tags.max() + 1, dtype=np.int64)
    place[tags] = np.arange(len(tags))
    points = coordinates.reshape(-1, 3)[place[inner], :2].T
    return np.concatenate([edges.points, points * scale + low], axis=1), _upward(number[cells], x, points)


def _grade(gmsh: Any, edges: BoundaryEdges, field: SizeField, low: Array, scale: float) -> int:
    """Hand the size field over as linear values on a coarse triangulation; returns the tag of its view.

    Left to itself gmsh carries boundary sizes far into the interior: five times the cells for a finely drawn outline.
    """
    x = np.concatenate([edges.points, scatter(edges.boundary, field, np.random.default_rng(0))], axis=1)
    cells, h = delaunay(x), field(x) / scale
    corners = ((x - low) / scale)[:, cells].transpose(1, 0, 2)  # (m, 2, 3)
    data = np.concatenate([corners, np.zeros((len(cells), 1, 3)), h[cells][:, None]], axis=1)
    view = gmsh.view.add("meshmove size")
    gmsh.view.addListData(view, "ST", len(cells), data.ravel())
    background = gmsh.model.mesh.field.add("PostView")
    gmsh.model.mesh.field.setNumber(background, "ViewTag", view)
    gmsh.model.mesh.field.setAsBackgroundMesh(background)
    gmsh.option.setNumber("Mesh.MeshSizeExtendFromBoundary", 0)
    return view


def _upward(cells: Ids, outer: Array, inner: Array) -> Ids:
    """Triangles turned counter-clockwise."""
    p = np.concatenate([outer, inner], axis=1)
    a, b = p[:, cells[:, 1]] - p[:, cells[:, 0]], p[:, cells[:, 2]] - p[:, cells[:, 0]]
    flipped = a[0] * b[1] < a[1] * b[0]
    return np.where(flipped[:, None], cells[:, ::-1], cells)


def shells(x: Array, edges: Ids) -> list[list[Ids]]:
    """Closed loops of edge ids by component: the first of each is the outer one, the others are its holes.

    `x` (2, n) are the vertices, `edges` (e, 2) have the domain on their left. Where loops touch in a vertex each turns
    off sharply left, so that none crosses another.

    >>> square = np.array([[0, 1, 1, 0], [0, 0, 1, 1.0]])
    >>> [[loop.tolist() for loop in shell] for shell in shells(square, np.array([[0, 1], [1, 2], [2, 3], [3, 0]]))]
    [[[0, 1, 2, 3]]]
    """
    found = _trace(x, edges)
    polygons = [x[:, edges[loop, 0]] for loop in found]
    areas = np.array([_area(p) for p in polygons])
    outer = [k for k in range(len(found)) if areas[k] > 0]
    held = {k: [found[k]] for k in outer}
    for k in (k for k in range(len(found)) if areas[k] <= 0):
        # a point beside the first edge, so near that it is inside whatever holds the hole
        (a, b) = polygons[k][:, 0], polygons[k][:, 1]
        beside = 0.5 * (a + b) + 1e-6 * np.array([a[1] - b[1], b[0] - a[0]])
        holders = [j for j in outer if _inside(beside, polygons[j])]
        if holders:
            held[min(holders, key=lambda j: areas[j])].append(found[k])
    return list(held.values())


def _trace(x: Array, edges: Ids) -> list[Ids]:
    d = x[:, edges[:, 1]] - x[:, edges[:, 0]]
    heading = np.arctan2(d[1], d[0])
    order = np.argsort(edges[:, 0], kind="stable")
    starts = edges[order, 0]
    first = np.searchsorted(starts, edges[:, 1], side="left")
    last = np.searchsorted(starts, edges[:, 1], side="right")
    following = order[np.minimum(first, len(order) - 1)]
    for i in np.flatnonzero(last - first > 1):
        choices = order[first[i] : last[i]]
        # clockwise from where we came: the first edge that bounds the same piece of the interior
        turn = np.mod(heading[i] + np.pi - heading[choices], 2 * np.pi)
        turn[edges[choices, 1] == edges[i, 0]] = 2 * np.pi  # back along an edge that two domains share: the last
        following[i] = choices[turn.argmin()]
    seen, found = np.zeros(len(edges), bool), []
    for start in range(len(edges)):
        loop, at = [], start
        while not seen[at]:
            seen[at] = True
            loop.append(at)
            at = int(following[at])
        if loop:
            found.append(np.array(loop))
    return found


def _area(p: Array) -> float:
    q = np.roll(p, -1, axis=1)
    return 0.5 * float((p[0] * q[1] - p[1] * q[0]).sum())


def _inside(point: Array, polygon: Array) -> bool:
    a = polygon - point[:, None]
    b = np.roll(a, -1, axis=1)
    return bool(np.arctan2(a[0] * b[1] - a[1] * b[0], (a * b).sum(0)).sum() > np.pi)
