"""Many meshes with nodal fields at once: prepared once, moved any number of times, on a processor or an accelerator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import block_diag, csr_matrix, vstack
from torch import Tensor, nn

from meshmove.geometry import CellMesh, FieldError, Slide, UnsupportedMeshError, Validity, facets_of
from meshmove.geometry.arrays import Array
from meshmove.geometry.errors import first_ids
from meshmove.geometry.given import as_list, real
from meshmove.geometry.mesh import meshes_of
from meshmove.monitors import Recovery

from ..lift import Lift
from .hessians import Walked, neighbours
from .lift import DenseLift, sparse_lift
from .meshes.simplices import Simplices, boxes_of

__all__ = ["FieldBatch", "Part"]


#: nodes of a mesh up to which its inverse Laplacian is kept dense, on an accelerator and on a processor
DENSE, SMALL = 4096, 100
#: so many times the rounding of the values, second derivatives are none
ROUNDING = 8.0


@dataclass(eq=False)
class Part:
    """One mesh of size one about 0, the projectors (n, dim, dim) of its nodes, and what recovers Hessians on it.

    `centre` (dim,) and `scale` take it back to where it was. Nodes of curved boundaries are held.
    """

    mesh: CellMesh
    slide: Slide
    projector: Array
    recovery: list[csr_matrix]
    centre: Array
    scale: float

    @classmethod
    def of(cls, mesh: CellMesh) -> Part:
        """Raises
        ------
        UnsupportedMeshError
            The mesh has cells of several kinds, or others than triangles, quadrilaterals, tetrahedra and hexahedra.
        """
        boxes_of([mesh])
        low, high = mesh.points.min(axis=0), mesh.points.max(axis=0)
        centre, scale = (low + high) / 2, float((high - low).max())
        unit = mesh.moved((mesh.points - centre) / scale)
        facets = facets_of(unit)
        slide = Slide(unit, facets)
        if len(slide.curved_edges):
            slide = Slide(unit, facets, fixed=np.unique(slide.curved_edges))
        eye = np.broadcast_to(np.eye(mesh.dim)[:, None], (mesh.dim, unit.n_points, mesh.dim))
        projector = np.stack([slide.tangent(e) for e in eye], axis=2)
        return cls(unit, slide, projector, Recovery(unit).hessian_matrices, centre, scale)

    def kept(self, x: Tensor) -> Tensor:
        """Positions (n, dim), or where hexahedra fold between their corners so much of the way as folds none."""
        if all(b.kind.is_simplex for b in self.mesh.blocks) or self.mesh.dim == 2:
            return x
        rest, validity = torch.from_numpy(self.mesh.points).to(x), Validity(self.mesh)
        for share in (1.0, *np.linspace(0.9, 0.1, 9)):
            there = rest + float(share) * (x - rest) if share < 1 else x
            if validity.keeps(there.detach().cpu().double().numpy()):
                return there
        return rest


class FieldBatch:
    """Meshes of one kind of cells side by side, on which fields are aligned.

    Parameters
    ----------
    parts
        The meshes, each prepared by itself.
    device
        On an accelerator the Laplacians are dense and solved together, on a processor they are sparse beyond
        a few hundred nodes.
    dtype
        Of positions: single or double precision. In half precision cells of a thousandth of the mesh are rounded away.

    Raises
    ------
    UnsupportedMeshError
        A mesh has other cells, meshes have different ones, or no mesh came.
    ValueError
        Positions in another precision.
    """

    def __init__(
        self, parts: Sequence[Part], device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        if not parts:
            raise UnsupportedMeshError("Expected at least one mesh (got none)")
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"Expected positions in torch.float32 or torch.float64 (got {dtype})")
        self.parts = list(parts)
        meshes, projectors = [p.mesh for p in parts], [p.projector for p in parts]
        boxes_of(meshes)
        self.sizes = [m.n_points for m in meshes]
        self.batch = Simplices.of(meshes, projectors, self._lift(device, dtype), dtype).to(device)
        entries = vstack([block_diag([p.recovery[k] for p in parts]) for k in range(len(parts[0].recovery))]).tocoo()
        self._rows, self._columns = (torch.from_numpy(i.astype(np.int64)).to(device) for i in entries.coords)
        self._weights = torch.from_numpy(entries.data).to(device)
        self._split = self.batch
        if self.batch.boxes:
            halves = [m.simplicial() for m in meshes]
            self._split = Simplices.of(halves, projectors, self.batch.lift, dtype).to(device)
        cells = self._split.cells.cpu().numpy()
        self._beside = torch.from_numpy(neighbours(cells)).to(device)
        around = np.zeros(len(self.batch.points), np.int64)
        around[cells.ravel()] = np.repeat(np.arange(len(cells)), cells.shape[1])
        self._around = torch.from_numpy(around).to(device)
        first = np.repeat(np.cumsum([0, *self.sizes[:-1]]), self.sizes)
        self._first = torch.from_numpy(first).to(device)
        self._size = len(parts[0].recovery)
        rows = self._weights.new_zeros(self._size * len(first)).index_add(0, self._rows, self._weights.abs())
        self._gain = self._most(rows.view(self._size, -1).amax(0))

    def _lift(self, device: torch.device | str, dtype: torch.dtype) -> nn.Module | Lift:
        meshes = [p.mesh for p in self.parts]
        if max(self.sizes) <= (DENSE if torch.device(device).type != "cpu" else SMALL):
            return DenseLift(meshes, [p.projector for p in self.parts], device, dtype)
        each = [sparse_lift(p.mesh, p.slide, p.mesh.points) for p in self.parts]

        def together(forces: Tensor) -> Tensor:
            parts = forces.detach().cpu().double().numpy()
            ends = np.cumsum(self.sizes)
            found = [lift(parts[b - n : b]) for lift, n, b in zip(each, self.sizes, ends, strict=True)]
            return torch.from_numpy(np.concatenate(found)).to(forces)

        return Lift(together)

    @classmethod
    def of(
        cls, meshes: Sequence[CellMesh], device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> FieldBatch:
        """Prepare meshes."""
        return cls([Part.of(m) for m in meshes_of(meshes)], device, dtype)

    def __len__(self) -> int:
        return len(self.batch)

    def __repr__(self) -> str:
        points = self.batch.points
        return f"FieldBatch({len(self)} meshes, {len(points)} nodes, {points.dtype}, {points.device})"

    def joined(self, fields: Sequence[Array | Tensor]) -> Tensor:
        """Nodal values (n_i,) of one field a mesh as one tensor (n,), through which derivatives pass.

        Raises
        ------
        FieldError
            Not one field for each mesh, not one value for each node, or values that are not finite.
        """
        fields = as_list(fields, "fields, one for each mesh", FieldError)
        if len(fields) != len(self):
            raise FieldError(f"Expected {len(self)} fields, one for each mesh (got {len(fields)})")
        points = self.batch.points
        values = [u if torch.is_tensor(u) else torch.as_tensor(real(u, "a field")) for u in fields]
        values = [u.to(points.device) for u in values]
        values = [u if u.is_floating_point() else u.to(points.dtype) for u in values]
        for k, (u, n) in enumerate(zip(values, self.sizes, strict=True)):
            if u.shape != (n,):
                raise FieldError(f"Expected {n} values of field {k} (got shape {tuple(u.shape)})")
            bad = torch.nonzero(~torch.isfinite(u))[:, 0]
            if len(bad):
                raise FieldError(
                    f"Expected finite values of field {k} (NaN or infinity at {first_ids(bad.cpu().numpy())})"
                )
        return torch.cat(values)

    def hessians(self, u: Tensor, relative: bool = False) -> Walked:
        """Recovered from nodal values (n,), as a function of moved positions.

        `relative`: of fields scaled to a spread of about one, neither too large nor too small for single precision.
        """
        precision, graph = torch.finfo(u.dtype).eps, self.batch.node_graph
        u = u.double()
        if relative:
            u = self._scaled(u)
        u = u - u.index_select(0, self._first)  # rows of the operators sum to zero up to rounding
        noise = ROUNDING * precision * self._most(u.detach().abs()) * self._gain
        if relative:
            size = self._most(u.detach().abs())
            noise, u = noise / torch.where(size > 0, size, 1.0), self._scaled(u)
        h = u.new_zeros(self._size * len(u)).index_add(0, self._rows, self._weights * u.index_select(0, self._columns))
        h = h.view(self._size, -1).T
        told = self._most(h.detach().abs().amax(1)) > noise
        h = torch.where(told[graph, None], h, 0.0).to(self.batch.points)
        return Walked(self.batch, self._split, self._beside, h, self._around)

    def _scaled(self, u: Tensor) -> Tensor:
        """Values (n,) over the largest of their mesh: what positions do not depend on, so that no derivative passes."""
        size = self._most(u.detach().abs())
        return u / torch.where(size > 0, size, 1.0)[self.batch.node_graph]

    def _most(self, values: Tensor) -> Tensor:
        """Largest of values (n,) in each mesh, (B,)."""
        return values.new_zeros(len(self)).scatter_reduce(0, self.batch.node_graph, values, "amax")

    def back(self, x: Tensor) -> list[Tensor]:
        """Positions (n, dim) mesh by mesh, where the meshes were and of their size."""
        parts = zip(self.parts, x.split(self.sizes), strict=True)
        return [p.scale * p.kept(y) + torch.as_tensor(p.centre).to(y) for p, y in parts]
