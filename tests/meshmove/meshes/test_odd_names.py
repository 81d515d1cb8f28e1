"""Names with quotation marks, signs of XML, spaces and letters of other alphabets survive files that hold names."""

import os
import subprocess
import sys

import meshio
import numpy as np
import pytest

from meshmove.meshes.files.io import MeshFileError, load, save
from meshmove.meshes.series.files import read_series, write_series

NAMES = ['pipe 3"', 'so-called "steel"', "it's", "a/b", "R&D <2>", "Öl ", "von Mises", "100%", "%20 and %2F"]


def named_mesh(names=NAMES):
    """A strip of triangles, with data and a set of each name."""
    x = np.arange(len(names) + 2.0)
    cells = np.stack([np.arange(len(names)) + k for k in range(3)], axis=1)
    return meshio.Mesh(
        np.stack([x, x % 2], axis=1),
        [("triangle", cells)],
        {name: x + k for k, name in enumerate(names)},
        {name: [x[:-2] * k] for k, name in enumerate(names)},
        cell_sets={f"set {name}": [np.array([k])] for k, name in enumerate(names)},
    )


def assert_names_are_there(found, mesh):
    for name, values in mesh.point_data.items():
        assert np.array_equal(found.point_data[name], values)
        assert np.array_equal(np.concatenate(found.cell_data[name]), mesh.cell_data[name][0])
        if found.cell_sets:  # of .msh they are physical groups
            assert np.array_equal(found.cell_sets[f"set {name}"][0], mesh.cell_sets[f"set {name}"][0])
        else:
            tag, dim = found.field_data[f"set {name}"]
            members = np.flatnonzero(np.concatenate(found.cell_data["gmsh:physical"]) == tag)
            assert dim == 2 and np.array_equal(members, mesh.cell_sets[f"set {name}"][0])


@pytest.mark.parametrize("kind", [".vtu", ".xdmf", ".vtk", ".med", ".msh"])
def test_odd_names_survive(tmp_path, kind):
    save(named_mesh(), tmp_path / f"it's {kind}")
    assert_names_are_there(load(tmp_path / f"it's {kind}"), named_mesh())


def test_names_are_those_that_vtk_reads_and_writes(tmp_path):
    pyvista = pytest.importorskip("pyvista")
    save(named_mesh(), tmp_path / "ours.vtk")
    grid = pyvista.read(tmp_path / "ours.vtk")
    assert set(NAMES) <= set(grid.point_data) and set(NAMES) <= set(grid.cell_data)
    grid.save(tmp_path / "theirs.vtk", binary=False)
    assert_names_are_there(load(tmp_path / "theirs.vtk"), named_mesh())


@pytest.mark.parametrize("kind", [".pvd", ".xdmf"])
def test_odd_names_survive_in_series(tmp_path, kind):
    path = write_series(tmp_path / f"a 'run' of Öl & more{kind}", [(0.0, named_mesh()), (1.0, named_mesh())])
    for moment in read_series(path):
        assert_names_are_there(moment.mesh, named_mesh())


@pytest.mark.parametrize("version", [2.2, 4.1])
def test_gmsh_s_groups_may_have_any_name(tmp_path, version):
    gmsh = pytest.importorskip("gmsh")
    gmsh.initialize()
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        for k, name in enumerate(NAMES):
            face = gmsh.model.occ.addRectangle(2 * k, 0, 0, 1, 1)
            gmsh.model.occ.synchronize()
            gmsh.model.addPhysicalGroup(2, [face], k + 1, name=name)
        gmsh.model.mesh.generate(2)
        gmsh.option.setNumber("Mesh.MshFileVersion", version)
        gmsh.write(str(tmp_path / "part.msh"))
    finally:
        gmsh.finalize()
    mesh = load(tmp_path / "part.msh")
    save(mesh, tmp_path / "again.msh")
    for found in (mesh, load(tmp_path / "again.msh")):
        assert {k: v.tolist() for k, v in found.field_data.items()} == {n: [k + 1, 2] for k, n in enumerate(NAMES)}


def test_a_list_of_groups_that_is_none_is_refused(tmp_path):
    save(named_mesh(["a", "b"]), tmp_path / "one.msh")
    text = (tmp_path / "one.msh").read_bytes()
    assert b'2 1 "set a"\n' in text
    (tmp_path / "two.msh").write_bytes(text.replace(b'2 1 "set a"\n', b'two one "set a"\n'))
    with pytest.raises(MeshFileError, match="physical group"):
        load(tmp_path / "two.msh")


def test_names_are_written_in_the_same_letters_everywhere(tmp_path):
    # Python's own encoding of text is that of the place, unless it is told otherwise
    code = (
        "import sys; from tests.meshmove.meshes.test_odd_names import named_mesh, save; save(named_mesh(), sys.argv[1])"
    )
    place = {**os.environ, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "one.vtu")], env=place, check=True)
    assert_names_are_there(load(tmp_path / "one.vtu"), named_mesh())
