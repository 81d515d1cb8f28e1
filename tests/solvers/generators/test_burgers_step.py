"""Finite volumes on any triangles: the grid's own on grids, symmetric, conservative and second order elsewhere."""

import numpy as np
import pytest
import skfem
from scipy.interpolate import RectBivariateSpline

from meshmove.geometry import CellMesh, FieldError
from meshmove.solvers.generators.burgers import burgers_frames, burgers_mesh, random_field
from meshmove.solvers.generators.burgers_step import BurgersStep
from tests.shapes import box

NU = {"viscosity": 0.01}


def moved(points, mesh, numbers=None):
    cells = mesh.blocks[0].nodes if numbers is None else numbers[mesh.blocks[0].nodes]
    return CellMesh.single(points, cells, "triangle")


def jiggled(n, share=0.2, seed=0):
    mesh, rng = burgers_mesh(n), np.random.default_rng(seed)
    x = mesh.points.copy()
    inner = (np.abs(x - 0.5) < 0.5 - 1e-9).all(axis=1)
    x[inner] += rng.uniform(-share, share, (inner.sum(), 2)) / n
    return moved(x, mesh)


def smooth(x):
    return np.sin(np.pi * x[:, 0]) * np.sin(2 * np.pi * x[:, 1])


def test_on_a_grid_it_is_the_solver_of_the_data_whatever_the_numbering_and_the_diagonals():
    mesh, rng = burgers_mesh(12), np.random.default_rng(0)
    start = random_field(13, rng)
    expected = next(burgers_frames(start, [0.2], 0.01)).ravel()
    order = rng.permutation(mesh.n_points)
    points = np.empty_like(mesh.points)
    points[order] = mesh.points
    shuffled = np.empty(mesh.n_points)
    shuffled[order] = start.ravel()
    assert np.array_equal(BurgersStep()(mesh, {"u": start.ravel()}, 0.2, NU)["u"], expected)
    got = BurgersStep()(moved(points, mesh, order), {"u": shuffled}, 0.2, NU)["u"]
    assert np.array_equal(got[order], expected)


def test_off_a_grid_the_error_falls_like_the_square_of_the_cells():
    start = lambda x: np.sin(np.pi * x[:, 0]) * np.sin(np.pi * x[:, 1])  # noqa: E731
    n = 128
    fine = next(burgers_frames(start(burgers_mesh(n).points).reshape(n + 1, n + 1), [0.1], 0.05))
    errors = []
    for cells in (16, 32):
        mesh = burgers_mesh(cells)
        x = mesh.points + 0.03 * np.sin(np.pi * mesh.points).prod(1)[:, None] * [1, -1]  # smooth, no grid
        u = BurgersStep()(moved(x, mesh), {"u": start(x)}, 0.1, {"viscosity": 0.05})["u"]
        z = np.linspace(0, 1, n + 1)
        errors.append(np.abs(u - RectBivariateSpline(z, z, fine).ev(*x.T)).max())
    assert errors[1] < errors[0] / 3.2 and errors[1] < 6e-3


def test_extrema_do_not_grow_and_walls_are_held():
    mesh = jiggled(24)
    u = random_field(25, np.random.default_rng(1)).ravel()
    rim = (np.abs(mesh.points - 0.5) > 0.5 - 1e-9).any(axis=1)
    step = BurgersStep()
    for _ in range(5):
        after = step(mesh, {"u": u}, 0.1, {"viscosity": 1e-3})["u"]
        assert np.abs(after).max() <= 1.02 * np.abs(u).max() and (after[rim] == 0).all()
        u = after


def test_what_is_far_from_walls_is_conserved():
    from meshmove.geometry.quality import vertex_volumes

    mesh = jiggled(24)
    r = np.linalg.norm(mesh.points - 0.5, axis=1)
    u, volume = np.where(r < 0.2, np.cos(r / 0.4 * np.pi), 0.0), vertex_volumes(mesh)
    after = BurgersStep()(mesh, {"u": u}, 0.02, {"viscosity": 0.0})["u"]
    assert volume @ after == pytest.approx(volume @ u, rel=1e-12) and np.abs(after - u).max() > 0.02


def test_symmetries_of_the_equation_are_its_own():
    mesh = jiggled(16)
    u, step = smooth(mesh.points), BurgersStep()
    after = step(mesh, {"u": u}, 0.1, NU)["u"]
    swapped = step(moved(mesh.points[:, ::-1], mesh), {"u": u}, 0.1, NU)["u"]
    turned = step(moved(1 - mesh.points, mesh), {"u": -u}, 0.1, NU)["u"]
    assert np.allclose(swapped, after, atol=1e-12) and np.allclose(turned, -after, atol=1e-12)


def test_its_numbers_have_no_dimension():
    mesh, u = jiggled(16), smooth(jiggled(16).points)
    a = BurgersStep().describe(mesh, {"u": u}, 0.1, NU)
    doubled = moved(2 * mesh.points, mesh)
    b = BurgersStep().describe(doubled, {"u": 2 * u}, 0.1, {"viscosity": 0.04})
    assert a.shape == (mesh.n_points, 3) and np.allclose(a, b)


def test_other_domains_and_libraries():
    mesh = skfem.MeshTri.init_circle(3)
    u = np.exp(-4 * (mesh.p**2).sum(0)) - np.exp(-4.0)
    after = BurgersStep()(mesh, {"u": u}, 0.1, NU)["u"]
    rim = mesh.boundary_nodes()
    assert (after[rim] == 0).all() and 0.5 < np.abs(after).max() <= np.abs(u).max()


def test_bad_input_is_named():
    mesh, step = burgers_mesh(8), BurgersStep()
    with pytest.raises(FieldError, match="'u' and an attribute 'viscosity'"):
        step(mesh, {"v": np.zeros(81)}, 0.1, NU)
    with pytest.raises(FieldError, match="81 nodes"):
        step(mesh, {"u": np.zeros(80)}, 0.1, NU)
    with pytest.raises(ValueError, match="viscosity of at least 0"):
        step(mesh, {"u": np.zeros(81)}, 0.1, {"viscosity": -1.0})
    with pytest.raises(ValueError, match="in the plane"):
        step(box("tetra", 2), {"u": np.zeros(27)}, 0.1, NU)
