"""Differential operators on a mesh: what a node learns of its neighbours."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix
from torch import Tensor
from torch.autograd.function import once_differentiable

from meshmove.geometry import CellMesh, facets_of
from meshmove.geometry.arrays import Array
from meshmove.geometry.quality import simplex_volumes
from meshmove.movers.laplacian import corner_weights

__all__ = ["Operators", "Product", "on_device"]


class Operators:
    """Value, gradient and Laplacian at each of N nodes, of C fields at once: (N, C) to (N, (d + 2) C).

    Gradients are means over the cells around a node, the Laplacian is that of linear elements with lumped mass; both in
    units of the node's own size, the mean length of its edges, so that they are of the size of differences between
    neighbours on any mesh. Gradients are exact for linear fields, Laplacians vanish for them but on the boundary, where
    they are the flux into the domain besides.

    Attributes
    ----------
    size : (N, 1) mean length of the edges at each node
    mesh : the mesh; None where several are joined

    Examples
    --------
    >>> import skfem
    >>> from meshmove.meshes.source import Source
    >>> mesh = Source.of(skfem.MeshTri().refined(3)).cells
    >>> operators = Operators.of(mesh)
    >>> x = torch.tensor(mesh.points, dtype=torch.float32)
    >>> value, along_x, along_y, laplacian = operators(3 * x[:, :1] - x[:, 1:]).T
    >>> bool(torch.allclose(along_x, 3 * operators.size[:, 0], atol=1e-5))
    True
    """

    def __init__(self, matrix: csr_matrix, size: Tensor, mesh: CellMesh | None = None) -> None:
        self.product, self.size, self.mesh = Product(matrix), size, mesh
        self._copies: dict[torch.device, Operators] = {}  # on other devices

    @property
    def matrix(self) -> csr_matrix:
        """((d + 2) N, N), the rows of a node after each other."""
        return self.product.matrix

    @cached_property
    def sums(self) -> Product:
        """(N, (d + 2) N): the same entries, of operators that act on fields of their own, side by side at a node."""
        m, n = self.matrix, self.matrix.shape[1]
        kinds = m.shape[0] // n
        kind = np.repeat(np.tile(np.arange(kinds, dtype=np.int32), n), np.diff(m.indptr))
        matrix = csr_matrix((m.data.copy(), m.indices * kinds + kind, m.indptr[::kinds]), (n, kinds * n))
        matrix.sort_indices()  # so that what belongs to a node is read at once
        return Product(matrix, mkl=True)

    @classmethod
    def of(cls, mesh: CellMesh, points: ArrayLike | None = None) -> Operators:
        """Of a mesh, or of the same one with its nodes at `points` (n, d)."""
        x = mesh.points if points is None else np.asarray(points, float)
        n, d = x.shape
        i, j = np.asarray(mesh.edges).T
        length = np.sqrt(((x[i] - x[j]) ** 2).sum(axis=1))
        count = np.bincount(i, minlength=n) + np.bincount(j, minlength=n)
        size = (np.bincount(i, length, n) + np.bincount(j, length, n)) / np.maximum(count, 1)
        return cls(_assembled(mesh, x, size), torch.tensor(size, dtype=torch.float32)[:, None], mesh)

    @classmethod
    def join(cls, parts: Sequence[Operators]) -> Operators:
        """Of meshes side by side."""
        if len(parts) == 1:
            return parts[0]
        entries = np.cumsum([0, *(p.matrix.nnz for p in parts)])
        nodes = np.cumsum([0, *(p.matrix.shape[1] for p in parts)])
        rows = np.concatenate([[0], *(p.matrix.indptr[1:] + k for p, k in zip(parts, entries, strict=False))])
        columns = np.concatenate([p.matrix.indices + k for p, k in zip(parts, nodes, strict=False)])
        values = np.concatenate([p.matrix.data for p in parts])
        matrix = csr_matrix((values, columns, rows), (len(rows) - 1, nodes[-1]))
        return cls(matrix, torch.cat([p.size for p in parts]))

    def to(self, device: torch.device | str) -> Operators:
        """On another device. Copies are kept."""
        size = self.size.to(device)
        if size.device == self.size.device:
            return self
        if size.device not in self._copies:
            copy = self._copies[size.device] = Operators(self.matrix, size, self.mesh)
            copy.product, copy.__dict__["sums"] = self.product.to(size.device), self.sums.to(size.device)
        return self._copies[size.device]

    def __call__(self, values: Tensor) -> Tensor:
        """Values, gradients and Laplacians (N, (d + 2) C) of nodal values (N, C)."""
        return self.product(values).view(len(values), -1)

    def summed(self, values: Tensor) -> Tensor:
        """The sum (N, C) of the first C of values (N, (d + 2) C), the derivatives of the next, and the Laplacian of the
        last: a linear map of what `__call__` gives, where the map comes first."""
        return self.sums(values.reshape(self.sums.matrix.shape[1], -1))


class Product:
    """A sparse matrix that multiplies dense ones, with gradients: by torch on a GPU of Nvidia's, else by SciPy; if
    `mkl` asks for it by MKL where that is there, which is quicker for wide matrices."""

    def __init__(self, matrix: csr_matrix, mkl: bool = False) -> None:
        self.matrix = matrix
        self._there: tuple[Tensor | None, Tensor | None] = (None, None)
        self._mkl = mkl and torch.backends.mkl.is_available()

    @cached_property
    def transposed(self) -> csr_matrix:
        """For gradients of what was computed."""
        return self.matrix.T.tocsr()

    @cached_property
    def _here(self) -> Tensor:
        return on_device(torch.device("cpu"), self.matrix)

    def to(self, device: torch.device) -> Product:
        """With copies on a GPU."""
        other = Product(self.matrix)
        if device.type == "cuda":
            other._there = on_device(device, self.matrix), on_device(device, self.transposed)
        return other

    def __call__(self, values: Tensor) -> Tensor:
        """The matrix times (m, C)."""
        tracked = torch.is_grad_enabled() and values.requires_grad
        return _Applied.apply(values, self) if tracked else self.times(values)

    def times(self, x: Tensor, transposed: bool = False) -> Tensor:
        """The matrix, or its transpose, times a dense one, without a gradient; in single precision at least."""
        there = self._there[transposed]
        if there is None and self._mkl and not transposed and x.dtype != torch.float64 and x.device.type == "cpu":
            there = self._here
        if there is not None:
            with torch.autocast(x.device.type, enabled=False):  # not at half precision
                return there @ x.detach().float()
        matrix = self.transposed if transposed else self.matrix
        dense = x.detach().cpu().contiguous()
        dense = dense if dense.dtype == torch.float64 else dense.float()
        return torch.from_numpy(matrix @ dense.numpy()).to(x.device)


class _Applied(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, product: Product) -> Tensor:
        ctx.product, ctx.kind = product, values.dtype
        return product.times(values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.product.times(gradient, transposed=True).to(ctx.kind), None


@dataclass(frozen=True, eq=False)
class _Pattern:
    """What all matrices of a mesh have in common, wherever its nodes are.

    `slots` (d + 1, d + 1, s): number of the pair of nodes to which corners of each simplex contribute; `rows`,
    `columns` of pairs; `at` (d + 1, pairs): their place among the entries of the matrix, for each derivative.
    """

    simplices: NDArray[np.int64]
    weight: Array
    inside: Array
    slots: NDArray[np.int64]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    at: NDArray[np.int64]
    own: NDArray[np.int64]
    indptr: NDArray[np.int32]
    indices: NDArray[np.int32]


#: of the meshes that are still in use
_PATTERNS: WeakKeyDictionary[CellMesh, _Pattern] = WeakKeyDictionary()


def _pattern(mesh: CellMesh) -> _Pattern:
    if mesh not in _PATTERNS:
        _PATTERNS[mesh] = _pattern_of(mesh)
    return _PATTERNS[mesh]


def _pattern_of(mesh: CellMesh) -> _Pattern:
    simplices, _ = mesh.corners
    n, d = mesh.points.shape
    here = simplices.T
    keys, slots = np.unique(here[:, None] * n + here[None], return_inverse=True)
    rows, columns = np.divmod(keys, n)
    count = np.bincount(rows, minlength=n)
    first = np.concatenate([[0], np.cumsum(count)])
    # of each node: its own value, then as many entries for every derivative
    entries = np.stack([np.ones(n, np.int64), *[count] * (d + 1)], axis=1)
    indptr = np.concatenate([[0], np.cumsum(entries.ravel())])
    own = indptr[:-1].reshape(n, d + 2)[:, 0]
    offset = np.arange(len(rows)) - first[rows]
    at = own[rows] + 1 + offset + count[rows] * np.arange(d + 1)[:, None]
    indices = np.empty(indptr[-1], np.int64)
    indices[own], indices[at] = np.arange(n), columns
    facets = facets_of(mesh)
    inside = np.ones(n)
    inside[np.unique(facets.nodes[facets.exterior])] = 0
    slots = slots.reshape(d + 1, d + 1, -1)
    small = indptr.astype(np.int32), indices.astype(np.int32)
    return _Pattern(simplices, corner_weights(mesh), inside, slots, rows, columns, at, own, *small)


def _assembled(mesh: CellMesh, x: Array, size: Array) -> csr_matrix:
    """((d + 2) n, n), the rows of a node after each other."""
    p = _pattern(mesh)
    n, d = x.shape
    here = p.simplices.T  # (v, s)
    sides = x[p.simplices[:, 1:]] - x[p.simplices[:, :1]]
    flat = np.abs(np.linalg.det(sides)) <= 1e-12 * np.sqrt((sides**2).sum(axis=2)).prod(axis=1)
    sides[flat] = np.eye(d)  # flat ones have no gradients, and no weight
    inverse = np.moveaxis(np.linalg.inv(sides), (2, 1, 0), (0, 1, 2))
    grads = np.concatenate([-inverse.sum(0, keepdims=True), inverse])  # (v, d, s)
    volume = np.where(flat, 0.0, np.abs(simplex_volumes(x, p.simplices)) * p.weight)
    share = np.bincount(here.ravel(), np.tile(volume / (d + 1), d + 1), n)
    scale = (size / np.where(share > 0, share, 1.0))[here]  # of the rows of each simplex' vertices

    def summed(local: Array) -> Array:
        each = np.broadcast_to(local, p.slots.shape).ravel()
        return np.bincount(p.slots.ravel(), each, len(p.rows)).astype(float, copy=False)

    along = [summed(scale[:, None] * (grads[:, k] * volume / (d + 1))[None]) for k in range(d)]
    stiffness = np.einsum("ics,jcs->ijs", grads, grads * volume)
    laplacian = summed(-stiffness * (scale * size[here])[:, None])
    # corners of distorted quadrilaterals and the like are not linear elements: what a linear field leaves is taken off
    free = p.inside / np.where(size > 0, size, 1.0)
    off = [np.bincount(p.rows, laplacian * x[p.columns, k], n) * free for k in range(d)]
    laplacian = laplacian - sum(off[k][p.rows] * along[k] for k in range(d))
    data = np.empty(len(p.indices), np.float32)
    data[p.own], data[p.at] = 1, np.stack([*along, laplacian])
    return csr_matrix((data, p.indices, p.indptr), ((d + 2) * n, n))


def on_device(device: torch.device, matrix: csr_matrix) -> Tensor:
    parts = (torch.from_numpy(np.ascontiguousarray(a)).to(device) for a in (matrix.indptr, matrix.indices, matrix.data))
    with warnings.catch_warnings():  # that the layout is in beta
        warnings.simplefilter("ignore", UserWarning)
        return torch.sparse_csr_tensor(*parts, matrix.shape)
