"""Differential operators on a mesh: what a node learns of its neighbours."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix, diags, identity, vstack
from torch import Tensor
from torch.autograd.function import once_differentiable

from meshmove.geometry import CellMesh, facets_of
from meshmove.geometry.quality import simplex_volumes
from meshmove.movers.laplacian import assemble, corner_weights, simplex_gradients

__all__ = ["Operators"]

Array = NDArray[np.float64]


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
    >>> from meshmove.inputs import Source
    >>> mesh = Source.of(skfem.MeshTri().refined(3)).cells
    >>> operators = Operators.of(mesh)
    >>> x = torch.tensor(mesh.points, dtype=torch.float32)
    >>> value, along_x, along_y, laplacian = operators(3 * x[:, :1] - x[:, 1:]).T
    >>> bool(torch.allclose(along_x, 3 * operators.size[:, 0], atol=1e-5))
    True
    """

    def __init__(self, matrix: csr_matrix, size: Tensor, mesh: CellMesh | None = None) -> None:
        self.matrix, self.size, self.mesh = matrix, size, mesh
        self.transposed = matrix.T.tocsr()
        self._there: tuple[Tensor, Tensor] | None = None
        self._copies = {size.device: self}

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
        """On another device: torch's products on a GPU of Nvidia's, else SciPy's. Copies are kept."""
        size = self.size.to(device)
        if size.device not in self._copies:
            copy = self._copies[size.device] = Operators.__new__(Operators)
            copy.__dict__ |= vars(self) | {"size": size, "_there": None}
            if size.device.type == "cuda":
                copy._there = _on(size.device, self.matrix), _on(size.device, self.transposed)
        return self._copies[size.device]

    def __call__(self, values: Tensor) -> Tensor:
        """Values, gradients and Laplacians (N, (d + 2) C) of nodal values (N, C)."""
        return _Applied.apply(values, self)

    def product(self, x: Tensor, transposed: bool = False) -> Tensor:
        """The sparse matrix, or its transpose, times a dense one; in single precision at least."""
        if self._there is not None:
            with torch.autocast(x.device.type, enabled=False):  # not at half precision
                return self._there[transposed] @ x.detach().float()
        matrix = self.transposed if transposed else self.matrix
        dense = x.detach().cpu().contiguous()
        dense = dense if dense.dtype == torch.float64 else dense.float()
        return torch.from_numpy(matrix @ dense.numpy()).to(x.device)


class _Applied(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, operators: Operators) -> Tensor:
        ctx.operators, ctx.kind = operators, values.dtype
        return operators.product(values).view(len(values), -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        rows = ctx.operators.matrix.shape[0]
        return ctx.operators.product(gradient.reshape(rows, -1), transposed=True).to(ctx.kind), None


def _assembled(mesh: CellMesh, x: Array, size: Array) -> csr_matrix:
    """((d + 2) n, n), the rows of a node after each other."""
    simplices, _ = mesh.corners
    n, d = x.shape
    sides = x[simplices[:, 1:]] - x[simplices[:, :1]]
    flat = np.abs(np.linalg.det(sides)) <= 1e-12 * np.sqrt((sides**2).sum(axis=2)).prod(axis=1)
    simplices = simplices[~flat]  # flat ones have no gradients
    grads = simplex_gradients(x, simplices)  # (v, d, s)
    volume = np.abs(simplex_volumes(x, simplices)) * corner_weights(mesh)[~flat]
    here = simplices.T  # (v, s)
    share = np.bincount(here.ravel(), np.tile(volume / (d + 1), d + 1), n)
    scale = (size / np.where(share > 0, share, 1.0))[here]  # of the rows of each simplex' vertices
    along = [assemble(here, scale[:, None] * (grads[:, k] * volume / (d + 1))[None], n) for k in range(d)]
    stiffness = np.einsum("ics,jcs->ijs", grads, grads * volume)
    laplacian = assemble(here, -stiffness * (scale * size[here])[:, None], n)
    # corners of distorted quadrilaterals and the like are not linear elements: what a linear field leaves is taken off
    facets = facets_of(mesh)
    inside = np.ones(n)
    inside[np.unique(facets.nodes[facets.exterior])] = 0
    inside /= np.where(size > 0, size, 1.0)
    laplacian = laplacian - sum(diags(inside * (laplacian @ x[:, k])) @ along[k] for k in range(d))
    rows = vstack([identity(n, format="csr"), *along, laplacian], format="csr")
    order = np.arange((d + 2) * n).reshape(d + 2, n).T.ravel()
    return rows[order].astype(np.float32)


def _on(device: torch.device, matrix: csr_matrix) -> Tensor:
    parts = (torch.from_numpy(np.asarray(a)).to(device) for a in (matrix.indptr, matrix.indices, matrix.data))
    with warnings.catch_warnings():  # that the layout is in beta
        warnings.simplefilter("ignore", UserWarning)
        return torch.sparse_csr_tensor(*parts, matrix.shape)
