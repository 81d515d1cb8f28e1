"""The same plugin on old and new versions of DOLFINx; the newer is a double, so that this runs everywhere."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from meshmove.geometry.errors import UnsupportedMeshError
from meshmove.geometry.location import PointLocator
from meshmove.meshes.registry import register
from meshmove.plugins.dolfinx import adapt, cells, converter, versions
from tests.plugins.dolfinx import newer


@pytest.fixture
def dolfinx(monkeypatch):
    for name, module in newer.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    register("dolfinx", converter)
    cells._order.cache_clear()
    yield
    cells._order.cache_clear()


def step(x):
    return np.tanh(20 * (x[0] - 0.5))


def test_a_mesh_of_a_newer_version_is_moved(dolfinx):
    domain = newer.square()
    before = domain.geometry.x.copy()
    u = newer.Function(newer.Space(domain, "P1"))
    u.interpolate(step)
    out = adapt(domain, u)
    assert out.report.predicted_error_after < 0.6 * out.report.predicted_error_before
    assert out.mesh.topology._cpp_object is domain.topology._cpp_object
    assert np.array_equal(domain.geometry.x, before)
    assert np.allclose(out.mesh.geometry.x[:, :2], before[:, :2] + out.displacement)
    found = out.fields["field"]
    assert found.function_space.mesh is out.mesh
    old = PointLocator(converter.read(domain)).interpolate(u.x.array, out.mesh.geometry.x[:, :2].T)
    assert np.allclose(found.x.array, old, atol=1e-9)
    linear = newer.Function(newer.Space(domain, "P1"))
    linear.interpolate(lambda x: 1 + x[0] - 2 * x[1])
    assert np.allclose(out.transfer(linear).x.array, out.mesh.geometry.x @ [1, -2, 0] + 1)


def test_in_place_on_a_newer_version(dolfinx):
    domain = newer.square()
    u = newer.Function(newer.Space(domain, "P1"))
    u.interpolate(step)
    apart = adapt(domain, u)
    out = adapt(domain, u, inplace=True)
    assert out.mesh is domain
    assert np.allclose(domain.geometry.x, apart.mesh.geometry.x)


def test_tables_are_read_from_lists_and_arrays():
    table = np.arange(6, dtype=np.int32).reshape(2, 3)
    old = SimpleNamespace(array=table.ravel(), offsets=np.array([0, 3, 6]))
    space = SimpleNamespace(dofmap=SimpleNamespace(list=old))
    assert np.array_equal(versions.dof_table(space), table)
    space.dofmap.list = table
    assert np.array_equal(versions.dof_table(space), table)
    several = SimpleNamespace(geometry=SimpleNamespace(dofmaps=[table]))
    assert np.array_equal(versions.node_table(several), table)
    with pytest.raises(UnsupportedMeshError, match="one kind .got 2 kinds"):
        versions.node_table(SimpleNamespace(geometry=SimpleNamespace(dofmaps=[table, table])))
    none = SimpleNamespace(array=table[:0].ravel(), offsets=np.array([0]))
    assert len(versions.dof_table(SimpleNamespace(dofmap=SimpleNamespace(list=none)))) == 0


def test_a_mesh_on_several_processes_is_refused_where_one_is_needed(dolfinx):
    domain = newer.square()
    domain._cpp_object.comm.size = 2
    with pytest.raises(TypeError, match="got one on 2"):
        converter.read(domain)
