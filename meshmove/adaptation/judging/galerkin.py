r"""The L2 error of finite elements on cells that are no simplices, by one solve of the model problem.

Finite elements do not find the interpolant Iu of a field. With values prescribed all over the boundary the solution u_h
of Poisson's equation is Iu + r, with the discrete function r, zero on the boundary, such that

.. math::
    \int \nabla r \cdot \nabla v \, dx = \int \nabla (u - I u) \cdot \nabla v \, dx \quad \text{for each such } v.

On uniform squares the right-hand side vanishes for quadratic fields, since what a cell adds to it is odd and its
neighbours take it away: solutions are exact at the nodes to a higher order. Distorted cells lose this, and then r may
be larger than the error of the interpolant. Neither that error nor a bound by duality (`solution_error`), which
supposes the worst on every cell, tells; the solve does. On quadrilaterals stretched to a harmonic field the error was
1.6 times that on squares, where the interpolant's had fallen by a fifth, and the solve said 1.6, too.
Source: Lesaint & Zlamal, Superconvergence of the gradient of finite element solutions, RAIRO Anal. Numer. 13, 1979.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellKind, Facets
from meshmove.geometry.arrays import Array
from meshmove.monitors.isoparametric import isoparametric
from meshmove.movers.laplacian import assemble, inverse
from meshmove.movers.objectives.hessians import Hessians

__all__ = ["Galerkin"]


#: degree of the rule: products of r and of the interpolant's error are cubic in each coordinate
DEGREE = 3
#: cells times quadrature points times vertices that are worked on at a time, so that arrays stay in the cache
CHUNK = 50_000
#: positions whose error is remembered
REMEMBERED = 4


class Galerkin:
    """Predicted L2 error of Poisson's solution for fields with Hessians that are a function of space.

    Parameters
    ----------
    hessians
        Of the fields. Several count by their squared errors relative to those at `rest`.
    facets
        Of the mesh. All its boundary has prescribed values.
    rest
        Node positions (n, dim).
    """

    def __init__(self, hessians: Hessians, facets: Facets, rest: Array) -> None:
        self._hessians = hessians
        #: vertices (v, m) of the cells of each kind, among those of the cut mesh and those of the mesh itself
        self._sided = [b.nodes.T for b in hessians.blocks]
        self._nodes = [hessians.vertex[at] for at in self._sided]
        inside = np.zeros(len(rest), bool)
        for at in self._nodes:
            inside[at] = True
        boundary = facets.nodes[facets.exterior]
        inside[boundary[boundary >= 0]] = False
        self._free = np.flatnonzero(inside)
        squares = self.squares(rest)
        self._scale = np.where(squares > 0, squares, 1.0)
        self._known = [(rest.copy(), 1.0)]

    def __call__(self, points: Array) -> float:
        """The error at node positions (n, dim), 1 at `rest`: the root of the mean of the fields' squares.

        The last few positions are remembered, since a descent, its guard and the choice ask for the same ones.
        """
        for there, error in self._known:
            if np.array_equal(there, points):
                return error
        error = float(np.sqrt((self.squares(points) / self._scale).mean()))
        self._known = [*self._known, (points.copy(), error)][-REMEMBERED:]
        return error

    def squares(self, points: Array) -> Array:
        """Of the error of each field (f,)."""
        hessians, out = self._hessians, []
        x = points[hessians.vertex].T
        for one, h in zip(np.eye(hessians.fields), hessians.value(points), strict=True):
            moments, _ = hessians.moments(points, one)
            direct = sum(
                float(isoparametric(b.kind).plain_squares(x[:, at], m).sum())
                for b, at, m in zip(hessians.blocks, self._sided, moments, strict=True)
            )
            out.append(max(0.0, direct + self._excess(x, h)))
        return np.array(out)

    def _excess(self, x: Array, h: Array) -> float:
        """The integral of r^2 + 2 r (Iu - u), the square of the solution's error less that of the interpolant's."""
        if not len(self._free):
            return 0.0
        n = int(self._hessians.vertex[-1]) + 1
        blocks = zip(self._hessians.blocks, self._sided, strict=True)
        cells = [_Cells(b.kind, x[:, at], h[:, at].mean(axis=1)) for b, at in blocks]
        matrix = sum(assemble(at, c.stiffness, n) for at, c in zip(self._nodes, cells, strict=True))
        load = np.zeros(n)
        for at, c in zip(self._nodes, cells, strict=True):
            load += np.bincount(at.ravel(), c.load.ravel(), n)
        r = inverse(matrix, np.ones(n), len(x), self._free).solve(load)
        return sum(c.excess(r[at]) for at, c in zip(self._nodes, cells, strict=True))


class _Cells:
    """Cells of one kind with vertices x (dim, v, m) and a Hessian (p, m) each.

    `stiffness` (v, v, m); `load` (v, m), the integral of grad(u - Iu) . grad N; Iu - u and weights (q, m).
    """

    def __init__(self, kind: CellKind, x: Array, h: Array) -> None:
        rule, weights = kind.quadrature(DEGREE)
        self._shape, slopes = kind.shape(rule)  # (v, q), (v, dim, q)
        (d, v, m), q = x.shape, len(weights)
        pairs = [(a, b) for a in range(d) for b in range(a, d)]
        self.stiffness, self.load = np.empty((v, v, m)), np.empty((v, m))
        self._error, self._volume = np.empty((q, m)), np.empty((q, m))
        step = max(1, CHUNK // (v * q))
        for c in (slice(k, k + step) for k in range(0, m, step)):
            z = x[:, :, c] - x[:, :1, c]
            gradients, det = _gradients(z, slopes)
            volume = weights[:, None] * np.abs(det)
            away = z[:, :, None] - np.einsum("vq,cvm->cqm", self._shape, z)[:, None]  # x_i - x, (dim, v, q, m)
            bent = sum((0.5 if a == b else 1) * away[a] * away[b] * h[k, c] for k, (a, b) in enumerate(pairs))
            slope = np.einsum("cvqm,vqm->cqm", gradients, bent) * volume
            self.load[:, c] = -np.einsum("cvqm,cqm->vm", gradients, slope)
            self.stiffness[:, :, c] = np.einsum("cvqm,cwqm->vwm", gradients * volume, gradients, optimize=True)
            self._error[:, c], self._volume[:, c] = np.einsum("vq,vqm->qm", self._shape, bent), volume

    def excess(self, r: Array) -> float:
        """The integral of r^2 + 2 r (Iu - u) for r (v, m) at the vertices."""
        at = self._shape.T @ r
        return float((self._volume * at * (at + 2 * self._error)).sum())


def _gradients(z: Array, slopes: NDArray) -> tuple[Array, Array]:
    """Gradients (dim, v, q, m) of shape functions with slopes (v, dim, q), and determinants (q, m)."""
    jacobian = np.einsum("vaq,cvm->qmca", slopes, z, optimize=True)
    inner = np.linalg.inv(jacobian)
    return np.einsum("vaq,qmac->cvqm", slopes, inner, optimize=True), np.linalg.det(jacobian)
