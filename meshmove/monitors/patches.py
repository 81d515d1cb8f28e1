"""Least-squares quadratics on the patches around the vertices of a mesh, as weights of the vertices' values.

The fit is affine invariant. Each patch is mapped to unit second moments before it is factorised (QR by modified
Gram-Schmidt, vectorised over patches), which keeps cells stretched 1:10,000 as well conditioned as round ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array

__all__ = ["operators"]


#: a direction counts as determined when the patch's second moments show this much of it
_INDEPENDENT = 1e-2
#: the largest weights, in units of the second moments, of a patch that determines a quadratic at all, and of one that
#: is used without looking further (a regular patch has 1 to 2). Norms and moments, so that no frame is preferred
_UNSOUND, _AMPLIFIED = 200.0, 6.0
#: its largest ratio of length to width: slivers along a curved hull mistake third derivatives along for second across
_STRETCHED = 10.0
#: rings that a patch may grow to; what still lacks a direction then (a mesh one cell thick) has none to give
_RINGS = 3
#: entries of the padded Vandermonde array that are worked on at a time, so that it stays in the cache
_CHUNK = 200_000

_Piece = tuple[int, NDArray, NDArray, NDArray, Array]


def _adjacency(mesh: CellMesh) -> csr_matrix:
    """Pattern (n, n) of vertices that share a cell, the vertex itself included."""
    incidence = vstack([
        csr_matrix(
            (np.ones(b.nodes.size, np.float32), b.nodes.ravel(), np.arange(0, b.nodes.size + 1, b.nodes.shape[1])),
            shape=(len(b), mesh.n_points),
        )
        for b in mesh.blocks
    ], format="csr")  # fmt: skip
    return _pattern(incidence.T.tocsr(), incidence)


def _pattern(a: csr_matrix, b: csr_matrix) -> csr_matrix:
    product = (a @ b).tocsr()
    product.data[:] = 1  # counts of walks would overflow in later products
    return product


def operators(mesh: CellMesh, pairs: list[tuple[int, int]]) -> tuple[NDArray, NDArray, Array]:
    """CSR pattern (indptr, indices) and the weights (dim + dim(dim+1)/2, nnz) of first and second derivatives."""
    terms = 1 + mesh.dim + len(pairs)
    adjacency = _adjacency(mesh)
    rows, patches = np.arange(mesh.n_points), adjacency
    best, ring_of = np.full(mesh.n_points, np.inf), np.zeros(mesh.n_points, np.int8)
    pieces: list[_Piece] = []
    for ring in range(1, _RINGS + 1):
        sizes = np.diff(patches.indptr)
        order = np.argsort(sizes, kind="stable")  # patches next to each other then need little padding
        order = order[sizes[order] > 0]
        start = 0 if ring == _RINGS else np.searchsorted(sizes[order], terms)
        poor = [order[:start]]
        while start < len(order):
            chunk = order[start : start + max(1, _CHUNK // (terms * sizes[order[start]]))]
            chunk = chunk[sizes[chunk] <= 2 * sizes[chunk[0]]]
            start += len(chunk)
            inside = np.arange(sizes[chunk[-1]])[:, None] < sizes[chunk]
            nodes = patches.indices[np.where(inside, patches.indptr[chunk] + np.arange(len(inside))[:, None], 0)]
            here = rows[chunk]
            offsets = (mesh.points[nodes] - mesh.points[here]).transpose(2, 0, 1) * inside
            weights, bound, fine = _fit(offsets, inside, pairs)
            better = (bound < best[here]) | np.isinf(best[here])
            best[here[better]], ring_of[here[better]] = bound[better], ring
            inside &= better
            # a column is a vertex: transposed, the entries come out row by row
            values = weights.transpose(0, 2, 1)[:, inside.T]
            pieces.append((ring, here[better], sizes[chunk[better]], nodes.T[inside.T], values))
            poor.append(chunk[~fine])
        left = np.sort(np.concatenate(poor))
        if not len(left):
            break
        rows, patches = rows[left], _pattern(patches[left], adjacency)
    return _assembled(mesh.n_points, pieces, ring_of, terms - 1)


def _assembled(n: int, pieces: list[_Piece], ring_of: NDArray, n_weights: int) -> tuple[NDArray, NDArray, Array]:
    """One CSR pattern with the weights of every vertex's best patch."""
    indptr = np.zeros(n + 1, np.int64)
    for ring, rows, sizes, _, _ in pieces:
        chosen = ring_of[rows] == ring
        indptr[rows[chosen] + 1] = sizes[chosen]
    np.cumsum(indptr, out=indptr)
    ids = np.int32 if indptr[-1] < np.iinfo(np.int32).max else np.int64
    indices, weights = np.empty(indptr[-1], ids), np.empty((n_weights, indptr[-1]))
    for ring, rows, sizes, nodes, values in pieces:
        chosen = np.repeat(ring_of[rows] == ring, sizes)
        first = np.cumsum(sizes) - sizes
        places = (np.repeat(indptr[rows] - first, sizes) + np.arange(len(nodes)))[chosen]
        indices[places] = nodes[chosen]
        weights[:, places] = values[:, chosen]
    return indptr.astype(ids), indices, weights


def _fit(d: Array, inside: NDArray, pairs: list[tuple[int, int]]) -> tuple[Array, Array, NDArray]:
    """Least-squares quadratics on b patches of up to k vertices.

    `d` (dim, k, b): offsets from the vertex, zero where the padded patch has no vertex (`inside` is False).
    Returns the derivative weights (dim + dim(dim+1)/2, k, b); a bound (b,) of the Hessian's error for a field whose
    third derivatives are 1, infinite where no quadratic is determined and the weights fit what is; and whether the
    patch needs no comparison with a larger one (b,).
    """
    dim = len(d)
    mapped, inverse, stretch = _unit_moments(d, inside)
    columns = np.stack([inside.astype(float), *mapped, *(mapped[a] * mapped[b] for a, b in pairs)])
    linear, quadratic = columns[: 1 + dim], columns[1 + dim :]
    size = np.sqrt((columns**2).sum(1))
    r = np.zeros((len(columns), len(columns), d.shape[2]))
    scale = np.zeros_like(size)
    for j, column in enumerate(columns):
        if j == len(linear):
            remainders = quadratic.copy()
        norm = np.sqrt((column**2).sum(0))
        keep = norm > 1e-6 * size[j]
        scale[j] = np.where(keep, 1 / np.where(keep, norm, 1), 0)
        column *= scale[j]
        r[j, j + 1 :] = (columns[j + 1 :] * column).sum(1)
        columns[j + 1 :] -= r[j, j + 1 :, None] * column
    for j in range(len(columns) - 1, dim, -1):
        columns[j] -= (r[j, j + 1 :, None] * columns[j + 1 :]).sum(0)
        columns[j] *= scale[j]
    factor = np.array([4 if a == b else 2 for a, b in pairs])
    amplification = np.sqrt(factor @ (quadratic**2).sum(1))
    sound = (scale > 0).all(0) & (amplification < _UNSOUND)
    if (weak := ~sound).any():
        quadratic[:, :, weak] = _least_norm(remainders[:, :, weak], size[1, weak], inverse[:, :, weak], pairs)
    for j in range(dim, 0, -1):
        columns[j] -= (r[j, j + 1 :, None] * columns[j + 1 :]).sum(0)
        columns[j] *= scale[j]

    h = np.empty((dim, dim, *inside.shape))
    for (a, b), column in zip(pairs, quadratic, strict=True):
        h[a, b] = h[b, a] = column * (2 if a == b else 1)
    h = np.einsum("bai,beki,eci->acki", inverse, h, inverse, optimize=True)
    gradient = np.einsum("bai,bki->aki", inverse, linear[1:])
    bound = (np.sqrt((h**2).sum((0, 1))) * (d**2).sum(0) ** 1.5).sum(0)
    fine = sound & (amplification < _AMPLIFIED) & (stretch < _STRETCHED)
    return np.concatenate([gradient, [h[a, b] for a, b in pairs]]), np.where(sound, bound, np.inf), fine


def _least_norm(columns: Array, size: Array, inverse: Array, pairs: list[tuple[int, int]]) -> Array:
    """Weights (q, k, b) of the quadratic whose Hessian has the least Frobenius norm, where columns are dependent.

    `columns` (q, k, b): what the linear terms leave of the quadratic ones; `size` (b,): the norm of a linear term.
    The fit leaves a null space in the mapped patch, where it is well conditioned; the norm is the physical one,
    or the curvature along a strip one cell thick would leak into the direction across it.
    """
    basis = np.zeros((len(pairs), len(inverse), len(inverse)))
    for q, (a, b) in enumerate(pairs):
        basis[q, a, b] = basis[q, b, a] = 1 if a == b else np.sqrt(0.5)
    factor = np.array([1 if a == b else np.sqrt(2) for a, b in pairs])
    matrix = columns.transpose(2, 1, 0) * factor
    squares, vectors = np.linalg.eigh(matrix.transpose(0, 2, 1) @ matrix)
    keep = squares > (_INDEPENDENT * size[:, None]) ** 2  # on one simplex all are rounding errors
    inverted = np.where(keep, 1 / np.where(keep, squares, 1), 0)
    fit = (vectors * inverted[:, None]) @ vectors.transpose(0, 2, 1) @ matrix.transpose(0, 2, 1)
    null = np.eye(len(pairs)) - fit @ matrix
    physical = np.einsum("pac,sai,qst,tci->ipq", basis, inverse, basis, inverse, optimize=True)
    fit -= null @ (np.linalg.pinv(physical @ null, rcond=1e-6) @ (physical @ fit))
    return fit.transpose(1, 2, 0) * factor[:, None, None]


def _unit_moments(d: Array, inside: NDArray) -> tuple[Array, Array, Array]:
    """Offsets mapped to a patch whose second moments are the identity, the maps (dim, dim, b), their stretch (b,)."""
    dim, _, b = d.shape
    count = inside.sum(0)
    length = np.sqrt((d**2).sum((0, 1)) / count)
    length[length == 0] = 1
    moments = np.einsum("aki,cki->aci", d, d) / (count * length**2)
    # the inverse of the Cholesky factor, row by row; a floor under the pivots stands in for flat patches
    inverse = np.zeros((dim, dim, b))
    for a in range(dim):
        row = np.zeros((dim, b))
        row[a] = 1
        for c in range(a):
            row -= np.einsum("ei,ei->i", inverse[c], moments[:, a]) * inverse[c]
        pivot = np.einsum("ei,efi,fi->i", row, moments, row)
        inverse[a] = row / np.sqrt(np.maximum(pivot, 1e-20))
    stretch = np.sqrt((inverse**2).sum((0, 1)))  # of moments with trace 1: about 1 / the least width
    inverse /= length
    return np.einsum("aci,cki->aki", inverse, d), inverse, stretch
