"""Small meshes on which something once went wrong, with what it was. None is ever taken out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import meshio
import numpy as np
import skfem

from meshmove.geometry import CellMesh
from tests.shapes import box, turn


@dataclass(frozen=True)
class Fault:
    """`was`: what went wrong. `refused`: words of the error that such a mesh gets. `held`: nodes that are fixed."""

    name: str
    was: str
    make: Callable[[], Any]
    refused: str | None = None
    held: Sequence[int] = ()


def _meshio(points: Any, *cells: tuple[str, Any], **more: Any) -> meshio.Mesh:
    return meshio.Mesh(np.asarray(points, float), list(cells), **more)


def _plane(n: int = 5) -> skfem.MeshTri:
    return skfem.MeshTri.init_tensor(*[np.linspace(0, 1, n)] * 2)


def _moved(mesh: CellMesh, matrix: Any = 1.0, shift: float = 0.0) -> meshio.Mesh:
    points = mesh.points @ matrix if np.ndim(matrix) else mesh.points * matrix
    return _meshio(points + shift, *((b.kind.name, b.nodes) for b in mesh.blocks))


def _tilted() -> meshio.Mesh:
    plane = box("triangle", 4)
    points = np.c_[plane.points, np.zeros(plane.n_points)] @ turn(0.7, 3, 0) @ turn(0.4, 3, 1) + 3.0
    return _meshio(points, ("triangle", plane.blocks[0].nodes))


def _two_squares(gap: float) -> meshio.Mesh:
    """Two squares apart, or with one corner in common."""
    one = box("quad", 3)
    nodes = one.blocks[0].nodes
    points = np.concatenate([one.points, one.points + 1 + gap])
    both = np.concatenate([nodes, nodes + one.n_points])
    if not gap:
        first, last = int(one.points.sum(axis=1).argmax()), one.n_points + int(one.points.sum(axis=1).argmin())
        both = np.where(both == last, first, both)
        both, points = np.where(both > last, both - 1, both), np.delete(points, last, axis=0)
    return _meshio(points, ("quad", both))


def _refined() -> skfem.MeshTri:
    mesh = skfem.MeshTri.init_lshaped().refined(2)
    for _ in range(3):
        mesh = mesh.refined(np.flatnonzero((mesh.p[:, mesh.t].mean(axis=1) ** 2).sum(axis=0) < 0.05))
    return mesh


def _quarter_points() -> skfem.MeshTri2:
    mesh = skfem.MeshTri2.from_mesh(skfem.MeshTri().refined(3))
    x, tip = mesh.doflocs.copy(), int(np.argmin(((mesh.p[:, : mesh.nvertices].T - 0.5) ** 2).sum(axis=1)))
    facets = np.flatnonzero((mesh.facets == tip).any(axis=0))
    other = mesh.facets[:, facets].sum(axis=0) - tip
    x[:, mesh.dofs.facet_dofs[0, facets]] = 0.75 * x[:, [tip]] + 0.25 * x[:, other]
    return replace(mesh, doflocs=x)


def _ring_of_quarter_points() -> list[int]:
    mesh = _quarter_points()
    tip = int(np.argmin(((mesh.p[:, : mesh.nvertices].T - 0.5) ** 2).sum(axis=1)))
    facets = np.flatnonzero((mesh.facets == tip).any(axis=0))
    return [tip, *(mesh.facets[:, facets].sum(axis=0) - tip).tolist()]


def _stairs() -> skfem.MeshHex:
    mesh = skfem.MeshHex.init_tensor(*[np.linspace(0, 1, 5)] * 3)
    return mesh.remove_elements(np.flatnonzero(((mesh.p[:, mesh.t].mean(axis=1) - 0.5) ** 2).sum(axis=0) > 0.32))


def _folded() -> meshio.Mesh:
    """A hexahedron whose corners are all right, and whose middle is not."""
    points = box("hexahedron", 1).points.copy()
    nodes = box("hexahedron", 1).blocks[0].nodes
    twist = points[nodes[0, 4:]]
    middle = twist.mean(axis=0)
    points[nodes[0, 4:]] = middle + 1.2 * (twist - middle) @ turn(1.9, 3)
    return _meshio(points, ("hexahedron", nodes))


def _crack() -> tuple[meshio.Mesh, list[int]]:
    mesh = box("quad", 4)
    p, cells = mesh.points, mesh.blocks[0].nodes.copy()
    doubled = np.flatnonzero((p[:, 0] == 0.5) & (p[:, 1] > 0.5))
    twin = np.arange(len(p))
    twin[doubled] = len(p) + np.arange(len(doubled))
    right = p[cells].mean(axis=1)[:, 0] > 0.5
    cells[right] = twin[cells[right]]
    return _meshio(np.r_[p, p[doubled]], ("quad", cells)), [*doubled.tolist(), *twin[doubled].tolist()]


_HANGING = [[0, 0], [2, 0], [2, 2], [0, 2], [4, 0], [4, 2], [2, 1], [3, 1]]
_AROUND = [[1, 4, 7], [4, 5, 7], [5, 2, 7], [2, 6, 7], [6, 1, 7]]
_SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.4]]
_FAN = [[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]]


def _hanging() -> meshio.Mesh:
    return _meshio(_HANGING, ("quad", [[0, 1, 2, 3]]), ("triangle", _AROUND))


def _interface() -> meshio.Mesh:
    """A circle between two materials that only cell data tell apart, under a name that says nothing."""
    disk = skfem.MeshTri.init_circle(3)
    inside = (disk.p[:, disk.t].mean(axis=1) ** 2).sum(axis=0) < 0.2
    return _meshio(disk.p.T, ("triangle", disk.t.T), cell_data={"x17": [inside.astype(np.int64)]})


FAULTS = [
    Fault("ball", "all nodes were carried away at first, and nothing was gained", lambda: skfem.MeshTet.init_ball(2)),
    Fault("disk", "the same in the plane", lambda: skfem.MeshTri.init_circle(3)),
    Fault("stairs", "hexahedra folded between their corners", _stairs),
    Fault("wedges", "faces cut along both diagonals counted as boundary", lambda: _moved(box("wedge", 3, 0.15))),
    Fault("pyramids", "the same", lambda: _moved(box("pyramid", 2))),
    Fault("mixed", "blocks of several kinds were not aligned", lambda: _moved(box("mixed 3-D", 3))),
    Fault("turned", "moved unlike the mesh itself", lambda: _moved(box("quad", 4), turn(0.4))),
    Fault("tilted", "functions saw two coordinates of three", _tilted),
    Fault("tiny", "lengths fell below a tolerance", lambda: _moved(box("triangle", 4), 1e-12)),
    Fault("huge", "squares of lengths overflowed", lambda: _moved(box("triangle", 4), 1e30)),
    Fault("far away", "digits of the coordinates were lost", lambda: _moved(box("tetra", 3), 1.0, 1e6)),
    Fault("left-handed", "all cells counted as inverted", lambda: _moved(box("triangle", 4), np.diag([-1.0, 1.0]))),
    Fault("whole numbers", "coordinates were rounded", lambda: meshio.Mesh(
        (4 * box("quad", 4).points).round().astype(int), [("quad", box("quad", 4).blocks[0].nodes)])),
    Fault("single precision", "cells folded when rounded", lambda: meshio.Mesh(
        (1e-3 * _stairs().p.T).astype("f4"), [("hexahedron", _stairs().t.T[:, [0, 1, 4, 2, 3, 5, 7, 6]])])),
    Fault("refined", "h-refined meshes came back unmoved", _refined),
    Fault("apart", "a component took mass from another", lambda: _two_squares(0.5)),
    Fault("corner to corner", "the domain's boundary branches there", lambda: _two_squares(0.0)),
    Fault("round interface", "its nodes left the circle", _interface),
    Fault("quarter points", "refused, for a determinant of zero", _quarter_points, held=_ring_of_quarter_points()),
    Fault("crack", "the sides parted or met", lambda: _crack()[0], refused="pairs coincide"),
    Fault("held crack", "the same", lambda: _crack()[0], held=_crack()[1]),
    Fault("hanging nodes", "a gap opened", _hanging, refused="conforming mesh"),
    Fault("held hanging nodes", "refused although held", _hanging, held=(1, 2, 6)),
    Fault("periodic", "images moved apart", lambda: skfem.MeshTri1DG.periodic(
        _plane(), np.flatnonzero(_plane().p[0] == 1), np.flatnonzero(_plane().p[0] == 0))),
    Fault("unused nodes", "numbers of nodes shifted", lambda: _meshio([[9, 9], *_SQUARE, [7, 7]], (
        "triangle", np.array(_FAN) + 1))),
    Fault("lines and points beside", "refused", lambda: _meshio(
        _SQUARE, ("vertex", [[4]]), ("line", [[0, 1]]), ("triangle", _FAN))),
    Fault("one type in two blocks", "data of the second block were lost", lambda: _meshio(
        _SQUARE, ("triangle", _FAN[:2]), ("triangle", _FAN[2:]), cell_data={"a": [[1.0, 2.0], [3.0, 4.0]]})),
    Fault("sets without cells in a block", "None was read as an array", lambda: _meshio(
        _SQUARE, ("line", [[0, 1]]), ("triangle", _FAN), cell_sets={"some": [None, np.array([0, 1])]})),
    Fault("flat cell", "divided by zero", lambda: _meshio(
        [*_SQUARE, [0.5, 0]], ("triangle", [*_FAN, [0, 5, 1]])), refused="degenerate|volume|flat|zero"),
    Fault("doubled cell", "counted twice", lambda: _meshio(_SQUARE, ("triangle", [*_FAN, _FAN[0]])), refused="doubled"),
    Fault("folded hexahedron", "taken for valid", _folded, refused="folded|inverted"),
]  # fmt: skip
