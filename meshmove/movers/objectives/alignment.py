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

from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.communicator import SERIAL, Communicator
from meshmove.geometry import CellKind, CellMesh
from meshmove.geometry.arrays import Array
from meshmove.geometry.cells.closed_form import CHUNK, closed_form
from meshmove.geometry.sliding import Shells
from meshmove.monitors.isoparametric import add_at_vertices, isoparametric

from .distortion import Distortion
from .hessians import Hessians

__all__ = ["Alignment"]


#: J below this share of its value at rest is zero
NOTHING = 1e-16


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
    curved_edges, shells, across
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
        across: Communicator = SERIAL,
    ) -> None:
        super().__init__(mesh, distortion, curved_edges, shells, across)
        blocks, d = hessians.blocks, self.dim
        simplices = all(b.kind.is_simplex for b in blocks) and not hessians.inside
        self._rules = [] if simplices else [(self._rule(b.kind), np.ascontiguousarray(b.nodes.T)) for b in blocks]
        if simplices:  # (dim+1, s) among the cut mesh's vertices
            self._corner = np.ascontiguousarray(np.concatenate([b.nodes for b in blocks]).T)
        self._factor = 1 / (4 * (d + 1) ** 2 * (d + 2) * (2 if d == 2 else 6))
        self._last: _Evaluated | None
        self._see(hessians, rest)

    def _rule(self, kind: CellKind) -> Any:
        return isoparametric(kind)

    def _see(self, hessians: Hessians, rest: Array) -> None:
        self._hessians, self._last = hessians, None
        squares = self.squares(rest)
        self._fields = np.flatnonzero(squares > 0)
        self._scale = np.where(squares > 0, squares, 1.0)

    def of(self, hessians: Hessians, rest: Array, relative: bool = False) -> Alignment:
        """F of other fields on the same cells: what depends on the reference mesh alone is kept.

        A single field is not taken relative to `rest` unless that is asked for: it adds a constant to F, and costs an
        evaluation.
        """
        other = copy(self)
        if relative or hessians.fields > 1:
            if hessians is not self._hessians:
                other._see(hessians, rest)
        else:
            other._hessians, other._fields, other._scale = hessians, np.zeros(1, np.int64), np.ones(1)
            other._last = None
        return other

    def squares(self, points: Array) -> Array:
        """sum_K J_K of each field (f,), also where cells are inverted; infinite where one is flat."""
        return self.across.settled(lambda: self.across.sum(self._squares(points)))

    def _squares(self, points: Array) -> Array:
        """The same of the cells of this process."""
        if self._rules:
            return self._squares_by_quadrature(points)
        return np.array([self._closed(points, one).sum() for one in np.eye(self._hessians.fields)])

    def _closed(self, points: Array, weight: Array) -> Array:
        """J_K (n_cells,) on simplices, of fields with weights (f,)."""
        e = self._edges(points)
        cof = self._cofactors(e)
        det = np.abs(self._determinant(e, cof))
        if not det.min(initial=np.inf) > 0:
            return np.full(len(det), np.inf)
        values, out = self._hessians.value(points), np.zeros(len(det))
        for part in _chunks(len(det)):
            cells = closed_form(self._x[:, :, part], cof[:, :, part])
            for f in np.flatnonzero(weight):
                q = cells.products(values[f].take(self._corner[:, part], axis=1))
                out[part] += weight[f] * cells.squares(q)
        return self._factor * out / det

    def shares(self, points: Array) -> Array:
        """J_K (n_cells,) over their sum, with which the fields count at node positions (n, dim)."""
        return self.across.settled(lambda: self._shares(points))

    def _shares(self, points: Array) -> Array:
        known = self._known(points)
        if known is not None:
            return known.parts / max(known.parts.sum(), 1e-300)
        weight = np.zeros(self._hessians.fields)
        weight[self._fields] = 1 / self._scale[self._fields]
        if self._rules:
            x, moments = points[self._hessians.vertex].T, self._hessians.moments(points, weight)[0]
            rules = zip(self._rules, moments, strict=True)
            out = np.concatenate([rule.squares(x[:, nodes], m) for (rule, nodes), m in rules])
        else:
            out = self._closed(points, weight)
        return out / max(float(self.across.sum(out.sum(keepdims=True))[0]), 1e-300)

    @property
    def cells(self) -> NDArray[np.int64]:
        """Vertices (n_cells, dim+1) of the cells among those that the Hessians belong to."""
        return np.concatenate([b.nodes for b in self._hessians.blocks])

    def relative_hessians(self, points: Array) -> Array:
        """(f, p, s): of the fields that count, each relative to its error at rest, at node positions (n, dim)."""
        return self._hessians.value(points)[self._fields] / np.sqrt(self._scale[self._fields])[:, None, None]

    def error(self, points: Array) -> float:
        """The square root of the sum of the fields' squares, each relative to that at rest."""
        known = self._known(points)
        if known is not None:
            return float(np.sqrt(known.parts.sum()))
        return float(np.sqrt((self.squares(points) / self._scale)[self._fields].sum()))

    def __call__(self, points: Array) -> tuple[float, Array | None]:
        """F and dF/dx (n, dim) at node positions (n, dim); (inf, None) where a cell is not valid."""
        return self.across.settled(lambda: self._evaluated(points))

    def _evaluated(self, points: Array) -> tuple[float, Array | None]:
        known = self._known(points)
        if known is not None:
            return known.value, known.slope.copy()
        e = self._edges(points)
        cof = self._cofactors(e)
        det = self._determinant(e, cof)
        jac = det * self._to_jac
        excess, pushed = self._admitted(points, jac)
        if pushed is None and self.across.alone:
            return np.inf, None
        with np.errstate(all="ignore" if pushed is None else None):  # no use of these, but others are to hear of it
            shape, force, to_dual, to_jac = self._distorted(e, jac)
            to_dual /= self._whole
            to_det = to_jac * self._to_jac / self._whole
            force *= to_dual
            rest = np.array([(shape + excess) / self._whole, pushed is None])
            if self._rules:
                parts, (error, by_node) = None, self._by_quadrature(points, rest)
            else:
                error, parts, aligned, by_node = self._aligned(points, cof, det, force, rest)
                to_det += aligned
        if rest[1] or pushed is None:
            return np.inf, None
        force += to_det * cof
        by_node += self._scattered(force) + pushed / self._whole
        value, slope = error + float(rest[0]), self.across.accumulate(by_node)
        if self.across.alone and parts is not None:
            self._last = _Evaluated(points.copy(), value, slope.copy(), parts)
        return value, slope

    def _known(self, points: Array) -> _Evaluated | None:
        """What is remembered of the last evaluation if that was here: of one process, since others may not know it."""
        return self._last if self._last is not None and np.array_equal(self._last.points, points) else None

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

    def _summed(self, total: float, rest: Array) -> float:
        """J over all processes, and with it what else is to be summed, in place; 1 where a cell is lost on one."""
        sums = self.across.sum(np.array([total, *rest]))
        rest[:] = sums[1:]
        return 1.0 if rest[1] else float(sums[0]) + NOTHING * len(self._fields)

    def _by_quadrature(self, points: Array, rest: Array) -> tuple[float, Array]:
        """1/2 log J, and its slope by the nodes (n, dim)."""
        at, weight = self._hessians.vertex, np.zeros(self._hessians.fields)
        weight[self._fields] = 1 / self._scale[self._fields]
        moments, pulled = self._hessians.moments(points, weight)
        x, total, back = points[at].T, 0.0, []
        by_x = np.zeros(x.shape)
        for (rule, nodes), m in zip(self._rules, moments, strict=True):
            squares, force, by_moments = rule.slopes(x[:, nodes], m)
            total += float(squares.sum())
            add_at_vertices(by_x, force, nodes)
            back.append(by_moments)
        by_x += pulled(back)
        total = self._summed(total, rest)
        by_node = np.stack([np.bincount(at, row, self.n_points) for row in by_x], axis=1)
        return 0.5 * np.log(total), 0.5 / total * by_node

    # -- in closed form -----------------------------------------------------------------------------------------------

    def _aligned(
        self, points: Array, cof: Array, det: Array, force: Array, rest: Array
    ) -> tuple[float, Array, Array, Array]:
        """1/2 log J, J_K (s,), and the slopes of the first by the determinants (s,), and by the nodes (n, dim) through
        the Hessians there; those by the vertices through edges and cofactors are added to `force` (dim, dim+1, s)."""
        values, slopes = self._hessians.value_and_slope(points)
        by_vertex, parts = np.zeros(force.shape), np.zeros(len(det))
        to_hessian = np.empty((*values.shape[:2], *self._corner.shape))  # (f, p, dim+1, s)
        for chunk in _chunks(len(det)):
            cells, corner = closed_form(self._x[:, :, chunk], cof[:, :, chunk]), self._corner[:, chunk]
            for f in self._fields:
                weight = self._factor / self._scale[f] / np.abs(det[chunk])
                here = values[f].take(corner, axis=1)
                squares, to_hessian[f, ..., chunk] = cells.slopes(here, weight, by_vertex[:, :, chunk])
                parts[chunk] += weight * squares
        total = self._summed(float(parts.sum()), rest)
        k = 0.5 / total
        by_vertex *= k
        force += by_vertex
        by_value = np.zeros(values.shape)
        for f in self._fields:  # all cells at once: a sum over the vertices for each part would cost as much for each
            for row, x in zip(by_value[f], to_hessian[f], strict=True):
                row[:] = np.bincount(self._corner.ravel(), x.ravel(), values.shape[2])
        by_side, at = np.einsum("fps,fpcs->cs", by_value, slopes), self._hessians.vertex
        by_node = k * np.stack([np.bincount(at, row, self.n_points) for row in by_side], axis=1)
        return 0.5 * np.log(total), parts, -k * parts / det, by_node


@dataclass(frozen=True, eq=False)
class _Evaluated:
    """F at node positions (n, dim), its slope (n, dim), and J_K (n_cells,)."""

    points: Array
    value: float
    slope: Array
    parts: Array


def _chunks(cells: int) -> list[slice]:
    return [slice(start, start + CHUNK) for start in range(0, cells, CHUNK)]
