"""Laws of meshes that are fitted to several domains: conforming, every domain covered, in any arrangement."""

import numpy as np
import pytest

from meshmove.geometry.domains import Disk, DomainError, Rectangle
from meshmove.geometry.domains.meshing.fitted import mesh_fitted

pytest.importorskip("gmsh")

SQUARE = Rectangle((-1, -1), (1, 1))
RING = Disk((0, 0), 0.35) - Disk((0, 0), 0.3)
LAYER = Rectangle((-1, 0), (1, 0.02))
PARTS = {
    "inclusion": (SQUARE, [Disk((0, 0), 0.5), SQUARE - Disk((0, 0), 0.5)]),
    "sides of other lengths": (
        SQUARE,
        [Rectangle((-1, -1), (1, 0)), Rectangle((-1, 0), (0.3, 1)), Rectangle((0.3, 0), (1, 1))],
    ),
    "crossing": (
        SQUARE,
        [Rectangle(a, (a[0] + 1, a[1] + 1)) for a in ((-1, -1), (0, -1), (-1, 0), (0, 0))],
    ),
    "thin layer": (SQUARE, [LAYER, SQUARE - LAYER]),
    "shell": (SQUARE, [SQUARE - Disk((0, 0), 0.35), RING, Disk((0, 0), 0.3)]),
    "on the boundary": (SQUARE, [Disk((-1, 0), 0.4) & SQUARE, SQUARE - Disk((-1, 0), 0.4)]),
    "two at once": (
        SQUARE,
        [Disk((-0.5, 0), 0.2) | Disk((0.5, 0), 0.3), SQUARE - [Disk((-0.5, 0), 0.2), Disk((0.5, 0), 0.3)]],
    ),
    "around a hole": (
        SQUARE - Disk((0, 0), 0.2),
        [Disk((0, 0), 0.5) - Disk((0, 0), 0.2), SQUARE - Disk((0, 0), 0.5)],
    ),
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_are_covered_and_share_their_edges(name):
    whole, parts = PARTS[name]
    mesh = mesh_fitted(whole.boundary, [part.boundary for part in parts], 0.25)
    points, cells = mesh.points, mesh.blocks[0].nodes
    a, b, c = (points[cells[:, i]] for i in range(3))
    area = 0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
    assert (area > 0).all()
    for k, part in enumerate(parts):
        sagitta = 0.25 * sum(piece.length for piece in part.boundary.pieces if not piece.straight) ** 2 / (4 * np.pi)
        assert area[mesh.regions == k].sum() == pytest.approx(part.area, rel=1e-12, abs=sagitta)
    # every side belongs to two cells but for the outer ones, which go once around the whole
    sides = np.sort(cells[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    ends, count = np.unique(sides, axis=0, return_counts=True)
    assert count.max() == 2 and len(np.unique(cells)) == len(points)
    outer = points[ends[count == 1]]
    assert np.abs(whole.boundary.nearest(outer.reshape(-1, 2).T)[0]).max() < 1e-9
    assert np.linalg.norm(outer[:, 1] - outer[:, 0], axis=1).sum() == pytest.approx(whole.perimeter, rel=0.02)
    # vertices between two regions are on the curves of both
    left = [set(cells[mesh.regions == k].ravel().tolist()) for k in range(len(parts))]
    for i in range(len(parts)):
        for j in range(i):
            shared = sorted(left[i] & left[j])
            if shared:
                for part in (parts[i], parts[j]):
                    assert np.abs(part.signed_distance(points[shared].T)).max() < 1e-9


def test_parts_that_overlap_are_refused():
    with pytest.raises(DomainError, match="Expected a domain that gmsh can mesh|regions that a mesh"):
        mesh_fitted(SQUARE.boundary, [Disk((0, 0), 0.5).boundary, Rectangle((-1, -1), (0.2, 1)).boundary], 0.25)
