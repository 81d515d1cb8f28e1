r"""The predicted H1 error of linear elements as a function of node positions, and what keeps its cells valid.

On a simplex of dimension d the linear interpolant of a quadratic field with Hessian H errs by -1/4 N^T D N, with
D_ij = e_ij^T H e_ij over the edges e_ij from vertex i to j and N the barycentric coordinates. So, with exact integrals,

.. math::
    J_K = \int_K |\nabla (u - I u)|^2 dx
        = \frac{|K|}{4 (d+1)(d+2)} \Bigl( \sum_i |A_i|^2 + |\sum_i A_i|^2 \Bigr),  \qquad A = D \nabla N,

which is tr(S D (I + 1 1^T) D) / (4(d+1)(d+2)), S the local stiffness matrix. A Hessian that varies over a cell counts
as the mean of what its values at the vertices give, as in the prediction of L2 errors. Equidistribution of a monitor
says how large cells should be; J says of which shape, too: long along a front, short across it.

The functional is

.. math::
    F(x) = \tfrac12 \log \sum_K J_K
           + \frac{\varepsilon}{|\Omega|} \sum_K |K_0| \Bigl( \frac{\|J\|_F^d}{d^{d/2} \det J} - 1 \Bigr),

with the `Distortion` that E has. A Galerkin solution of a second-order problem is at least as good as the interpolant
in the energy norm, so that what lowers J lowers a bound of its error; descent of the L2 error of the interpolant does
not (on a ring, that first lowered the error of finite elements 5.4 times, and then only 3.4 times).
The local formula: D'Azevedo & Simpson, SIAM J. Sci. Stat. Comput. 10, 1989; Bank & Smith, Mesh smoothing using a
posteriori error estimates, SIAM J. Numer. Anal. 34, 1997, descend it node by node.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellKind, CellMesh
from meshmove.geometry.arrays import Array
from meshmove.geometry.sliding import Shells
from meshmove.monitors.isoparametric import Isoparametric, add_at_vertices

from .distortion import Distortion
from .hessians import Hessians
from .rules import cross

__all__ = ["Alignment"]


#: J below this share of its value at rest is zero
NOTHING = 1e-16
#: cells that are worked on at a time, so that their arrays stay in the cache
CHUNK = 2_000


class Alignment(Distortion):
    """F and its gradient: on triangles or tetrahedra in closed form, else by quadrature.

    Parameters
    ----------
    mesh
        The reference mesh, which distortion is measured from.
    hessians
        Of the fields. Several count by their squared errors relative to those at `rest`.
    rest
        Node positions (n, dim).
    distortion
        The weight epsilon of the distortion term.
    curved_edges, shells
        As for `Distortion`.
    """

    def __init__(
        self,
        mesh: CellMesh,
        hessians: Hessians,
        rest: Array,
        distortion: float = 0.01,
        curved_edges: NDArray[np.int64] | None = None,
        shells: Shells | None = None,
    ) -> None:
        super().__init__(mesh, distortion, curved_edges, shells)
        blocks, d = hessians.blocks, self.dim
        simplices = all(b.kind.is_simplex for b in blocks) and not hessians.inside
        self._rules = [] if simplices else [(self._rule(b.kind), np.ascontiguousarray(b.nodes.T)) for b in blocks]
        if simplices:  # (dim+1, s) among the cut mesh's vertices
            self._corner = np.ascontiguousarray(np.concatenate([b.nodes for b in blocks]).T)
        self._pairs = [(a, b) for a in range(d) for b in range(a, d)]
        self._factor = 1 / (4 * (d + 1) ** 2 * (d + 2) * (2 if d == 2 else 6))
        self._whole = float(self.volume.sum())
        self._see(hessians, rest)

    def _rule(self, kind: CellKind) -> Any:
        return Isoparametric(kind)

    def _see(self, hessians: Hessians, rest: Array) -> None:
        self._hessians = hessians
        squares = self.squares(rest)
        self._fields = np.flatnonzero(squares > 0)
        self._scale = np.where(squares > 0, squares, 1.0)

    def of(self, hessians: Hessians, rest: Array) -> Alignment:
        """F of other fields on the same cells: what depends on the reference mesh alone is kept.

        A single field is not taken relative to `rest`: that adds a constant to F, and would cost an evaluation.
        """
        other = copy(self)
        if len(hessians.value(rest)) > 1:
            other._see(hessians, rest)
        else:
            other._hessians, other._fields, other._scale = hessians, np.zeros(1, np.int64), np.ones(1)
        return other

    def squares(self, points: Array) -> Array:
        """sum_K J_K of each field (f,), also where cells are inverted; infinite where one is flat."""
        if self._rules:
            return self._squares_by_quadrature(points)
        e = self._edges(points)
        cof = self._cofactors(e)
        det = np.abs(self._determinant(e, cof))
        if not det.min() > 0:
            return np.full(len(self._hessians.value(points)), np.inf)
        cof = _with_first(cof)
        out = []
        for h in self._hessians.value(points):
            square = self._square(h[:, self._corner], e, cof)[0]
            out.append(self._factor * float((square.sum(axis=0) / det).sum()))
        return np.array(out)

    @property
    def cells(self) -> NDArray[np.int64]:
        """Vertices (n_cells, dim+1) of the cells among those that the Hessians belong to."""
        return np.concatenate([b.nodes for b in self._hessians.blocks])

    def relative_hessians(self, points: Array) -> Array:
        """(f, p, s): of the fields that count, each relative to its error at rest, at node positions (n, dim)."""
        return self._hessians.value(points)[self._fields] / np.sqrt(self._scale[self._fields])[:, None, None]

    def error(self, points: Array) -> float:
        """The square root of the sum of the fields' squares, each relative to that at rest."""
        return float(np.sqrt((self.squares(points) / self._scale)[self._fields].sum()))

    def _between(self, e: list[list[Array]]) -> dict[tuple[int, int], list[Array]]:
        """Edge vectors between the vertices i < j."""
        v, d = self.dim + 1, self.dim
        apart = {(i, j): [e[j - 1][c] - e[i - 1][c] for c in range(d)] for i in range(1, v) for j in range(i + 1, v)}
        return {(0, j): e[j - 1] for j in range(1, v)} | apart

    def _square(self, h: Array, e: list[list[Array]], cof: list[list[Array]]) -> tuple[Array, ...]:
        """det^2 (sum |A_i|^2 + |sum A_i|^2) for Hessians h (p, dim+1, s), half its slope by A det, D, and H e of each
        edge, all (dim+1, s)."""
        d, v = self.dim, self.dim + 1
        full = {(a, b): h[k] for k, (a, b) in enumerate(self._pairs)}
        full |= {(b, a): x for (a, b), x in full.items()}
        between = self._between(e)
        bend = {ij: [_sum(full[a, b] * x[b] for b in range(d)) for a in range(d)] for ij, x in between.items()}
        edge = {ij: _sum(between[ij][a] * y[a] for a in range(d)) for ij, y in bend.items()}
        edge |= {(j, i): x for (i, j), x in edge.items()}
        a = [[_sum(edge[i, j] * cof[j][c] for j in range(v) if j != i) for c in range(d)] for i in range(v)]
        total = [_sum(row[c] for row in a) for c in range(d)]
        square = _sum(x * x for row in (*a, total) for x in row)
        half = [[a[i][c] + total[c] for c in range(d)] for i in range(v)]
        return square, half, edge, bend

    def __call__(self, points: Array) -> tuple[float, Array | None]:
        """F and dF/dx (n, dim) at node positions (n, dim); (inf, None) where a cell is not valid."""
        d = self.dim
        e = self._edges(points)
        cof = self._cofactors(e)
        det = self._determinant(e, cof)
        jac = det * self._to_jac
        if not jac.min() > 0:
            return np.inf, None
        excess, pushed = self._limits(points)
        if pushed is None:
            return np.inf, None
        shape, dual, to_dual, to_jac = self._distorted(e, jac)
        to_dual /= self._whole
        to_det = to_jac * self._to_jac / self._whole
        if self._rules:
            error, by_node = self._by_quadrature(points)
            by_vertex, pulled = np.zeros((d, d + 1, len(det))), np.zeros((d, d, 1))
        else:
            error, by_vertex, to_cof, aligned, by_node = self._aligned(points, e, cof, det)
            to_det += aligned
            pulled = self._through_cofactors(e, to_cof)
        gradient = np.empty((self.n_points, d))
        for c in range(d):
            force = by_vertex[c]
            for k in range(d):
                pull = to_dual * dual[k][c] + to_det * cof[k][c] + pulled[k][c]
                force[k + 1] += pull
                force[0] -= pull
            gradient[:, c] = np.bincount(self._flat, force.ravel(), self.n_points)
        gradient += by_node
        return error + (shape + excess) / self._whole, gradient + pushed / self._whole

    # -- by quadrature ------------------------------------------------------------------------------------------------

    def _squares_by_quadrature(self, points: Array) -> Array:
        x = points[self._hessians.vertex].T
        out = []
        for one in np.eye(self._hessians.fields):
            moments = self._hessians.moments(points, one)[0]
            parts = [rule.squares(x[:, nodes], m) for (rule, nodes), m in zip(self._rules, moments, strict=True)]
            total = float(sum(part.sum() for part in parts))
            out.append(total if np.isfinite(total) else np.inf)
        return np.array(out)

    def _by_quadrature(self, points: Array) -> tuple[float, Array]:
        """1/2 log J, and its slope by the nodes (n, dim)."""
        at, weight = self._hessians.vertex, np.zeros(self._hessians.fields)
        weight[self._fields] = 1 / self._scale[self._fields]
        moments, pulled = self._hessians.moments(points, weight)
        x, total, back = points[at].T, NOTHING * len(self._fields), []
        by_x = np.zeros(x.shape)
        for (rule, nodes), m in zip(self._rules, moments, strict=True):
            squares, force, by_moments = rule.slopes(x[:, nodes], m)
            total += float(squares.sum())
            add_at_vertices(by_x, force, nodes)
            back.append(by_moments)
        by_x += pulled(back)
        by_node = np.stack([np.bincount(at, row, self.n_points) for row in by_x], axis=1)
        return 0.5 * np.log(total), 0.5 / total * by_node

    # -- in closed form -----------------------------------------------------------------------------------------------

    def _aligned(
        self, points: Array, e: list[list[Array]], cof: list[list[Array]], det: Array
    ) -> tuple[float, Array, list[list[Array]], Array, Array]:
        """1/2 log J, and its slopes: by the vertices (dim, dim+1, s) through their edges, by the cofactors and the
        determinant of the edges from vertex 0, and by the nodes (n, dim) through the Hessians there."""
        d, v = self.dim, self.dim + 1
        values, slopes = self._hessians.value_and_slope(points)
        by_vertex, to_cof = np.zeros((d, v, len(det))), np.zeros((v, d, len(det)))
        to_size, to_hessian = np.zeros(len(det)), np.zeros_like(values)
        total = NOTHING * len(self._fields)
        for start in range(0, len(det), CHUNK):
            cells = slice(start, start + CHUNK)
            here, there = ([[x[cells] for x in row] for row in rows] for rows in (e, cof))
            slots = by_vertex[:, :, cells], to_cof[:, :, cells], to_size[cells]
            total += self._of_cells(cells, here, there, np.abs(det[cells]), values, slots, to_hessian)
        by_node = np.einsum("fps,fpcs->sc", to_hessian, slopes)
        at = self._hessians.vertex
        by_node = np.stack([np.bincount(at, column, self.n_points) for column in by_node.T], axis=1)
        k = 0.5 / total
        own = [[k * (row[c] - to_cof[0][c]) for c in range(d)] for row in to_cof[1:]]
        return 0.5 * np.log(total), k * by_vertex, own, k * to_size * np.sign(det), k * by_node

    def _of_cells(
        self,
        cells: slice,
        e: list[list[Array]],
        cof: list[list[Array]],
        size: Array,
        values: Array,
        slots: tuple[Array, Array, Array],
        to_hessian: Array,
    ) -> float:
        """sum J over some cells of determinants `size`; its slopes are added to those by the vertices, the cofactors
        and the sizes, `slots`, and by the Hessians (f, p, vertices)."""
        d, v = self.dim, self.dim + 1
        by_vertex, to_cof, to_size = slots
        cof, between, corner = _with_first(cof), self._between(e), self._corner[:, cells]
        total = 0.0
        for f in self._fields:
            weight = self._factor / self._scale[f] / size
            square, half, edge, bend = self._square(values[f][:, corner], e, cof)
            share = weight * square.sum(axis=0)
            total += float(share.sum())
            to_size -= share / size
            twice = [[(2 * weight) * x for x in row] for row in half]
            for j in range(v):
                for c in range(d):
                    to_cof[j, c] += _sum(_over_corners(twice[i][c], edge[i, j]) for i in range(v) if i != j)
            to_h = self._by_edges(between, cof, twice, bend, by_vertex)
            for k, x in enumerate(to_h):
                to_hessian[f, k] += np.bincount(corner.ravel(), x.ravel(), to_hessian.shape[2])
        return total

    def _by_edges(
        self,
        between: dict[tuple[int, int], list[Array]],
        cof: list[list[Array]],
        twice: list[list[Array]],
        bend: dict[tuple[int, int], list[Array]],
        by_vertex: Array,
    ) -> list[Array]:
        """Add the slopes by D_ij through the edges to `by_vertex`; those through each component of the Hessians."""
        d = self.dim
        to_h: list[Any] = [0.0] * len(self._pairs)
        for (i, j), edge in between.items():
            w = _sum(twice[i][c] * cof[j][c] + twice[j][c] * cof[i][c] for c in range(d))
            for c in range(d):
                pull = 2 * _over_corners(w, bend[i, j][c])
                by_vertex[c, j] += pull
                by_vertex[c, i] -= pull
            for k, (a, b) in enumerate(self._pairs):
                to_h[k] = to_h[k] + w * ((1 if a == b else 2) * edge[a] * edge[b])
        return to_h

    def _through_cofactors(self, e: list[list[Array]], to_cof: list[list[Array]]) -> list[list[Array]]:
        """The slopes by the edges e[k] of what is sloped by their cofactors."""
        w = to_cof
        if self.dim == 2:  # cof[0] = (e1y, -e1x), cof[1] = (-e0y, e0x)
            return [[w[1][1], -w[1][0]], [-w[0][1], w[0][0]]]
        a, b, c = e  # cof = b x c, c x a, a x b

        def plus(x: list[Array], y: list[Array]) -> list[Array]:
            return [p + q for p, q in zip(x, y, strict=True)]

        return [
            plus(cross(w[1], c), cross(b, w[2])),
            plus(cross(c, w[0]), cross(w[2], a)),
            plus(cross(w[0], b), cross(a, w[1])),
        ]


def _with_first(cof: list[list[Array]]) -> list[list[Array]]:
    """det grad N of every vertex, from those of all but the first: they add up to zero."""
    return [[-np.add.reduce(columns) for columns in zip(*cof, strict=True)], *cof]


def _sum(terms: Iterable[Array]) -> Array:
    return reduce(add, terms)


def _over_corners(a: Array, b: Array) -> Array:
    """Sum (s,) of products (dim+1, s) over corners."""
    return np.einsum("vs,vs->s", a, b)
