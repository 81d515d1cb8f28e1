"""Meshes and monitors that several test files share."""

import numpy as np
import skfem

from meshmove.geometry import CellBlock, CellMesh, inverted_cells, kind_of
from meshmove.plugins.skfem import converter

ALL_KINDS = ("triangle", "quad", "tetra", "hexahedron", "wedge", "pyramid", "mixed 2-D", "mixed 3-D")
SKFEM = {"triangle": skfem.MeshTri, "quad": skfem.MeshQuad, "tetra": skfem.MeshTet, "hexahedron": skfem.MeshHex}
_HEX_TO_WEDGES = [[0, 1, 2, 4, 5, 6], [0, 2, 3, 4, 6, 7]]


def box(kind: str, n: int = 4, jitter: float = 0.0, seed: int = 0) -> CellMesh:
    """The unit square or cube with about n cells a side; `jitter` moves interior vertices by that part of 1/n."""
    if kind in SKFEM:
        x = [np.linspace(0, 1, n + 1)] * (2 if kind in ("triangle", "quad") else 3)
        mesh = converter.read(SKFEM[kind].init_tensor(*x))
        points, blocks = mesh.points, [(kind, mesh.blocks[0].nodes)]
    elif kind == "mixed 2-D":
        mesh = box("quad", n)
        points, cells = mesh.points, mesh.blocks[0].nodes
        left = points[cells].mean(axis=1)[:, 0] < 0.5
        split = cells[~left][:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3)
        blocks = [("quad", cells[left]), ("triangle", split)]
    else:
        mesh = box("hexahedron", n)
        points, cells = mesh.points, mesh.blocks[0].nodes
        to_wedges, to_pyramids = np.zeros(len(cells), bool), np.zeros(len(cells), bool)
        side = points[cells].mean(axis=1)[:, 0]
        if kind == "wedge":
            to_wedges[:] = True
        elif kind == "pyramid":
            to_pyramids[:] = True
        else:
            to_wedges, to_pyramids = side < 1.01 / n, side > 1 - 1.01 / n
        base = np.array([f[::-1] for f in kind_of("hexahedron").facets])
        centres = points[cells[to_pyramids]].mean(axis=1)
        apex = np.repeat(len(points) + np.arange(len(centres)), 6)
        pyramids = np.c_[cells[to_pyramids][:, base].reshape(-1, 4), apex]
        points = np.concatenate([points, centres])
        wedges = cells[to_wedges][:, _HEX_TO_WEDGES].reshape(-1, 6)
        rest = cells[~to_wedges & ~to_pyramids]
        blocks = [(k, c) for k, c in (("hexahedron", rest), ("wedge", wedges), ("pyramid", pyramids)) if len(c)]
    inner = ((points > 1e-9) & (points < 1 - 1e-9)).all(axis=1)
    shift = np.random.default_rng(seed).uniform(-jitter / n, jitter / n, points.shape)
    points = points + np.where(inner[:, None], shift, 0)
    return CellMesh(points, tuple(CellBlock(kind_of(k), c) for k, c in blocks))


def ring(x):
    """Cells ten times denser on a ring about the middle of the unit square or cube."""
    return 1 + 10 / np.cosh(30 * (((x - 0.5) ** 2).sum(axis=0) - 0.09)) ** 2


def bump(x):
    """A mild bump off the middle."""
    return 1 + 4 * np.exp(-20 * ((x - 0.35) ** 2).sum(axis=0))


def front(x):
    """A steep front at x = 0.45, as a field."""
    return np.tanh(15 * (x[0] - 0.45))


def turn(angle: float, dim: int = 2, axis: int = 2) -> np.ndarray:
    """A rotation matrix."""
    c, s = np.cos(angle), np.sin(angle)
    if dim == 2:
        return np.array([[c, -s], [s, c]])
    out = np.eye(3)
    i, j = [k for k in range(3) if k != axis]
    out[[i, i, j, j], [i, j, i, j]] = c, -s, s, c
    return out


def mesh_dim(kind):
    return 2 if kind in ("triangle", "quad", "mixed 2-D") else 3


def size(kind):
    return 8 if kind in ("triangle", "quad", "mixed 2-D") else 4


def centres(mesh):
    return np.concatenate([mesh.points[b.nodes].mean(axis=1) for b in mesh.blocks])


def assert_valid(out):
    assert out.report.inverted_cells == 0
    assert not len(inverted_cells(out.cells, out.moved.points))
    assert out.report.imbalance_after <= out.report.imbalance_before
