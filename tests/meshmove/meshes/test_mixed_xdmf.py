"""Cells of several kinds, of first and second order, come back from .xdmf and from series of it."""

import meshio
import numpy as np
import pytest

import meshmove
from meshmove.meshes.series.files import read_series, write_series

POINTS = np.random.default_rng(0).random((27, 3))


def mesh(kinds):
    counts = meshio._common.num_nodes_per_cell
    rng = np.random.default_rng(1)
    blocks = [(k, np.array([rng.permutation(27)[: counts[k]] for _ in range(3)])) for k in kinds]
    data = [np.arange(3.0) + 10 * i for i in range(len(kinds))]
    return meshio.Mesh(POINTS, blocks, cell_data={"number": data}, point_data={"u": POINTS[:, 0]})


KINDS = [
    ["vertex", "line", "triangle"],
    ["vertex", "line", "triangle", "quad", "triangle"],
    ["line3", "triangle6", "quad8", "quad9"],
    ["vertex", "triangle6", "tetra10", "hexahedron20", "hexahedron27"],
    ["tetra", "pyramid", "wedge", "hexahedron"],
]


@pytest.mark.parametrize("kinds", KINDS, ids="-".join)
def test_files_and_series_hold_them(tmp_path, kinds):
    one = mesh(kinds)
    meshmove.save(one, tmp_path / "one.xdmf")
    write_series(tmp_path / "many.xdmf", [(0.0, one), (1.0, one)])
    for again in [meshmove.load(tmp_path / "one.xdmf"), *(m.mesh for m in read_series(tmp_path / "many.xdmf"))]:
        assert [b.type for b in again.cells] == kinds
        for a, b in zip(one.cells, again.cells, strict=True):
            assert np.array_equal(a.data, b.data)
        for a, b in zip(one.cell_data["number"], again.cell_data["number"], strict=True):
            assert np.array_equal(a, b)


@pytest.mark.parametrize("old, new", [("2 2 ", "2 3 "), ("4 ", "77 "), ("1 1 ", "0 1 ")])
def test_a_damaged_list_is_refused(tmp_path, old, new):
    text = """<Xdmf Version="3.0"><Domain><Grid Name="Grid"><Geometry GeometryType="XY">
<DataItem DataType="Float" Dimensions="3 2" Format="XML" Precision="8">0 0 1 0 0 1</DataItem></Geometry>
<Topology TopologyType="Mixed" NumberOfElements="3">
<DataItem DataType="Int" Dimensions="11" Format="XML" Precision="8">1 1 0 2 2 0 1 4 0 1 2</DataItem></Topology></Grid>
</Domain></Xdmf>"""
    path = tmp_path / "mesh.xdmf"
    path.write_text(text)
    assert [b.type for b in meshmove.load(path).cells] == ["vertex", "line", "triangle"]
    path.write_text(text.replace(old, new, 1) if old != "4 " else text.replace(" 4 ", f" {new}"))
    with pytest.raises(meshmove.MeshFileError):
        meshmove.load(path)
