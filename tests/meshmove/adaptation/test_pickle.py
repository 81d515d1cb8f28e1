"""Results go through pickle, deep copies and other processes, and come out equal to the bit."""

import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial

import meshio
import numpy as np
import pytest
import pyvista as pv
import skfem
import torch
from torch_geometric.data import Data

import meshmove
from meshmove.meshes.registry import converter_for
from meshmove.meshes.source import Source
from tests.shapes import front

FAST = meshmove.Monitor("gradient", intensity=4)
TRI = skfem.MeshTri().refined(3).oriented()
TRI = TRI.with_boundaries({"inner": TRI.facets_around(lambda x: x[0] < 0.5), "left": lambda x: x[0] == 0})
U = front(TRI.p)


def periodic():
    grid = skfem.MeshTri.init_tensor(*[np.linspace(0, 1, 9)] * 2)
    return skfem.MeshTri1DG.periodic(grid, np.flatnonzero(grid.p[0] == 1), np.flatnonzero(grid.p[0] == 0))


def cases():
    basis = skfem.Basis(TRI, skfem.ElementTriP2())
    triangles = np.c_[np.full(TRI.t.shape[1], 3), TRI.t.T].ravel()
    space = np.c_[TRI.p.T, 0 * U]
    grid = pv.UnstructuredGrid(triangles, np.full(TRI.t.shape[1], 5), space)
    surface = pv.PolyData(space.astype(np.float32), triangles)
    for mesh in (grid, surface):
        mesh.point_data["u"] = U
    graph = Data(pos=torch.from_numpy(TRI.p.T.copy()), face=torch.from_numpy(TRI.t.copy()), u=torch.from_numpy(U))
    second, glued = skfem.MeshTri2.from_mesh(TRI), periodic()
    return {
        "array": (TRI, U),
        "dofs": (TRI, (basis, front(basis.doflocs))),
        "second order": (second, front(second.doflocs)),
        "periodic": (glued, np.tanh(9 * (glued.p[1] - 0.5))),
        "meshio": (meshio.Mesh(space, [("triangle", TRI.t.T)], point_data={"u": U}), "u"),
        "pyvista": (grid, "u"),
        "surface": (surface, "u"),
        "pyg": (graph, "u"),
        "plain": (Source.of(TRI).cells, U),
    }


CASES = cases()
every_case = pytest.mark.parametrize("name", CASES)


def assert_equal(a, b):
    assert replace(a.report, seconds=0) == replace(b.report, seconds=0)
    for one, other in ((a.displacement, b.displacement), (a.monitor, b.monitor), (a.moved.points, b.moved.points)):
        assert one.tobytes() == other.tobytes()
    assert list(a.fields) == list(b.fields)
    assert all(a.fields[k].tobytes() == b.fields[k].tobytes() for k in a.fields)
    for one, other in ((a.mesh, b.mesh), (a.original, b.original)):
        assert type(one) is type(other)
        library = Source.of(one).converter
        assert library.read(one).points.tobytes() == library.read(other).points.tobytes()
        mine, theirs = library.fields(one), library.fields(other)
        assert list(mine) == list(theirs)
        assert all(mine[k].dtype == theirs[k].dtype and mine[k].tobytes() == theirs[k].tobytes() for k in mine)


@every_case
@pytest.mark.parametrize("copied", [lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy], ids=["pickle", "deepcopy"])
def test_adaptations_are_copied_to_the_bit(name, copied):
    mesh, field = CASES[name]
    out = meshmove.adapt(mesh, field, monitor=FAST)
    again = copied(out)
    assert_equal(again, out)
    more = U if isinstance(field, str) else field
    assert again.transfer(more).tobytes() == out.transfer(more).tobytes()
    assert_equal(copied(again), out)


def test_oriented_boundaries_keep_their_orientation():
    out = pickle.loads(pickle.dumps(meshmove.adapt(TRI, U, monitor=FAST)))
    for mesh in (out.mesh, out.original):
        boundary = mesh.boundaries["inner"]
        assert type(boundary) is type(TRI.boundaries["inner"]) and np.array_equal(boundary, TRI.boundaries["inner"])
        assert np.array_equal(boundary.ori, TRI.boundaries["inner"].ori)


@every_case
def test_moving_meshes_go_on_where_they_were(name):
    mesh, field = CASES[name]
    moving = meshmove.MovingMesh(mesh, monitor=FAST)
    nodal = front if name == "dofs" else field
    moving.start(nodal)
    for _ in range(2):
        moving.step(nodal, 0.1)
    again = pickle.loads(pickle.dumps(moving))
    assert again.last.mesh is again.mesh and again.time == moving.time
    one, other = moving.step(nodal, 0.2), again.step(nodal, 0.2)
    assert one.velocity.tobytes() == other.velocity.tobytes()
    for a, b in ((one.fields, other.fields), (again.last.fields, moving.last.fields)):
        assert list(a) == list(b) and all(a[k].tobytes() == b[k].tobytes() for k in a)
    assert one.moved.points.tobytes() == other.moved.points.tobytes()
    assert replace(one.report, seconds=0) == replace(other.report, seconds=0)


def test_loops_too():
    loop = meshmove.adapt_loop(TRI, lambda m: front(m.p), steps=2, monitor=FAST)
    again = pickle.loads(pickle.dumps(loop))
    assert_equal(again.adaptation, loop.adaptation)
    assert again.history == loop.history and again.report.seconds == loop.report.seconds


def test_results_of_other_processes_are_those_of_this_one():
    mesh, field = CASES["dofs"]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        there = pool.submit(partial(meshmove.adapt, monitor=FAST), mesh, field).result()
    here = meshmove.adapt(mesh, field, monitor=FAST)
    np.testing.assert_allclose(there.displacement, here.displacement, atol=1e-12)
    np.testing.assert_allclose(there.transfer(field), here.transfer(field), atol=1e-9)
    assert converter_for(there.mesh) is converter_for(here.mesh)


def test_a_moving_mesh_that_follows_a_function_keeps_what_it_carried():
    moving = meshmove.MovingMesh(skfem.MeshTri().refined(3))
    for t in (0.3, 0.35):
        moving.step(lambda x, t=t: np.tanh(20 * (x[0] - t)), 0.05)
    again = pickle.loads(pickle.dumps(moving))
    assert np.array_equal(again.last.carried, moving.last.carried) and np.array_equal(again.mesh.p, moving.mesh.p)
    assert np.array_equal(again.last.material, moving.last.material)
