"""Several meshes side by side, as tensors: what the network and its loss work on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meshmove.geometry import CellMesh, Slide, Validity, facets_of
from meshmove.geometry.errors import InvalidMeshError
from meshmove.geometry.mesh import meshes_of
from meshmove.geometry.quality import simplex_volumes
from meshmove.movers.laplacian import corner_weights

__all__ = ["MeshBatch"]


@dataclass(eq=False)
class MeshBatch:
    """The disjoint union of meshes of one dimension d, each of about size one, with its boundary's freedom.

    n nodes, c cells and s corner simplices in all; `node_graph` (n,) and `cell_graph` (c,) tell which mesh each
    belongs to, and `component` (c,) which connected component: mass is balanced within each.

    Attributes
    ----------
    points : (n, d) reference positions
    simplices, owner : (s, d+1) vertices of every corner simplex, (s,) cell of each
    rest : (s, d, d) inverse of the reference edge matrix; J = E rest
    weight, share : (s,) its part of the cell's volume, and of the distortion
    volume : (c,) |K0|
    edges : (2, e) node pairs, both ways
    mass, size : (n,) lumped volume of each node, mean edge length of a cell of its mesh
    """

    meshes: list[CellMesh]
    slides: list[Slide]
    points: Tensor
    simplices: Tensor
    owner: Tensor
    rest: Tensor
    weight: Tensor
    share: Tensor
    volume: Tensor
    component: Tensor
    node_graph: Tensor
    cell_graph: Tensor
    edges: Tensor
    mass: Tensor
    size: Tensor
    first: list[int] = field(repr=False)  # node offsets, one more than there are meshes
    validities: list[Validity] = field(repr=False)

    @classmethod
    def of(
        cls,
        meshes: Sequence[CellMesh],
        slides: Sequence[Slide] | None = None,
        components: Sequence[NDArray[np.int64]] | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> MeshBatch:
        """Join meshes. Without `slides` the nodes of every boundary glide along it.

        Raises
        ------
        InvalidMeshError
            For an empty batch, and for meshes of different dimension.
        """
        meshes = meshes_of(meshes)
        dims = sorted({m.dim for m in meshes})
        if len(dims) > 1:
            raise InvalidMeshError(f"Expected meshes of one dimension in a batch (got {dims}): make a batch of each")
        if slides is None or components is None:
            facets = [facets_of(m) for m in meshes]
            if slides is None:
                slides = [Slide(m, f) for m, f in zip(meshes, facets, strict=True)]
            if components is None:
                components = [f.components(m.n_cells) for m, f in zip(meshes, facets, strict=True)]
        n = np.cumsum([0, *(m.n_points for m in meshes)])
        c = np.cumsum([0, *(m.n_cells for m in meshes)])
        labels = np.cumsum([0, *(int(k.max()) + 1 for k in components)])
        columns: dict[str, list[NDArray]] = {}
        for i, (mesh, component) in enumerate(zip(meshes, components, strict=True)):
            simplices, owner = mesh.corners
            x = mesh.points[simplices]
            signed = simplex_volumes(mesh.points, simplices)
            weight = np.abs(signed) * corner_weights(mesh)
            volume = np.bincount(owner, weight, mesh.n_cells)
            corners = np.concatenate([np.full(len(b), len(b.kind.corners)) for b in mesh.blocks])
            one_way = mesh.edges.T
            mass = np.bincount(simplices.ravel(), np.repeat(weight, mesh.dim + 1) / (mesh.dim + 1), mesh.n_points)
            part = {
                "points": mesh.points,
                "simplices": simplices + n[i],
                "owner": owner + c[i],
                "rest": np.linalg.inv(np.swapaxes(x[:, 1:] - x[:, :1], 1, 2)),
                "weight": weight,
                "share": volume[owner] / corners[owner],
                "volume": volume,
                "component": component + labels[i],
                "node_graph": np.full(mesh.n_points, i),
                "cell_graph": np.full(mesh.n_cells, i),
                "edges": np.concatenate([one_way, one_way[::-1]], axis=1).T + n[i],
                "mass": mass,
                "size": np.full(mesh.n_points, volume.mean() ** (1 / mesh.dim)),
            }
            for key, value in part.items():
                columns.setdefault(key, []).append(value)
        tensors = {}
        for key, parts in columns.items():
            tensor = torch.from_numpy(np.ascontiguousarray(np.concatenate(parts)))
            tensors[key] = tensor.to(dtype) if tensor.is_floating_point() else tensor
        tensors["edges"] = tensors["edges"].T.contiguous()
        validities = [Validity(m) for m in meshes]
        return cls(list(meshes), list(slides), first=n.tolist(), validities=validities, **tensors)

    def __len__(self) -> int:
        return len(self.meshes)

    def __repr__(self) -> str:
        kind = f"{len(self)} meshes, {len(self.points)} nodes, {len(self.volume)} cells in {self.dim}-D"
        return f"MeshBatch({kind}, {self.points.dtype}, {self.points.device})"

    @property
    def dim(self) -> int:
        return self.points.shape[1]

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> MeshBatch:
        """The batch on another device, or in another precision."""
        moved = {}
        for key, value in vars(self).items():
            if isinstance(value, Tensor):
                value = value.to(device)
                value = value.to(dtype) if dtype is not None and value.is_floating_point() else value
            moved[key] = value
        return MeshBatch(**moved)

    # -- sums over cells, nodes and meshes ---------------------------------------------------------------------------

    def per_cell(self, values: Tensor) -> Tensor:
        """Sum of values (s,) over the corner simplices of each cell, (c,)."""
        return values.new_zeros(len(self.volume)).index_add(0, self.owner, values)

    def at_nodes(self, values: Tensor) -> Tensor:
        """Volume-weighted mean, (n, ...), of values (s, ...) over the simplices around each node."""
        trailing = (-1, *[1] * (values.ndim - 1))
        weighted = values * (self.weight / (self.dim + 1)).view(trailing)
        out = values.new_zeros(len(self.points), *values.shape[1:])
        for k in range(self.dim + 1):
            out = out.index_add(0, self.simplices[:, k], weighted)
        return out / self.mass.view(trailing)

    def scatter(self, forces: Tensor) -> Tensor:
        """Sum of forces (s, d+1, d) on the vertices of simplices, (n, d)."""
        flat = forces.reshape(-1, forces.shape[-1])
        return forces.new_zeros(len(self.points), forces.shape[-1]).index_add(0, self.simplices.reshape(-1), flat)

    def least(self, values: Tensor) -> Tensor:
        """Smallest of values (s,) in each mesh."""
        graph = self.cell_graph[self.owner]
        return values.new_full((len(self),), torch.inf).scatter_reduce(0, graph, values, "amin")

    def mean(self, values: Tensor) -> Tensor:
        """Volume-weighted mean of cell values (c,) in each mesh."""
        top = values.new_zeros(len(self)).index_add(0, self.cell_graph, values * self.volume)
        return top / values.new_zeros(len(self)).index_add(0, self.cell_graph, self.volume)

    def folded(self, points: Tensor) -> Tensor:
        """Corners (s,) of the cells at `points` (n, d) that are not valid although they may be so at their corners."""
        out = torch.zeros(len(self.owner), dtype=torch.bool, device=self.owner.device)
        if not any(v.inner for v in self.validities):
            return out
        cells, first = [], 0
        for mesh, validity, x in zip(self.meshes, self.validities, self.split(points.detach()), strict=True):
            lost = validity.lost(x.cpu().double().numpy()) if validity.inner else np.zeros(0, np.int64)
            cells.append(lost + first)
            first += mesh.n_cells
        bad = torch.zeros(len(self.volume), dtype=torch.bool, device=self.owner.device)
        bad[torch.from_numpy(np.concatenate(cells)).to(self.owner.device)] = True
        return bad[self.owner]

    # -- the boundary ------------------------------------------------------------------------------------------------

    def split(self, values: Tensor) -> list[Tensor]:
        """Nodal values (n, ...) mesh by mesh."""
        return [values[a:b] for a, b in zip(self.first[:-1], self.first[1:], strict=True)]

    def retract(self, points: Tensor, meshes: Tensor | None = None) -> Tensor:
        """Admissible positions closest to `points` (n, d); differentiable as if the way back were constant.

        `meshes`: mask (meshes,) of those whose nodes may be astray; the others' are taken to be admissible.
        """
        home = points.detach().cpu().double().numpy()
        astray = [True] * len(self) if meshes is None else meshes.tolist()
        spans = zip(self.slides, self.first[:-1], self.first[1:], astray, strict=True)
        parts = [s.retract(home[a:b]) if some else home[a:b] for s, a, b, some in spans]
        back = torch.from_numpy(np.concatenate(parts) - home).to(points)
        return points + back

    def projector(self, points: Tensor) -> Tensor:
        """Projector (n, d, d) onto the admissible directions of every node at `points`."""
        at = points.detach().cpu().double().numpy()
        parts = []
        for slide, a, b in zip(self.slides, self.first[:-1], self.first[1:], strict=True):
            slide.refresh(at[a:b])
            axes = np.eye(self.dim)
            parts.append(np.stack([slide.tangent(np.broadcast_to(e, (b - a, self.dim))) for e in axes], axis=2))
        return torch.from_numpy(np.concatenate(parts)).to(points)
