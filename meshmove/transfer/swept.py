r"""Transfer through the facets that nodes sweep: what a node gains its neighbours lose.

Nodes go from the old mesh to the new one in a straight line, with the velocity w, while the field stands still. On
shape functions that ride on them,

.. math:: \frac{d}{dt} (u, \phi_i) = (\nabla \cdot (w u), \phi_i),

which the trapezoidal rule takes to second order, with the mass matrices of both meshes and the mean C of the matrix
(div(w phi_j), phi_i) on the way (`meshmove.plugins.skfem.ale.conservative` is the same for a field that moves, too):

.. math:: (M_1 - \tfrac12 C) u_1 = (M_0 + \tfrac12 C) u_0.

The rows of C sum to the change of (1, phi_i), the geometric conservation law: constants stay. Its columns sum to what
nodes sweep of the outside: where the domain keeps its shape, integrals stay. What overshoots is cut off and given to
neighbours (`repaired`).

Where nodes ride on what moves in the field this is the best transfer before a step of Crank-Nicolson on the mesh at
rest: the errors in time of both cancel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import splu

from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.cells.quadrature import gauss
from meshmove.geometry.given import as_numbers
from meshmove.geometry.location import PointLocator, locator_of
from meshmove.geometry.mesh import CellMesh

from .conservative import check_same, conservative, first_cells
from .repair import repaired

__all__ = ["Sweep", "swept"]

#: cells that nodes may cross on their way: beyond it the trapezoidal rule loses what is thin
COURANT = 4.0


def swept(
    mesh: CellMesh,
    moved: CellMesh,
    values: ArrayLike,
    bounds: bool = True,
    locator: PointLocator | None = None,
    far: bool = False,
) -> NDArray:
    """Nodal values on the moved mesh, with what nodes sweep on their straight way there.

    Local, of second order, and conservative to rounding where the domain keeps its shape; a constant stays one on any.
    For meshes whose nodes moved by a few cells at most.

    Parameters
    ----------
    mesh, moved
        The same cells at the old and at the new positions.
    values
        Values at the vertices, (n,) or (n, k). Complex ones are carried by parts.
    bounds
        Whether every value is kept within those of the old field around it.
    locator
        A `PointLocator` of `mesh`, to use it again.
    far
        Project (`conservative`) instead, as is done anyway where nodes cross more than four cells; the bounds are the
        same.

    Returns
    -------
    Values like `values`, at the vertices of `moved`.

    Raises
    ------
    FieldError
        Values of another shape or not finite.
    InvalidMeshError
        Meshes that do not have the same cells.

    Examples
    --------
    >>> old = CellMesh.single([[0, 0], [1, 0], [0, 1], [.4, .3]], [[0, 1, 3], [1, 2, 3], [2, 0, 3]], "triangle")
    >>> new = old.moved(np.array([[0, 0], [1, 0], [0, 1], [.2, .5]]))
    >>> np.round(swept(old, new, [5.0, 5.0, 5.0, 5.0]), 12)
    array([5., 5., 5., 5.])
    """
    check_same(mesh, moved)
    v = as_numbers(values, "the values")
    if np.iscomplexobj(v):
        parts = (swept(mesh, moved, part, bounds, locator, far) for part in (v.real, v.imag))
        return next(parts) + 1j * next(parts)
    old = locator_of(mesh, locator)
    there = old.interpolate(v, moved.points.T, first_cells(mesh)).astype(float)  # also the check of the values
    u, w = v.reshape(len(v), -1).astype(float), there.reshape(len(v), -1)
    sweep = Sweep(mesh, moved)
    new = (
        conservative(mesh, moved, u, locator=old)
        if far or sweep.crossed.max(initial=0.0) > COURANT
        else sweep.carried(u, w)
    )
    return (sweep.within(new, u, w) if bounds else new).reshape(v.shape)


@dataclass(frozen=True, eq=False)
class _Couplings:
    """A matrix on the pairs of vertices that share a cell: its diagonal (n,), and the entries (p,) of each pair's ends,
    (first, second) and (second, first)."""

    own: Array
    there: Array
    back: Array


class Sweep:
    """The matrices of the module's docstring, from one mesh to another with the same cells."""

    def __init__(self, mesh: CellMesh, moved: CellMesh) -> None:
        self.mesh, self.moved, self.by = mesh, moved, moved.points - mesh.points
        self.n = mesh.n_points
        self.ends, self._pair = _pairs(mesh)
        self.before, self.after = self._mass(mesh), self._mass(moved)
        parts = [
            self._gathered(_divergence(replace(mesh, points=mesh.points + s * self.by), self.by, weight))
            for s, weight in zip(*gauss(mesh.dim - 1), strict=True)
        ]
        self.swept = _Couplings(*(sum(getattr(p, k) for p in parts) for k in ("own", "there", "back")))

    @property
    def crossed(self) -> Array:
        """How many cells each node (n,) crosses."""
        c, (a, b) = self.swept, self.ends
        volume = np.minimum(self._sums(self.before), self.lumped)
        across = np.bincount(a, np.abs(c.there), self.n) + np.bincount(b, np.abs(c.back), self.n)
        return 0.5 * across / np.where(volume > 0, volume, np.inf)

    @cached_property
    def lumped(self) -> Array:
        """(n,): the integrals of the new shape functions."""
        return self._sums(self.after)

    def carried(self, u: Array, w: Array) -> Array:
        """Values (n, k), after u (n, k); `w`: their interpolant at the new vertices."""
        (left, right), used = self.system(u), self.lumped > 0
        return splu(left.tocsc()).solve(np.where(used[:, None], right, w))

    def system(self, u: Array) -> tuple[csr_matrix, Array]:
        """Matrix (n, n) and right-hand sides (n, k) for the values after u (n, k); vertices of no cell keep theirs."""
        c, used = self.swept, self.lumped > 0
        half = _Couplings(0.5 * c.own, 0.5 * c.there, 0.5 * c.back)
        right = self._times(self.before, u) + self._times(half, u)
        left = _Couplings(*(getattr(self.after, k) - getattr(half, k) for k in ("own", "there", "back")))
        return self._matrix(left, used), np.where(used[:, None], right, u)

    def within(self, values: Array, u: Array, w: Array) -> Array:
        """New values (n, k) within those of the old field around them."""
        return repaired(values, self.lumped, self.ends, *self.range_of(u, w))

    def range_of(self, u: Array, w: Array) -> tuple[Array, Array]:
        """Least and largest value (n, k) of the old field u on the new cells around each vertex, where it is w."""
        k = u.shape[1]
        where = PointLocator(self.moved).find(self.mesh.points.T, first_cells(self.mesh)).cells
        low, high = np.full((self.mesh.n_cells, k), np.inf), np.full((self.mesh.n_cells, k), -np.inf)
        np.minimum.at(low, where, u)
        np.maximum.at(high, where, u)
        least, most, first = np.full((self.n, k), np.inf), np.full((self.n, k), -np.inf), 0
        for block in self.mesh.blocks:
            rows = slice(first, first + len(block))
            below = np.minimum(low[rows], w[block.nodes].min(1))
            above = np.maximum(high[rows], w[block.nodes].max(1))
            for column in block.nodes.T:
                np.minimum.at(least, column, below)
                np.maximum.at(most, column, above)
            first += len(block)
        return np.minimum(least, w), np.maximum(most, w)

    # -- matrices ------------------------------------------------------------------------------------------------------

    def _mass(self, mesh: CellMesh) -> _Couplings:
        return self._gathered(_products(mesh))

    def _gathered(self, local: list[Array]) -> _Couplings:
        """From the matrices (m, v, v) of the cells of each block."""
        p = self.ends.shape[1]
        own, there, back = np.zeros(self.n), np.zeros(p), np.zeros(p)
        for block, entries, pair in zip(self.mesh.blocks, local, self._pair, strict=True):
            v = block.kind.vertices
            a, b = np.triu_indices(v, 1)
            one, other = entries[:, a, b], entries[:, b, a]
            turned = block.nodes[:, a] > block.nodes[:, b]
            own += np.bincount(block.nodes.ravel(), np.einsum("mii->mi", entries).ravel(), self.n)
            there += np.bincount(pair.ravel(), np.where(turned, other, one).ravel(), p)
            back += np.bincount(pair.ravel(), np.where(turned, one, other).ravel(), p)
        return _Couplings(own, there, back)

    def _sums(self, m: _Couplings) -> Array:
        """(n,) of rows."""
        return m.own + np.bincount(self.ends[0], m.there, self.n) + np.bincount(self.ends[1], m.back, self.n)

    def _matrix(self, m: _Couplings, used: NDArray[np.bool_]) -> csr_matrix:
        (a, b), every = self.ends, np.arange(self.n)
        entries = np.concatenate([np.where(used, m.own, 1.0), m.there, m.back])
        return csr_matrix((entries, (np.concatenate([every, a, b]), np.concatenate([every, b, a]))), (self.n, self.n))

    def _times(self, m: _Couplings, u: Array) -> Array:
        return self._matrix(m, np.ones(self.n, bool)) @ u


def _pairs(mesh: CellMesh) -> tuple[Ids, list[Ids]]:
    """Pairs (2, p) of vertices that share a cell, in ascending order, and their numbers (m, ...) in each block."""
    keys = []
    for block in mesh.blocks:
        a, b = np.triu_indices(block.kind.vertices, 1)
        first, second = block.nodes[:, a], block.nodes[:, b]
        keys.append(np.minimum(first, second) * mesh.n_points + np.maximum(first, second))
    found, number = np.unique(np.concatenate([k.ravel() for k in keys]), return_inverse=True)
    ends = np.stack([found // mesh.n_points, found % mesh.n_points])
    cuts = np.cumsum([k.size for k in keys])[:-1]
    return ends, [part.reshape(k.shape) for part, k in zip(np.split(number.ravel(), cuts), keys, strict=True)]


def _products(mesh: CellMesh) -> list[Array]:
    """(phi_j, phi_i) of each cell, (m, v, v) a block."""
    out = []
    for block in mesh.blocks:
        xi, weight = block.kind.quadrature(2 if block.kind.is_simplex else 5)
        shape, slope = block.kind.shape(xi)
        jacobian = np.einsum("mvd,vcq->mqdc", mesh.points[block.nodes], slope)
        volume = np.abs(np.linalg.det(jacobian)) * weight
        out.append(np.einsum("mq,iq,jq->mij", volume, shape, shape, optimize=True))
    return out


def _divergence(mesh: CellMesh, by: Array, share: float) -> list[Array]:
    """(div(w phi_j), phi_i) of each cell, (m, v, v) a block, times `share`; w is `by` (n, dim) at the vertices."""
    out = []
    for block in mesh.blocks:
        xi, weight = block.kind.quadrature(2 if block.kind.is_simplex else 5)
        shape, slope = block.kind.shape(xi)
        jacobian = np.einsum("mvd,vcq->mqdc", mesh.points[block.nodes], slope)
        volume = np.abs(np.linalg.det(jacobian)) * (share * weight)
        slopes = np.einsum("vcq,mqcd->mvqd", slope, np.linalg.inv(jacobian), optimize=True)
        w = by[block.nodes]
        along = np.einsum("mvd,vq,mjqd->mjq", w, shape, slopes, optimize=True)
        apart = np.einsum("mvd,mvqd->mq", w, slopes)
        out.append(np.einsum("mq,iq,mjq->mij", volume, shape, along + apart[:, None] * shape, optimize=True))
    return out
