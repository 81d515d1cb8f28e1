"""Functions of users get copies, in the coordinates of their own mesh, wherever they are called."""

import meshio
import numpy as np
import pytest
import pyvista as pv
import skfem
import torch
from torch_geometric.data import Data

import meshmove
from meshmove import FieldError, MonitorError
from meshmove.geometry.plane import flatten
from meshmove.solvers.fem.poisson import interpolation_error_of
from tests.shapes import bump, front, turn

FAST = meshmove.Monitor("gradient", intensity=4)
FLAT = skfem.MeshTri().refined(3)
PLANES = {
    "x-z": np.array([[1, 0, 0], [0, 0, 1.0]]),
    "y-z": np.array([[0, 1, 0], [0, 0, 1.0]]),
    "oblique": (turn(0.7, 3, 0) @ turn(-1.1, 3, 1))[:2],
}


def in_space(axes, kind):
    points = FLAT.p.T @ axes + [3, -2, 5]
    if kind == "pyg":
        return Data(pos=torch.from_numpy(points), face=torch.from_numpy(FLAT.t.copy()))
    cells = np.c_[np.full(FLAT.t.shape[1], 3), FLAT.t.T].ravel()
    if kind == "pyvista":
        return pv.PolyData(points, cells)
    return meshio.Mesh(points, [("triangle", FLAT.t.T)])


def own(axes, function):
    """A function of the square as one of points in space, which checks that they lie in the plane."""

    def there(x):
        assert x.shape[0] == 3
        local = axes @ (x - np.array([[3], [-2], [5]]))
        np.testing.assert_allclose(axes.T @ local + [[3], [-2], [5]], x, atol=1e-12)
        return function(local)

    return there


@pytest.mark.parametrize("kind", ["meshio", "pyvista", "pyg"])
@pytest.mark.parametrize("plane", PLANES)
def test_a_plane_mesh_in_space_gives_three_rows(plane, kind):
    axes, mesh = PLANES[plane], in_space(PLANES[plane], kind)
    for options in ({"field": front, "monitor": FAST}, {"monitor": bump}):
        expected = meshmove.adapt(FLAT, **options)
        name = "field" if "field" in options else "monitor"
        out = meshmove.adapt(mesh, **{**options, name: own(axes, options[name])})
        points = out.mesh.pos.numpy() if kind == "pyg" else np.asarray(out.mesh.points)
        np.testing.assert_allclose(points, expected.mesh.p.T @ axes + [3, -2, 5], atol=2e-3)
        for key, values in expected.fields.items():
            np.testing.assert_allclose(out.fields[key], values, atol=0.03)


def test_velocities_are_in_space_too():
    axes = PLANES["oblique"]
    moving = meshmove.MovingMesh(in_space(axes, "meshio"), monitor=FAST)
    before = moving.mesh.points.copy()
    moving.step(own(axes, front), 0.5)
    step = moving.step(own(axes, lambda x: 2 * front(x)), 0.5)
    assert step.velocity.any()
    np.testing.assert_allclose(before + 0.5 * step.velocity, step.mesh.points, atol=1e-12)


def test_a_reference_in_another_plane_is_refused():
    mesh = in_space(PLANES["x-z"], "meshio")
    with pytest.raises(meshmove.InvalidMeshError, match="in another plane"):
        meshmove.adapt(mesh, lambda x: x[0], reference=in_space(PLANES["oblique"], "meshio"))
    shifted = in_space(PLANES["x-z"], "meshio")
    shifted.points[:, 1] += 1
    with pytest.raises(meshmove.InvalidMeshError, match="in another plane"):
        meshmove.adapt(mesh, lambda x: x[0], reference=shifted)


@pytest.mark.parametrize("seed", range(4))
def test_places_in_a_plane_are_found_again(seed):
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(3, 3)))[0][:2]
    points = rng.normal(size=(20, 2)) @ axes + rng.normal(size=3)
    local, frame = flatten(points)
    np.testing.assert_allclose(frame.place(local), points, atol=1e-13)


def dirty(function):
    """The same function, but it writes to its argument and hands out one buffer again and again."""
    buffer = {}

    def same(x):
        values = np.array(function(x.copy()))
        x[:] = np.nan
        kept = buffer.setdefault(values.shape, values)
        kept[...] = values
        return kept

    return same


@pytest.mark.parametrize("mesh", [FLAT, skfem.MeshTri2.from_mesh(FLAT), skfem.MeshHex().refined(2)])
def test_functions_that_work_in_place_change_nothing(mesh):
    for options in ({"field": front, "monitor": FAST}, {"monitor": bump}, {"field": front}):
        dirtied = {k: dirty(v) if callable(v) else v for k, v in options.items()}
        before = mesh.p.copy()
        a, b = meshmove.adapt(mesh, **options), meshmove.adapt(mesh, **dirtied)
        assert a.mesh.p.tobytes() == b.mesh.p.tobytes() and np.array_equal(mesh.p, before)
        assert all(a.fields[k].tobytes() == b.fields[k].tobytes() for k in a.fields)


def test_a_field_that_is_a_view_of_x_stays_what_it_was():
    values = []
    out = meshmove.adapt(FLAT, lambda x: values.append(x[0]) or x[0], monitor=FAST)
    out.fields["field"][:] = 7
    assert (values[-1] <= 1).all()


def test_errors_of_finite_elements_do_not_depend_on_it():
    mesh = skfem.MeshTri().refined(2)
    assert interpolation_error_of(mesh, dirty(front)) == interpolation_error_of(mesh, front)


@pytest.mark.parametrize("option, error", [("field", FieldError), ("monitor", MonitorError)])
def test_functions_that_expect_other_points_are_told_what_they_get(option, error):
    message = r"to take x of shape \(2, \d+\), a point a column \(it raised IndexError: .*\)"
    with pytest.raises(error, match=message):
        meshmove.adapt(FLAT, **{option: lambda x: 1 + x[2]})


def test_other_errors_of_functions_pass_through():
    def fails(x):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        meshmove.adapt(FLAT, fails)


def test_functions_are_evaluated_at_mid_side_nodes_too():
    mesh = skfem.MeshTri2.init_circle(2)
    out = meshmove.adapt(mesh, lambda x: np.tanh(6 * x[0]), monitor=FAST)
    np.testing.assert_array_equal(out.fields["field"], np.tanh(6 * out.mesh.p[0]))
