"""The piece of a distributed DOLFINx mesh that a process holds, as plain arrays, and values at its vertices."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from meshmove.distributed import DistributedMesh, Ranks, together
from meshmove.distributed.layout import Layout
from meshmove.distributed.mesh import SecondOrder
from meshmove.geometry import CellBlock, CellMesh
from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.cells import kind_of
from meshmove.geometry.errors import FieldError, UnsupportedMeshError
from meshmove.options import as_numbers, called

from .cells import kind_of_cells, vtk_order, vtk_vertices
from .functions import cell_values, check_field, element_of, is_function, owns
from .tags import cell_labels, facet_nodes, tags_of
from .versions import cell_name, coordinate_degree, native, node_owners, node_table, owned_cells, reference_nodes

__all__ = ["Piece", "alike"]


def alike(ranks: Ranks, text: str) -> None:
    """Raise ValueError on all processes unless what each of them says is the same."""
    told = ranks.gather(text)
    with together(ranks):
        other = next((k for k, one in enumerate(told) if one != told[0]), None)
        if other is not None:
            raise ValueError(
                f"Expected the same on all processes (got {told[0]} on process 0, {told[other]} on process {other})"
            )


class Piece:
    """What this process has of a mesh; `vertices` (n,) are the geometry nodes that are vertices, owned ones first.

    Raises
    ------
    UnsupportedMeshError
        On all processes: a surface, or cells of another kind.
    """

    def __init__(self, mesh: Any, ranks: Ranks) -> None:
        self.mesh, self.ranks = mesh, ranks
        facets, cells = (tags is not None for tags in tags_of(mesh))
        alike(ranks, f"facet_tags: {facets}, cell_tags: {cells}")
        with together(ranks):
            self._cell, self._degree = cell_name(mesh), coordinate_degree(mesh)
            kind_of_cells(self._cell, self._degree)
            if mesh.geometry.dim != mesh.topology.dim:
                raise UnsupportedMeshError("Expected cells of the dimension of space. Surfaces are not moved")
            self.corners = self._corners()
            self.vertices = np.unique(self.corners)
            self.number = np.full(len(mesh.geometry.x), -1, np.int64)
            self.number[self.vertices] = np.arange(len(self.vertices))
            owned, ids, owners = node_owners(mesh)
            self._node_owners = ids, owners, owned
            self.n_owned = int(np.count_nonzero(self.vertices < owned))
            self.global_ids, self.owners = ids[self.vertices], owners[self.vertices]
            bent = self._bent()
        self.curved: bool = any(ranks.gather(bent))  #: whether any edge is, on any process

    def _corners(self) -> Ids:
        """Geometry nodes (cells, v) of the vertices of all cells at hand, ghosts last."""
        count = len(reference_nodes(self._cell, 1))
        table = node_table(self.mesh)
        return table[:, :count] if len(table) else np.zeros((0, count), np.int64)

    @property
    def points(self) -> Array:
        """Positions (n_nodes, dim) of all geometry nodes."""
        return np.asarray(self.mesh.geometry.x, float)[:, : self.mesh.geometry.dim]

    @cached_property
    def lift(self) -> csr_matrix:
        """From displacements of vertices to those of nodes (n_nodes, n): means over the edge, face or cell."""
        order, table = vtk_order(self._cell, self._degree), node_table(self.mesh)
        local = reference_nodes(self._cell, self._degree)
        corner = reference_nodes(self._cell, 1)
        weight = _linear(corner, local)
        rows, first = np.unique(table, return_index=True)
        cell, slot = np.divmod(first, max(len(order), 1))
        values, columns = weight[slot], self.number[self.corners[cell]]
        index = np.repeat(rows, len(corner))
        out = csr_matrix((values.ravel(), (index, columns.ravel())), shape=(len(self.number), len(self.vertices)))
        out.eliminate_zeros()
        return out

    def lifted(self, displacement: Array) -> Array:
        """Displacements (n_nodes, dim) of geometry nodes by those of vertices (n, dim), to the last bit those of their
        owners."""
        out: Array = self.lift @ displacement
        return out if self._degree == 1 else Layout(self.ranks, *self._node_owners).update(out)

    def _bent(self) -> bool:
        """Whether an edge here is curved."""
        if self._degree == 1 or not len(self.corners):
            return False
        off = np.abs(self.lift @ self.points[self.vertices] - self.points).max(initial=0)
        return bool(off > 1e-9 * np.ptp(self.points, axis=0).max(initial=0))

    def _second(self, own: Ids) -> SecondOrder:
        """With the vertices (m, v) of the cells of this process."""
        kind = kind_of(kind_of_cells(self._cell, 1))
        nodes = node_table(self.mesh)[: len(own), vtk_order(self._cell, 2)]
        block = CellBlock(kind, own, kind_of_cells(self._cell, 2), nodes)
        cells = CellMesh(self.points[self.vertices], (block,), lift=self.lift, nodes=self.points)
        ids, owners, n_owned = self._node_owners
        return SecondOrder(cells, ids, owners, n_owned)

    def distributed(self) -> DistributedMesh:
        """As the parallel mover takes it."""
        kind = kind_of_cells(self._cell, 1)
        own = self.number[self.corners[: owned_cells(self.mesh), vtk_vertices(kind)]]
        return DistributedMesh(
            self.points[self.vertices],
            own,
            kind,
            self.n_owned,
            self.global_ids,
            self.owners,
            facets=self._facets(),
            regions=self._regions(),
            second=self._second(own) if self.curved else None,
        )

    def _values(self, tags: Any) -> NDArray:
        """All values of tags, on all processes."""
        return np.unique(np.concatenate(self.ranks.gather(np.unique(tags.values))))

    def _facets(self) -> dict[str, Ids]:
        tags = tags_of(self.mesh)[0]
        if tags is None:
            return {}
        indices, values = np.asarray(tags.indices), np.asarray(tags.values)
        nodes = self.number[facet_nodes(self.mesh, indices)]
        return {str(value): nodes[values == value] for value in self._values(tags)}

    def _regions(self) -> NDArray | None:
        tags = tags_of(self.mesh)[1]
        if tags is None:
            return None
        return cell_labels(self.mesh, owned_cells(self.mesh), self._values(tags))["cell_tags"]

    @cached_property
    def layout(self) -> Layout:
        """What exchanges values at vertices."""
        return Layout(self.ranks, self.global_ids, self.owners, self.n_owned)

    def values(self, field: Any) -> Array | None:
        """Values (n, k) of a field at the vertices, ghosts as their owners have them; real and imaginary parts.

        Raises
        ------
        FieldError
            On all processes, where one of them has reason to.
        """
        if field is None:
            return None
        if owns(field):
            return self._of_function(field)
        with together(self.ranks):
            values = self._of_points(field)
            bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
            if len(bad):
                raise FieldError(f"Expected finite values (NaN or infinity at {len(bad)} vertices)")
        alike(self.ranks, f"a field of {values.shape[1]} components")
        return self.layout.update(values)

    def _of_points(self, field: Any) -> Array:
        if callable(field):
            x = np.ascontiguousarray(self.points[self.vertices].T)
            values = called(field, x, "the field function f(x)")
            values = values.T if values.ndim == 2 and values.shape[1] == x.shape[1] else values
        else:
            values = as_numbers(field, "the field")
            if len(values) != len(self.number):
                raise FieldError(f"Expected {len(self.number)} values, one a geometry node here (got {values.shape})")
            values = values[self.vertices]
        if len(values) != len(self.vertices):
            raise FieldError(f"Expected a value a point, {len(self.vertices)} (got shape {values.shape})")
        return _real(values.reshape(len(values), -1))

    def _of_function(self, field: Any) -> Array:
        """The mean over all cells that meet at a vertex, each counted by the process that owns it."""
        with together(self.ranks):
            check_field(self.mesh, field)
        own, n = owned_cells(self.mesh), len(self.vertices)
        values = cell_values(self.mesh, field, reference_nodes(self._cell, 1).T)[:, :own]
        nodes = self.number[self.corners[:own]].ravel()
        parts = _real(values.reshape(len(values), -1).T)
        each = [np.bincount(nodes, v, minlength=n) for v in (*parts.T, np.ones(len(nodes)))]
        sums: Array = np.stack(each, axis=1).astype(float)
        sums = self.layout.update(self.layout.accumulate(sums))
        with together(self.ranks):
            mean = sums[:, :-1] / np.maximum(sums[:, -1:], 1)
            bad = np.flatnonzero(~np.isfinite(mean).all(axis=1))
            if len(bad):
                raise FieldError(f"Expected finite values (NaN or infinity at {len(bad)} vertices)")
        return mean

    def middles(self, field: Any) -> Array | None:
        """Values (m, e, k) of a function of quadratic elements at the middles of the edges of this process's cells.

        None of other fields, and on other cells than triangles and tetrahedra.
        """
        kind = kind_of(kind_of_cells(self._cell, 1))
        if not is_function(field) or element_of(field)[1] != 2 or not kind.is_simplex:
            return None
        corner, own = reference_nodes(self._cell, 1)[vtk_vertices(kind.name)], owned_cells(self.mesh)
        values = _real(np.moveaxis(cell_values(self.mesh, field, corner[kind.edges].mean(axis=1).T)[:, :own], 0, -1))
        return values.reshape(own, len(kind.edges), values.shape[-1])

    def held(self, fixed: Any) -> NDArray[np.bool_]:
        """Mask (n,) of vertices that must not move, from numbers or a mask of the geometry nodes of this process."""
        n, ids = len(self.number), np.atleast_1d(np.asarray(fixed))
        mask = np.zeros(n, bool)
        if ids.dtype == bool:
            right = ids.shape == (n,)
        else:
            right = not ids.size or (ids.dtype.kind in "iu" and -1 < ids.min() and ids.max() < n)
        if not right:
            raise ValueError(
                f"Expected numbers of geometry nodes here, 0 to {n - 1}, or a mask of {n} (got {fixed!r:.60})"
            )
        if ids.size:
            mask[ids] = True
        return mask[self.vertices]

    def of_mesh(self, field: Any) -> bool:
        """Whether a function is on this mesh."""
        return is_function(field) and native(field.function_space.mesh) is native(self.mesh)


def _real(values: NDArray) -> Array:
    if np.iscomplexobj(values):
        return np.concatenate([values.real, values.imag], axis=-1)
    return np.array(values, float)


def _linear(corners: Array, points: Array) -> Array:
    """Shape functions (k, v) of the linear cell at reference points (k, dim)."""
    if len(corners) == corners.shape[1] + 1:
        return np.column_stack([1 - points.sum(axis=1), points])
    return np.prod(np.where(corners[None] > 0.5, points[:, None], 1 - points[:, None]), axis=2)
