"""Second-order meshes: mid-side nodes follow their curve, and curved cells stay valid."""

import numpy as np
import pytest
import skfem
from hypothesis import given
from hypothesis import strategies as st

import meshmove
from meshmove.geometry import inverted_cells
from meshmove.geometry.curved import MidNodes, turned
from meshmove.plugins.skfem import converter


def disk(refinements: int) -> skfem.MeshTri2:
    """A disk whose boundary mid-nodes lie on the circle."""
    mesh = skfem.MeshTri2.from_mesh(skfem.MeshTri.init_circle(refinements))
    p = mesh.doflocs.copy()
    middle = mesh.dofs.get_facet_dofs(mesh.boundary_facets()).flatten()
    p[:, middle] /= np.linalg.norm(p[:, middle], axis=0)
    return skfem.MeshTri2(p, mesh.t)


def signs(mesh: skfem.Mesh, n: int = 6) -> np.ndarray:
    """Sign of det DF at a lattice of points of every cell."""
    a = np.linspace(0, 1, n)
    x = np.array([(s, t) for s in a for t in a if s + t <= 1 + 1e-12]).T
    return np.sign(mesh.mapping().detDF(x))


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(-1, 1), st.floats(-1, 1))
def test_the_turn_is_the_rotation_from_one_direction_to_the_other(s, t, x, y):
    if abs((s - t + np.pi) % (2 * np.pi) - np.pi) > 3:
        return
    u, v = (np.array([[np.cos(a), np.sin(a)]]) for a in (s, t))
    c, d = np.cos(t - s), np.sin(t - s)
    found = turned(np.array([[x, y]]), u, v)
    np.testing.assert_allclose(found, [[c * x - d * y, d * x + c * y]], atol=1e-9)


def test_straight_second_order_meshes_have_no_bulge():
    assert not MidNodes(converter.read(skfem.MeshTri2.from_mesh(skfem.MeshTri().refined(2)))).curved
    assert not MidNodes(converter.read(skfem.MeshTri())).curved


def test_bulges_that_turn_and_grow_stay_on_the_circle_to_fourth_order():
    off = []
    for k in (3, 4):
        cells = converter.read(disk(k))
        middle = MidNodes(cells)
        rim = middle.bulge.any(axis=1)
        angle = np.arctan2(*cells.points.T[::-1])
        angle = angle + 0.3 * np.sin(angle)
        points = np.linalg.norm(cells.points, axis=1)[:, None] * np.c_[np.cos(angle), np.sin(angle)]
        there = points[middle.ends].mean(axis=1) + middle.bulges(points)
        off.append(np.abs(np.linalg.norm(there[rim], axis=1) - 1).max())
    assert off[0] < 1e-3 and off[1] < off[0] / 8


def test_mid_nodes_stay_on_the_circle():
    for k in (3, 4):
        mesh = disk(k)
        out = meshmove.adapt(mesh, monitor=lambda x: 1 + 5 * np.exp(-10 * ((x[0] - 0.8) ** 2 + x[1] ** 2)))
        assert out.report.max_displacement > 0.05
        boundary = out.mesh.dofs.get_facet_dofs(out.mesh.boundary_facets()).flatten()
        assert np.abs(np.linalg.norm(out.mesh.doflocs[:, boundary], axis=0) - 1).max() < 1e-12


@pytest.mark.parametrize("strength", [5, 50, 500])
def test_curved_cells_do_not_fold(strength):
    mesh = disk(2)
    out = meshmove.adapt(mesh, monitor=lambda x: 1 + strength * np.exp(-20 * ((x[0] - 0.9) ** 2 + x[1] ** 2)))
    assert (signs(out.mesh) == signs(mesh)).all()


def test_a_folded_cell_is_seen():
    mesh = disk(1)
    cells = converter.read(mesh)
    nodes = cells.nodes.copy()
    middle = MidNodes(cells)
    nodes[middle.ids] += 0.6 * (middle.bulge != 0)
    assert len(inverted_cells(cells, cells.points, nodes))
    assert not len(inverted_cells(cells, cells.points, cells.nodes))
