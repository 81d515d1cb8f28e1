"""Finding converters: by module of the class or of a base, at run time and through a real entry point."""

import importlib
import sys

import meshio
import numpy as np
import pytest
import skfem

from meshmove.geometry.errors import MeshmoveError, UnsupportedMeshError
from meshmove.meshes import registry
from meshmove.meshes.registry import Converter, converter_for, known, register
from meshmove.optional import MissingPackageError, require
from meshmove.plugins.meshio import converter as meshio_converter
from meshmove.plugins.skfem import converter as skfem_converter

FOREIGN = """
from dataclasses import dataclass, replace
import numpy as np
from meshmove.geometry.mesh import CellMesh

@dataclass
class Grid:
    xy: np.ndarray
    tri: np.ndarray
    temperature: np.ndarray | None = None

class Special(Grid):
    pass

class GridConverter:
    def read(self, mesh):
        return CellMesh.single(mesh.xy, mesh.tri, "triangle")
    def write(self, mesh, displacement):
        return replace(mesh, xy=mesh.xy + displacement)
    def fields(self, mesh):
        return {} if mesh.temperature is None else {"temperature": mesh.temperature}
    def with_fields(self, mesh, fields):
        return replace(mesh, **fields)
    def dtype(self, mesh):
        return mesh.xy.dtype
    def to_meshio(self, mesh):
        import meshio
        return meshio.Mesh(mesh.xy, [("triangle", mesh.tri)], point_data=self.fields(mesh))

converter = GridConverter()
incomplete = object()
"""


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    """An installed distribution that joins through the entry-point group."""
    (tmp_path / "foreignmesh.py").write_text(FOREIGN)
    info = tmp_path / "foreignmesh-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: foreignmesh\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[meshmove.meshes]\nforeignmesh = foreignmesh:converter\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    module = importlib.import_module("foreignmesh")
    yield module, info
    sys.modules.pop("foreignmesh", None)
    registry._loaded.clear()


def triangle(cls):
    return cls(np.array([[0, 0], [1, 0], [0, 1.0]]), np.array([[0, 1, 2]]))


def test_a_foreign_class_joins_through_its_entry_point(foreign):
    module, _ = foreign
    assert "foreignmesh" in known()
    mesh = triangle(module.Grid)
    converter = converter_for(mesh)
    assert converter is module.converter
    assert isinstance(converter, Converter)
    moved = converter.write(mesh, np.full((3, 2), 0.5))
    assert type(moved) is module.Grid
    assert np.array_equal(converter.read(moved).points, mesh.xy + 0.5)


def test_a_subclass_defined_elsewhere_is_found_by_its_base(foreign):
    module, _ = foreign
    local = type("Local", (module.Grid,), {"__module__": "somewhere.else"})
    assert converter_for(triangle(local)) is module.converter


def test_registering_at_run_time_goes_before_entry_points(foreign, monkeypatch):
    module, _ = foreign
    monkeypatch.setattr(registry, "_registered", {})
    register("foreignmesh", meshio_converter)
    assert converter_for(triangle(module.Grid)) is meshio_converter
    register("somewhere", module.converter)
    assert "somewhere" in known()


def test_a_foreign_mesh_can_be_saved(foreign, tmp_path):
    from meshmove.meshes.files.io import load, save

    save(triangle(foreign[0].Grid), tmp_path / "foreign.vtu")
    assert load(tmp_path / "foreign.vtu").cells[0].type == "triangle"


@pytest.mark.parametrize(
    ("value", "message"),
    [("nowhere_at_all:converter", "No module named 'nowhere_at_all'"), ("foreignmesh:nothing", "no attribute")],
)
def test_a_broken_entry_point_is_named(foreign, value, message):
    module, info = foreign
    (info / "entry_points.txt").write_text(f"[meshmove.meshes]\nforeignmesh = {value}\n")
    with pytest.raises(UnsupportedMeshError, match=rf"entry point foreignmesh = '{value}'.*{message}"):
        converter_for(triangle(module.Grid))


def test_an_incomplete_converter_is_refused(foreign):
    module, info = foreign
    (info / "entry_points.txt").write_text("[meshmove.meshes]\nforeignmesh = foreignmesh:incomplete\n")
    with pytest.raises(TypeError, match="missing: read, write, fields, with_fields, dtype, to_meshio"):
        converter_for(triangle(module.Grid))
    with pytest.raises(TypeError, match="registered for 'mylib'.*missing: read"):
        register("mylib", object())
    with pytest.raises(TypeError, match=r"top-level module, such as 'mylib' \(got 'my.lib'\)"):
        register("my.lib", meshio_converter)


def test_the_libraries_that_ship_are_found():
    assert converter_for(skfem.MeshTri()) is skfem_converter
    assert converter_for(meshio.Mesh(np.eye(3), [("triangle", [[0, 1, 2]])])) is meshio_converter
    assert {"meshio", "pyvista", "skfem", "torch_geometric"} <= set(known())
    assert isinstance(skfem_converter, Converter)


@pytest.mark.parametrize("thing", [object(), 3, "mesh.msh", {"points": 1}, None])
def test_an_unknown_class_lists_the_known_ones(thing):
    with pytest.raises(UnsupportedMeshError, match="one of .*meshio.*pyvista.*skfem.*torch_geometric.*got builtins"):
        converter_for(thing)


def test_a_missing_package_names_the_extra():
    with pytest.raises(MissingPackageError, match=r'pip install "meshmove\[pyvista\]"') as caught:
        require("no_such_package_here", extra="pyvista")
    assert isinstance(caught.value, ImportError)
    assert isinstance(caught.value, MeshmoveError)
    with pytest.raises(MissingPackageError, match='pip install "no_such_package_here"'):
        require("no_such_package_here.part")
