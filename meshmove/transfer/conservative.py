"""Transfer that keeps integrals: Galerkin projection from a mesh onto the moved one, with bounds if wanted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.cells import CellKind
from meshmove.geometry.errors import FieldError, InvalidMeshError
from meshmove.geometry.given import as_numbers
from meshmove.geometry.location import Location, PointLocator, locator_of
from meshmove.geometry.mesh import CellMesh, meshes_of

from .bounds import bounded

__all__ = ["conservative", "first_cells", "mass_matrix"]

_CHUNK = 1 << 16  # cells handled together


def conservative(
    mesh: CellMesh,
    moved: CellMesh,
    values: ArrayLike,
    bounds: bool | tuple[float, float] | None = None,
    locator: PointLocator | None = None,
) -> NDArray:
    r"""Nodal values on the moved mesh with the integrals of the old field, to rounding.

    The L2 projection of the old field u onto the moved mesh (Farrell and Maddison 2011), written as a correction
    of its interpolant w = Iu there:

        (v, phi_j) = (w, phi_j) + (u - w, phi_j)   for every shape function phi_j of the moved mesh.

    The last integral sums over quadrature points of both meshes, half a weight each, so that neither mesh's small
    cells are missed; as it is of second order and vanishes for linear u, so do its quadrature errors. What they leave
    of the difference of the integrals is spread where u and w differ. Every connected component keeps its
    own integral.

    Parameters
    ----------
    mesh, moved
        The same cells at the old and at the new positions; both fill the same domain.
    values
        Values at the vertices, (n,) or (n, k). Complex ones are carried by parts.
    bounds
        True keeps every value within those of the old field around it (within its global range wherever the integral
        cannot be kept otherwise). A pair keeps all within these numbers. None, False: the projection may overshoot
        at steep fronts.
    locator
        A `PointLocator` of `mesh`, to use it again.

    Returns
    -------
    Values like `values`, at the vertices of `moved`.

    Raises
    ------
    FieldError
        Values of another shape or not finite, or bounds that the mean lies outside of.
    InvalidMeshError
        Meshes that do not have the same cells.

    Examples
    --------
    >>> old = CellMesh.single([[0, 0], [1, 0], [0, 1], [.4, .3]], [[0, 1, 3], [1, 2, 3], [2, 0, 3]], "triangle")
    >>> new = old.moved(np.array([[0, 0], [1, 0], [0, 1], [.2, .5]]))
    >>> np.round(conservative(old, new, 1 + old.points @ [1, 2]), 12)
    array([1. , 2. , 3. , 2.2])
    """
    check_same(mesh, moved)
    v = as_numbers(values, "the values")
    if np.iscomplexobj(v):
        if bounds is not None and bounds is not False:
            raise FieldError("Expected real values for a transfer with bounds (got complex); carry the parts apart")
        return conservative(mesh, moved, v.real, locator=locator) + 1j * conservative(
            mesh, moved, v.imag, locator=locator
        )
    old = locator_of(mesh, locator)
    guess = first_cells(mesh)
    # also the check of the values
    start = old.interpolate(v, moved.points.T, guess).astype(float)
    shape = v.shape
    u, w = v.reshape(len(v), -1).astype(float), start.reshape(len(v), -1)

    sums = _Sums(mesh, moved, u, w, old)
    mass, lumped = mass_matrix(moved)
    old_lumped = mass_matrix(mesh)[1]
    used = lumped > 0
    result = np.where(used[:, None], w + _solve(mass, lumped, sums.residual), w)

    count, component = connected_components(mass, directed=False)
    total = _per_component(old_lumped[:, None] * u, component, count)
    # spread the rest where the fields differ; alike where they hardly do
    spread = sums.difference / np.where(used, lumped, 1)[:, None]
    weight = _per_component(lumped[:, None] * spread, component, count)
    volume = np.maximum(np.bincount(component, lumped, count), np.finfo(float).tiny)[:, None]
    for _ in range(2):
        rest = total - _per_component(lumped[:, None] * result, component, count)
        local = weight > 2 * np.abs(rest)
        amount = np.where(local, rest / np.where(local, weight, 1), 0)[component] * spread
        amount += np.where(local, 0, rest / volume)[component]
        result += np.where(used[:, None], amount, 0)
    if bounds is not None and bounds is not False:
        result = bounded(result, bounds, u, sums.low, sums.high, lumped, component, total)
    return result.reshape(shape)


def check_same(mesh: CellMesh, moved: CellMesh) -> None:
    meshes_of([mesh, moved])
    if not mesh.same_cells(moved):
        raise InvalidMeshError(f"Expected meshes with the same cells (got {mesh} and {moved}); use interpolate()")


def first_cells(mesh: CellMesh) -> Ids:
    """A cell at each vertex (n,): the start of the search for its new place."""
    out, first = np.zeros(mesh.n_points, np.int64), 0
    for block in mesh.blocks:
        out[block.nodes] = np.arange(first, first + len(block))[:, None]
        first += len(block)
    return out


def _points(mesh: CellMesh, degree: int) -> Iterator[tuple[CellKind, Ids, Ids, Array, Array, Array]]:
    """Quadrature: kind, cell ids (m,), nodes (m, v), shape values (v, q), weights (m, q), places (m, q, dim)."""
    first = 0
    for block in mesh.blocks:
        kind = block.kind
        xi, weight = kind.quadrature(degree)
        shape, slope = kind.shape(xi)
        for begin in range(0, len(block), _CHUNK):
            nodes = block.nodes[begin : begin + _CHUNK]
            x = mesh.points[nodes]
            volume = np.abs(np.linalg.det(np.einsum("mvd,vcq->mqdc", x, slope)))
            cells = np.arange(first + begin, first + begin + len(nodes))
            yield kind, cells, nodes, shape, volume * weight, np.einsum("vq,mvd->mqd", shape, x)
        first += len(block)


def mass_matrix(mesh: CellMesh) -> tuple[csr_matrix, Array]:
    """Consistent mass matrix, and the integrals of the shape functions (its row sums)."""
    n = mesh.n_points
    total, lumped = csr_matrix((n, n)), np.zeros(n)
    for kind, _, nodes, shape, weight, _ in _points(mesh, 2 if _is_simplicial(mesh) else 5):
        v = kind.vertices
        local = np.einsum("mq,iq,jq->mij", weight, shape, shape, optimize=True)
        rows, columns = np.repeat(nodes, v, axis=1).ravel(), np.tile(nodes, v).ravel()
        total = total + csr_matrix((local.ravel(), (rows, columns)), shape=(n, n))
        lumped += np.bincount(nodes.ravel(), (weight @ shape.T).ravel(), n)
    return total, lumped


def _is_simplicial(mesh: CellMesh) -> bool:
    """Whether all cells are triangles or tetrahedra."""
    return all(b.kind.is_simplex for b in mesh.blocks)


class _Sums:
    """Quadrature over both meshes of u - w (old field less new interpolant) against the new shape functions.

    `residual`, `difference` (n, k): the sums of (u - w) phi_j and |u - w| phi_j. `low`, `high` (n, k): range of the
    old values seen around each new vertex.
    """

    def __init__(self, mesh: CellMesh, moved: CellMesh, u: Array, w: Array, old: PointLocator) -> None:
        n, k = u.shape
        self.residual, self.difference = np.zeros((n, k)), np.zeros((n, k))
        low, high = np.full((mesh.n_cells, k), np.inf), np.full((mesh.n_cells, k), -np.inf)
        old_low, old_high = _cell_ranges(mesh, u)
        new = PointLocator(moved)
        degree = 5
        for _, cells, nodes, shape, weight, x in _points(mesh, degree):
            found = _find(new, x)
            gap = np.einsum("vq,mvk->mqk", shape, u[nodes]).reshape(-1, k) - found.interpolate(w)
            self._add(weight.ravel(), gap, found.nodes, found.weights)
            np.minimum.at(low, found.cells, np.repeat(old_low[cells], x.shape[1], axis=0))
            np.maximum.at(high, found.cells, np.repeat(old_high[cells], x.shape[1], axis=0))
        for _, cells, nodes, shape, weight, x in _points(moved, degree):
            q = x.shape[1]
            found = _find(old, x)
            gap = found.interpolate(u) - np.einsum("vq,mvk->mqk", shape, w[nodes]).reshape(-1, k)
            self._add(weight.ravel(), gap, np.repeat(nodes, q, axis=0), np.tile(shape.T, (len(nodes), 1)))
            low[cells] = np.minimum(low[cells], old_low[found.cells].reshape(-1, q, k).min(1))
            high[cells] = np.maximum(high[cells], old_high[found.cells].reshape(-1, q, k).max(1))
        self.low, self.high = np.full((n, k), np.inf), np.full((n, k), -np.inf)
        first = 0
        for block in moved.blocks:
            rows = slice(first, first + len(block))
            for column in block.nodes.T:
                np.minimum.at(self.low, column, low[rows])
                np.maximum.at(self.high, column, high[rows])
            first += len(block)

    def _add(self, weight: Array, gap: Array, nodes: Ids, shape: Array) -> None:
        """Half the weights (p,) times the gap (p, k), to the nodes (p, v) by their shape functions."""
        n = len(self.residual)
        share = 0.5 * weight[:, None] * shape
        for column in range(gap.shape[1]):
            part = share * gap[:, column, None]
            self.residual[:, column] += np.bincount(nodes.ravel(), part.ravel(), n)
            self.difference[:, column] += np.bincount(nodes.ravel(), np.abs(part).ravel(), n)


def _find(locator: PointLocator, x: Array) -> Location:
    """Locate the points (m, q, dim) of m cells: first one of each cell, then all, from where that one is."""
    near = locator.find(x[:, 0].T).cells
    return locator.find(x.reshape(-1, x.shape[2]).T, np.repeat(near, x.shape[1]))


def _cell_ranges(mesh: CellMesh, u: Array) -> tuple[Array, Array]:
    return (
        np.concatenate([u[b.nodes].min(1) for b in mesh.blocks]),
        np.concatenate([u[b.nodes].max(1) for b in mesh.blocks]),
    )


def _per_component(x: Array, component: Ids, count: int) -> Array:
    """Sums of the rows (n, k) of each component: (count, k)."""
    return np.stack([np.bincount(component, column, count) for column in x.T], axis=1)


def _solve(matrix: csr_matrix, lumped: Array, right: Array) -> Array:
    """Conjugate gradients with Jacobi scaling for all columns; some 20 steps, as mass matrices are (Wathen 1987)."""
    diagonal = matrix.diagonal()
    inverse = np.where(diagonal > 0, 1 / np.where(diagonal > 0, diagonal, 1), 0)[:, None]
    x, r = np.zeros_like(right), right.copy()
    z = inverse * r
    p, rho = z.copy(), (r * z).sum(0)
    goal = rho * 1e-30
    for _ in range(200):
        if (rho <= goal).all():
            break
        ap = matrix @ p
        curvature = (p * ap).sum(0)
        alpha = np.where(curvature > 0, rho / np.where(curvature > 0, curvature, 1), 0)
        x += alpha * p
        r -= alpha * ap
        z = inverse * r
        rho, before = (r * z).sum(0), rho
        p = z + np.where(before > 0, rho / np.where(before > 0, before, 1), 0) * p
    return x
