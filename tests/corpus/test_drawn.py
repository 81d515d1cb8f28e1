"""Every kind of cell, of either order, tagged in every way: moved with its tags, kept by files or the loss is said."""

import warnings

import numpy as np
import pytest

import meshmove
from meshmove.geometry import inverted_cells
from meshmove.meshes.files.io import MeshFileError, MeshFileWarning, load, save
from meshmove.meshes.source import Source
from tests.corpus.drawn import KINDS, TAGS, drawn

#: one of each family of formats
FORMATS = (".msh", ".vtu", ".vtk", ".xdmf", ".inp", ".mesh", ".med")


def meaning(mesh):
    """Cells by kind, facets by name, how many cells are told apart how."""
    cells = Source.of(mesh).cells
    kinds = sorted((b.second or b.kind.name, len(b.nodes)) for b in cells.blocks)
    regions = [] if cells.regions is None else sorted(np.unique(cells.regions, return_counts=True)[1].tolist())
    return kinds, regions, {name: len(f) for name, f in cells.facets.items()}


@pytest.mark.parametrize("tags", TAGS)
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_moved_and_nothing_else_changes(kind, tags):
    mesh = drawn(kind, tags)
    out = meshmove.adapt(mesh, monitor=lambda x: 1 + 4 * x[0] ** 2, effort=0.1, mover="smooth")
    assert out.mesh.points.shape == mesh.points.shape and np.abs(out.mesh.points - mesh.points).max() > 1e-3
    assert not len(inverted_cells(out.cells, out.moved.points))
    assert [(b.type, b.data.tolist()) for b in out.mesh.cells] == [(b.type, b.data.tolist()) for b in mesh.cells]
    for name, values in mesh.cell_data.items():
        assert [v.tolist() for v in out.mesh.cell_data[name]] == [v.tolist() for v in values]
    assert meaning(out.mesh) == meaning(mesh)
    edge = np.isclose(mesh.points, 0) | np.isclose(mesh.points, 1)
    np.testing.assert_allclose(out.mesh.points[edge], mesh.points[edge], atol=1e-12)
    if tags != "plain":
        assert len(meaning(mesh)[1]) == 2 or tags == "sets"


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_files_keep_it_or_say_what_they_lose(kind, suffix, tmp_path):
    for tags in TAGS:
        mesh, file = drawn(kind, tags), tmp_path / f"{tags}{suffix}"
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                save(mesh, file)
            except MeshFileError:  # a format without such cells
                assert not file.exists()
                continue
        assert all(issubclass(w.category, MeshFileWarning) for w in said)
        again = load(file)
        if not said:
            assert meaning(again) == meaning(mesh), (kind, tags, suffix)
        assert meaning(again)[0] == meaning(mesh)[0]
        np.testing.assert_allclose(again.points[:, : mesh.points.shape[1]], mesh.points, atol=1e-6)
