"""Files as other programs write them are read, their materials and boundaries known; others are refused by name."""

import warnings

import pytest

import meshmove
from meshmove.meshes.files.io import MeshFileError, MeshFileWarning, load, save
from meshmove.meshes.source import Source
from tests.meshmove.meshes.foreign_files import READ, REFUSED


@pytest.mark.parametrize("case", READ, ids=lambda c: c.name)
def test_foreign_files_are_read_and_moved(case, tmp_path):
    (tmp_path / case.name).write_text(case.text, newline="")
    mesh = load(tmp_path / case.name)
    cells = Source.of(mesh).cells
    regions = 1 if cells.regions is None else len(set(cells.regions))
    assert (cells.n_points, cells.n_cells, regions) == (case.nodes, case.cells, case.regions)
    assert tuple(cells.facets) == case.facets
    out = meshmove.adapt(mesh, monitor=lambda x: 1 + x[0], effort=0.1)
    assert out.report.inverted_cells == 0
    again_name = f"again-{case.name}".replace(".vtp", ".vtu")  # meshio writes no .vtp
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MeshFileWarning)
        save(out.mesh, tmp_path / again_name)
    again = Source.of(load(tmp_path / again_name)).cells
    assert (again.n_points, again.n_cells) == (case.nodes, case.cells)
    assert set(case.facets) <= set(again.facets)


@pytest.mark.parametrize("case", REFUSED, ids=lambda c: c.name)
def test_others_are_refused_with_what_to_do(case, tmp_path):
    (tmp_path / case.name).write_bytes(case.text.encode("latin-1"))
    with pytest.raises(MeshFileError, match=case.words):
        load(tmp_path / case.name)
