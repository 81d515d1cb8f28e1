"""PyTorch Geometric: `Data` with node positions and cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.errors import FieldError, InvalidMeshError, UnsupportedMeshError
from meshmove.geometry.mesh import CellMesh
from meshmove.meshes.files.cell_sets import plain_labels
from meshmove.meshes.regions import means_regions

from .blocks import Block, assemble, displaced, frame_of, top_blocks

if TYPE_CHECKING:
    import meshio
    import torch
    from torch_geometric.data import Data

__all__ = ["PygConverter", "converter"]

# (rows of the cell tensor, coordinates of a node) -> kind
_KINDS = {
    (3, 2): "triangle",
    (3, 3): "triangle",
    (4, 2): "quad",
    (4, 3): "tetra",
    (5, 3): "pyramid",
    (6, 3): "wedge",
    (8, 3): "hexahedron",
}
_CELLS = ("cells", "tetra", "face")


class PygConverter:
    """`torch_geometric.data.Data` in and out.

    Positions are ``data.pos`` (n, 2 or 3). Cells are the first of ``data.cells``, ``data.tetra`` and ``data.face``
    that is there, a tensor (k, m) of node ids in columns: 3 rows are triangles, 4 rows quadrilaterals where nodes
    have two coordinates and tetrahedra where they have three, 5 pyramids, 6 wedges, 8 hexahedra (vertices in VTK
    order). Other tensors with a number a cell, and not a number a node, may tell regions apart. Everything else in the
    data is kept as it is: edge attributes that were computed from positions are not computed anew.
    """

    def read(self, mesh: Data) -> CellMesh:
        """Plain arrays of the mesh.

        >>> import torch
        >>> from torch_geometric.data import Data
        >>> converter.read(Data(pos=torch.eye(3)[:, :2], face=torch.tensor([[0], [1], [2]])))
        CellMesh(2-D: 3 points, 1 triangle)
        """
        points, block = _positions(mesh), _block(mesh)
        return assemble(points, [block], labels=_labels(mesh, len(np.asarray(block.nodes))))

    def write(self, mesh: Data, displacement: NDArray[np.float64]) -> Data:
        """A clone with new positions of the same type on the same device; see `Converter.write`."""
        import torch

        points, block = _positions(mesh), _block(mesh)
        frame = frame_of(points, [block], top_blocks([block], len(points)))
        moved = torch.from_numpy(displaced(points, displacement, frame))
        out = mesh.clone()
        out.pos = moved.to(mesh.pos.detach())  # from float64, so nodes that stay come back exactly in any type
        return out

    def fields(self, mesh: Data) -> dict[str, NDArray]:
        """Node attributes other than positions, by name."""
        import torch

        found = {k: mesh[k] for k in mesh.keys() if k != "pos" and mesh.is_node_attr(k)}  # noqa: SIM118
        return {k: _array(v) for k, v in found.items() if torch.is_tensor(v) and v.ndim and v.dtype != torch.bool}

    def with_fields(self, mesh: Data, fields: Mapping[str, NDArray]) -> Data:
        """A clone with these node attributes set; floating point attributes keep their type and device."""
        import torch

        n, out = len(mesh.pos), mesh.clone()
        for name, values in fields.items():
            value = torch.as_tensor(np.array(values), device=mesh.pos.device)
            if value.ndim == 0 or len(value) != n:
                raise FieldError(f"Expected {n} nodal values for {name!r} (got an array of shape {tuple(value.shape)})")
            old = mesh[name] if name in mesh else mesh.pos
            floating = torch.is_tensor(old) and old.is_floating_point() and value.is_floating_point()
            out[name] = value.to(old) if floating else value
        return out

    def dtype(self, mesh: Data) -> np.dtype:
        """The type of `pos`; float16 stands for bfloat16, which NumPy does not know."""
        names = {"torch.float64": np.float64, "torch.float32": np.float32}
        return np.dtype(names.get(str(mesh.pos.dtype), np.float16))

    def to_meshio(self, mesh: Data) -> meshio.Mesh:
        """Positions, cells and node attributes."""
        import meshio

        block = _block(mesh)
        return meshio.Mesh(_positions(mesh), [(block.name, np.asarray(block.nodes))], point_data=self.fields(mesh))


def _array(tensor: torch.Tensor) -> NDArray:
    tensor = tensor.detach().cpu()
    return tensor.numpy().copy() if str(tensor.dtype) != "torch.bfloat16" else tensor.float().numpy()


def _labels(mesh: Any, n_cells: int) -> dict[str, list[NDArray]]:
    """Attributes with a number a cell; where there are as many nodes, those whose name speaks of regions."""
    import torch

    found = {}
    for name in mesh.keys():  # noqa: SIM118
        value = mesh[name]
        if name in (*_CELLS, "pos") or not torch.is_tensor(value) or not value.ndim or len(value) != n_cells:
            continue
        if n_cells != len(mesh.pos) or means_regions(name):
            found[name] = [_array(value)]
    return plain_labels(found)


def _positions(mesh: Any) -> NDArray:
    import torch

    if not hasattr(type(mesh), "is_node_attr"):
        raise UnsupportedMeshError(f"Expected a torch_geometric.data.Data (got {type(mesh).__name__})")
    pos: Any = getattr(mesh, "pos", None)
    if not torch.is_tensor(pos) or pos.ndim != 2 or pos.shape[1] not in (2, 3) or not pos.is_floating_point():
        got = f"{pos.dtype} of shape {tuple(pos.shape)}" if torch.is_tensor(pos) else type(pos).__name__
        raise InvalidMeshError(f"Expected node positions data.pos, floating point of shape (n, 2 or 3) (got {got})")
    return pos.detach().cpu().double().numpy()


def _block(mesh: Any) -> Block:
    import torch

    name = next((k for k in _CELLS if torch.is_tensor(getattr(mesh, k, None))), None)
    if name is None:
        raise InvalidMeshError(
            "Expected cells in data.face (3, m), data.tetra (4, m) or data.cells (k, m) "
            f"(got only {', '.join(mesh.keys())}). Edges alone do not make a mesh"
        )
    cells, dim = getattr(mesh, name), mesh.pos.shape[1]
    rows = cells.shape[0] if cells.ndim == 2 else 0
    kind = _KINDS.get((rows, dim))
    if kind is None or cells.is_floating_point() or (name == "tetra" and kind != "tetra"):
        raise UnsupportedMeshError(
            f"Expected data.{name} to hold node ids, a cell a column: 3 or 4 rows in 2-D; 3, 4, 5, 6 or 8 in 3-D "
            f"(got {cells.dtype} of shape {tuple(cells.shape)} with {dim} coordinates a node)"
        )
    return Block(kind, cells.detach().cpu().numpy().T, 2 if kind in ("triangle", "quad") else 3)


converter = PygConverter()
