"""Holes and corners, and meshes as domains."""

import meshio
import numpy as np
import pytest
import skfem
from hypothesis import given, settings
from hypothesis import strategies as st

from meshmove.geometry import CellMesh, Disk, Ellipse, Polygon, Rectangle, UnsupportedMeshError
from meshmove.solvers.pde import Dirichlet, Interval, LinearPDE, MeshDomain, Neumann, TimeInterval

SQUARE = Rectangle((-1, -1), (1, 1), name="outer")
L = Polygon([(0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)], names=("s", "e", "n", "inner", "top", "w"))


def poisson(domain, neumann=(), **rest):
    names = domain.boundary_names if hasattr(domain, "boundary_names") else MeshDomain.of(domain).boundary_names
    conditions = {k: Neumann() if k in neumann else Dirichlet() for k in names}
    return LinearPDE(domain, **{"uxx": -1, "uyy": -1, "conditions": conditions, **rest})


# ---- holes
@settings(max_examples=25, deadline=None)
@given(st.floats(0.05, 0.3), st.floats(0.05, 0.3), st.floats(0, 3), st.floats(-0.4, 0.4), st.floats(0.2, 5))
def test_an_elliptic_hole_in_any_box(a, b, angle, x, h):
    domain = Rectangle((-1, -h), (1, h), name="outer") - Ellipse((x, 0), (a, min(b, 0.6 * h)), angle, name="hole")
    (hole,) = poisson(domain).unit.holes
    assert np.allclose(hole.center, [x, 0], atol=1e-3) and hole.name == "hole"
    assert np.isclose(np.pi * hole.axes.prod(), np.pi * a * min(b, 0.6 * h) / h, rtol=2e-3)
    angle = np.linspace(0, 2 * np.pi, 60)
    circle = hole.center[:, None] + 0.999 * hole.radius * np.stack([np.cos(angle), np.sin(angle)])
    assert not poisson(domain).unit.contains(circle).any()
    assert hole.radius <= hole.axes.min() * 1.01 and hole.axes[0] >= hole.axes[1]


def test_axes_and_angle():
    (hole,) = poisson(SQUARE - Ellipse((0.1, 0.2), (0.4, 0.1), 0.5)).unit.holes
    assert np.allclose(hole.axes, [0.4, 0.1], rtol=2e-3)
    assert np.isclose(np.mod(hole.angle, np.pi), 0.5, atol=1e-3)


def test_the_centre_of_a_bent_hole_lies_in_it():
    bent = Polygon([(-0.5, -0.5), (0.5, -0.5), (0.5, -0.4), (-0.4, -0.4), (-0.4, 0.5), (-0.5, 0.5)], name="bent")
    unit = poisson(SQUARE - bent).unit
    (hole,) = unit.holes
    assert bent.contains(unit.to_physical(hole.center[:, None])).all() and hole.radius > 0.04


def test_notches_and_outer_boundaries_are_no_holes():
    assert poisson(SQUARE - Rectangle((0, 0), (1, 1), name="notch")).unit.holes == ()
    assert poisson(Disk((0, 0), 1)).unit.holes == ()
    assert len(poisson(SQUARE - [Disk((x, 0), 0.1, name="hole") for x in (-0.5, 0, 0.5)]).unit.holes) == 3


# ---- corners
def test_the_corner_of_an_L():
    (corner,) = poisson(L).unit.corners
    assert np.allclose(corner.at, 0) and np.isclose(corner.opening, 1.5 * np.pi) and np.allclose(corner.scale, 1)
    assert np.isclose(np.mod(corner.start, 2 * np.pi), np.pi / 2) and corner.kinds == (0, 0)
    assert np.isclose(corner.exponent, 2 / 3) and np.isclose(corner.reach, 1)


def test_the_sector_lies_in_the_domain():
    tilted = Polygon([(0, 0), (3, 0.5), (1.5, 0.8), (2.5, 2), (-1, 1.5)])
    unit = poisson(tilted, uxx=-3, uyy=-0.5).unit
    (corner,) = unit.corners
    assert np.isclose(corner.scale.prod(), 1)
    angle = corner.start + corner.opening * np.linspace(0.01, 0.99, 50)
    z = 1e-3 * np.stack([np.cos(angle), np.sin(angle)])
    X = corner.at[:, None] + z / corner.scale[:, None]
    assert unit.contains(X).all()
    for beyond in (-0.01, 1.01):
        a = corner.start + corner.opening * beyond
        assert not unit.contains(
            corner.at[:, None] + 1e-3 * np.array([[np.cos(a)], [np.sin(a)]]) / corner.scale[:, None]
        )
    # the principal part is a multiple of the Laplacian in z: c_XX scale_X^2 = c_YY scale_Y^2
    c = unit.constants
    assert np.isclose(c[3] * corner.scale[0] ** 2, c[4] * corner.scale[1] ** 2)


def test_mixed_corners():
    kinds = [c.kinds for c in poisson(L, neumann=("inner",)).unit.corners]
    assert kinds == [(1, 0)] or kinds == [(0, 1)]
    first = poisson(L, neumann=("n",)).unit.corners[0]  # the side that arrives at the corner is n
    assert first.kinds == (0, 1) and np.isclose(first.exponent, 1 / 3)
    flat = Rectangle((0, 0), (2, 1), names=("low", "right", "top", "left"))
    assert poisson(flat, neumann=("low",)).unit.corners == ()  # Dirichlet meets Neumann at a right angle
    wide = Polygon([(0, 0), (1, 0), (2, 0), (2, 1), (0, 1)], names=("a", "b", "c", "d", "e"))
    (corner,) = poisson(wide, neumann=("a",)).unit.corners
    assert np.allclose(corner.at, [0, -1]) and np.isclose(corner.opening, np.pi) and np.isclose(corner.exponent, 0.5)


def test_corners_of_holes_and_of_smooth_shapes():
    assert len(poisson(SQUARE - Rectangle((-0.3, -0.3), (0.3, 0.3), name="hole")).unit.corners) == 4
    assert poisson(SQUARE - Disk((0, 0), 0.4, name="hole")).unit.corners == ()
    angle = np.linspace(0, 2 * np.pi, 65)[:-1]
    drawn = Polygon(np.stack([np.cos(angle), np.sin(angle)], axis=1) * 0.5, name="hole")
    assert poisson(SQUARE - drawn).unit.corners == ()


def test_no_corners_in_time():
    ends = {"left": Dirichlet(), "right": Neumann()}
    heat = LinearPDE(Interval(0, 1), ut=1, uxx=-1, initial=0, time=TimeInterval(0, 1), conditions=ends)
    assert heat.unit.corners == ()


# ---- meshes
def test_a_mesh_is_its_outline():
    mesh = skfem.MeshTri.init_tensor(np.linspace(0, 2, 9), np.linspace(0, 1, 5))
    mesh = mesh.with_boundaries({"left": lambda x: x[0] == 0, "wall": lambda x: np.abs(x[1] - 0.5) == 0.5})
    domain = MeshDomain.of(mesh)
    assert set(domain.boundary_names) == {"left", "wall", "boundary"} and len(domain.boundary) == 4
    assert np.isclose(domain.area, 2) and "triangle" in repr(domain)
    pde = poisson(mesh, neumann=("wall",))
    assert pde.mesh is mesh and pde.unit.half.tolist() == [1, 0.5]
    edge = pde.unit.boundary(100)
    assert set(edge.names) == {"left", "wall", "boundary"}
    wall = edge.names == "wall"
    assert np.allclose(np.abs(edge.points[1, wall]), 1) and (edge.kinds == wall).all()


@pytest.mark.parametrize(
    "mesh", [skfem.MeshTri.init_lshaped(), skfem.MeshQuad.init_tensor(*[np.linspace(-1, 1, 3)] * 2)]
)
def test_corners_of_meshes(mesh):
    refined = mesh.refined(2)
    domain = MeshDomain.of(refined)
    unit = poisson(refined).unit
    assert np.isclose(domain.area, 4 if isinstance(mesh, skfem.MeshQuad) else 3)
    assert len(unit.corners) == (0 if isinstance(mesh, skfem.MeshQuad) else 1)


def test_curved_meshes_are_drawn_finely():
    disk = skfem.MeshTri2.init_circle(2)
    domain = MeshDomain.of(disk)
    basis = skfem.Basis(disk, skfem.ElementTriP2(), intorder=6)
    assert np.isclose(domain.area, skfem.Functional(lambda w: 1 + 0 * w.x[0]).assemble(basis), rtol=2e-4)
    assert abs(MeshDomain.of(skfem.MeshTri.init_circle(2)).area - np.pi) > 10 * abs(domain.area - np.pi)
    assert poisson(disk).unit.corners == () and poisson(disk).unit.holes == ()


def test_mixed_cells_holes_and_several_names():
    domain = SQUARE - Disk((0, 0), 0.4, name="hole")
    made = domain.mesh(0.05, engine="scipy")
    facets = {**made.facets, "all": np.concatenate(list(made.facets.values()))}
    mesh = CellMesh(made.points, made.blocks, facets=facets)
    assert set(MeshDomain.of(mesh, prefer=("hole", "outer")).boundary_names) == {"outer", "hole"}
    assert MeshDomain.of(mesh, prefer=("all",)).boundary_names == ("all",)
    pde = LinearPDE(mesh, uxx=-1, uyy=-1, conditions={"all": Dirichlet()})
    assert len(pde.unit.holes) == 1 and pde.unit.corners == ()
    cells = [("triangle", [[1, 4, 2]]), ("quad", [[0, 1, 2, 3]]), ("line", [[3, 0]])]
    points = [[0, 0], [1, 0], [1, 1], [0, 1], [2, 0.5]]
    tags = {"gmsh:physical": [[1], [1], [7]]}
    mixed = meshio.Mesh(np.array(points, float), cells, cell_data=tags, field_data={"in": np.array([7, 1])})
    assert set(MeshDomain.of(mixed).boundary_names) == {"in", "boundary"}
    assert np.isclose(MeshDomain.of(mixed).area, 1.5)


def test_periodic_meshes():
    mesh = skfem.MeshTri1DG.periodic(skfem.MeshTri().refined(2), [0, 1], [2, 3])
    with pytest.raises(UnsupportedMeshError, match="periodic"):
        MeshDomain.of(mesh)
