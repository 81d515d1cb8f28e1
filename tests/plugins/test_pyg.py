"""PyTorch Geometric in and out: positions of any type, every attribute kept."""

import warnings

import numpy as np
import pytest
import torch

from meshmove.geometry.errors import FieldError, InvalidMeshError, UnsupportedMeshError
from meshmove.meshes.registry import converter_for
from meshmove.plugins.pyg import converter

with warnings.catch_warnings():  # torch_geometric uses torch.jit.script, which torch has deprecated
    warnings.simplefilter("ignore")
    from torch_geometric.data import Batch, Data, HeteroData

SQUARE = torch.tensor([[0.0, 0], [1, 0], [1, 1], [-0.0, 1]])
CUBE = torch.tensor([[x, y, z] for z in (0.0, 1) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))])


def triangles(dtype=torch.float32):
    return Data(
        x=torch.arange(8.0).reshape(4, 2),
        u=torch.arange(4, dtype=torch.float64),
        pos=SQUARE.to(dtype, copy=True),
        face=torch.tensor([[0, 0], [1, 2], [2, 3]], dtype=torch.int32),
        edge_index=torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]),
        edge_attr=torch.ones(4, 1),
        mask=torch.tensor([True, False, True, True]),
        name="plate",
        y=torch.tensor([3.0]),
    )


def assert_identical(a, b, but=()):
    assert type(a) is type(b)
    assert list(a.keys()) == list(b.keys())
    for key in a.keys():  # noqa: SIM118
        if key not in but and torch.is_tensor(a[key]):
            assert a[key].dtype == b[key].dtype and a[key].device == b[key].device
            assert torch.equal(a[key], b[key]) and a[key].data_ptr() != b[key].data_ptr()
        elif key not in but:
            assert a[key] == b[key]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_a_round_trip_keeps_every_bit(dtype):
    data = triangles(dtype)
    same = converter.write(data, np.zeros((4, 2)))
    assert_identical(same, data)
    assert torch.equal(torch.signbit(same.pos), torch.signbit(data.pos))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_nodes_move_by_the_displacement_and_the_input_stays(dtype):
    data, before = triangles(dtype), triangles(dtype)
    d = np.random.default_rng(0).normal(size=(4, 2))
    d[1] = 0
    moved = converter.write(data, d)
    assert_identical(data, before)
    assert_identical(moved, data, but=["pos"])
    assert torch.equal(moved.pos, (data.pos.double() + torch.from_numpy(d)).to(dtype))
    assert converter.dtype(data).itemsize == data.pos.element_size()


def test_positions_that_carry_gradients_are_read():
    data = triangles()
    data.pos.requires_grad_()
    assert not converter.write(data, np.full((4, 2), 0.1)).pos.requires_grad
    assert data.pos.requires_grad


@pytest.mark.parametrize(
    ("attribute", "pos", "cells", "expected"),
    [
        ("face", SQUARE, [[0], [1], [2]], "2-D: 3 points, 1 triangle"),
        ("cells", SQUARE, [[0], [1], [2], [3]], "2-D: 4 points, 1 quad"),
        ("cells", CUBE[:4], [[0], [1], [2]], "2-D: 3 points, 1 triangle"),
        ("tetra", CUBE, [[0], [1], [3], [4]], "3-D: 4 points, 1 tetra"),
        ("cells", CUBE, [[0], [1], [3], [4]], "3-D: 4 points, 1 tetra"),
        ("cells", CUBE, [[0], [1], [2], [3], [4]], "3-D: 5 points, 1 pyramid"),
        ("cells", CUBE, [[0], [1], [2], [4], [5], [6]], "3-D: 6 points, 1 wedge"),
        ("cells", CUBE, [[i] for i in range(8)], "3-D: 8 points, 1 hexahedron"),
    ],
)
def test_rows_and_dimension_tell_the_kind(attribute, pos, cells, expected):
    data = Data(pos=pos, **{attribute: torch.tensor(cells)})
    assert expected in repr(converter.read(data))
    assert converter.read(data).n_nodes == len(pos)


def test_faces_beside_cells_are_left_alone():
    data = Data(pos=CUBE, tetra=torch.tensor([[0], [1], [3], [4]]), face=torch.tensor([[0], [1], [3]]))
    assert converter.read(data).blocks[0].kind.name == "tetra"


def test_batches_are_meshes_of_several_components():
    batch = Batch.from_data_list([triangles(), triangles()])
    assert repr(converter_for(batch).read(batch)) == "CellMesh(2-D: 8 points, 4 triangle)"
    assert type(converter.write(batch, np.zeros((8, 2)))) is type(batch)


def test_node_attributes_are_read_and_replaced():
    data = triangles()
    fields = converter.fields(data)
    assert sorted(fields) == ["u", "x"]
    fields["u"][:] = -1
    assert data.u[1] == 1
    out = converter.with_fields(data, {"x": np.zeros((4, 2)), "new": np.linspace(0, 1, 4)})
    assert out.x.dtype == out.new.dtype == torch.float32 and not out.x.any()
    assert "new" not in data and data.x.any()
    with pytest.raises(FieldError, match="Expected 4 nodal values for 'x'"):
        converter.with_fields(data, {"x": np.zeros(3)})
    assert sorted(converter.to_meshio(data).point_data) == ["u", "x"]


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (Data(pos=SQUARE), InvalidMeshError, r"data.face \(3, m\).*got only pos.*Edges alone"),
        (Data(face=torch.zeros(3, 1, dtype=torch.long)), InvalidMeshError, "data.pos.*got NoneType"),
        (Data(pos=SQUARE[:, :1], face=torch.zeros(3, 1, dtype=torch.long)), InvalidMeshError, r"shape \(4, 1\)"),
        (Data(pos=SQUARE, cells=torch.zeros(5, 1, dtype=torch.long)), UnsupportedMeshError, r"\(5, 1\) with 2 coord"),
        (Data(pos=SQUARE, cells=torch.zeros(3, 1)), UnsupportedMeshError, "node ids.*torch.float32"),
        (Data(pos=SQUARE, tetra=torch.zeros(4, 1, dtype=torch.long)), UnsupportedMeshError, "data.tetra"),
        (Data(pos=SQUARE, face=torch.tensor([[0], [1], [4]])), InvalidMeshError, "node ids from 0 to 3"),
        (Data(pos=SQUARE, face=torch.zeros(3, 0, dtype=torch.long)), InvalidMeshError, "empty mesh"),
        (HeteroData(), UnsupportedMeshError, "got HeteroData"),
    ],
)
def test_what_cannot_be_moved_is_named(data, error, message):
    with pytest.raises(error, match=message):
        converter_for(data).read(data)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_positions_stay_on_their_device():
    data = triangles().to("cuda")
    assert converter.write(data, np.full((4, 2), 0.1)).pos.is_cuda
    assert converter.with_fields(data, {"u": np.zeros(4)}).u.is_cuda
