"""Pictures: what is shown on the left, which part, and under which titles."""

import numpy as np
import pytest
import skfem

import meshmove
from meshmove.geometry.errors import InvalidMeshError

pyvista = pytest.importorskip("pyvista")

from meshmove.plugins.pictures.values import VALUES, colour, first_grid  # noqa: E402
from meshmove.plugins.pictures.view import opened  # noqa: E402
from meshmove.plugins.pyvista import cellmesh_to_pyvista, plot  # noqa: E402


def front(x):
    return np.tanh(10 * (x[0] - 0.4))


@pytest.fixture(scope="module")
def looped():
    mesh = skfem.MeshTri().refined(3)
    return mesh, meshmove.adapt_loop(mesh, lambda m: front(m.p), steps=2, effort=0.3).adaptation


def test_the_first_mesh_of_a_loop_is_shown_as_it_was(looped):
    mesh, out = looped
    grids = [cellmesh_to_pyvista(out.cells), cellmesh_to_pyvista(out.moved)]
    name = colour(out, "field", grids)
    grid = first_grid(mesh, out.cells, grids, name)
    assert np.array_equal(grid.points[:, :2].T.astype(float), mesh.p)
    assert np.abs(grid[VALUES] - front(mesh.p)).max() < 0.6  # as far as the moved cells know it


def test_a_moved_mesh_is_drawn_beside_the_one_it_was(tmp_path):
    grid = pyvista.ImageData(dimensions=(6, 5, 4)).cast_to_structured_grid().cast_to_unstructured_grid()
    grid["u"] = np.asarray(grid.points[:, 0], float)
    moved = grid.copy()
    moved.points[:, 0] **= 1.1
    plot(moved, "u", before=grid, headings=("then", "now"), label="a rather long name", filename=tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_a_part_is_shown_larger(looped, tmp_path):
    mesh, out = looped
    plot(out, "field", before=mesh, filename=tmp_path / "all.png")
    plot(out, "field", before=mesh, zoom=(0.2, 0.6, 0.4, 0.6), filename=tmp_path / "part.png")
    shapes = [pyvista.read(tmp_path / f"{name}.png").dimensions[:2] for name in ("all", "part")]
    assert shapes[0][0] > shapes[0][1] and shapes[1][0] / shapes[1][1] != shapes[0][0] / shapes[0][1]


def test_another_mesh_is_refused(looped):
    with pytest.raises(InvalidMeshError, match=r"Expected `before` to have the cells .* first mesh of the loop"):
        plot(looped[1], before=skfem.MeshTri().refined(2), filename="never.png")


def test_both_meshes_are_cut_open_along_the_same_cells():
    mesh = skfem.MeshTet.init_tensor(*[np.linspace(0, 1, 5)] * 3)
    out = meshmove.adapt(mesh, front(mesh.p), effort=0.3)
    cut = opened([cellmesh_to_pyvista(out.cells), cellmesh_to_pyvista(out.moved)])
    assert cut[0].n_cells == cut[1].n_cells == mesh.nelements // 2
    assert cut[0].points[:, 1].min() == 0.5
