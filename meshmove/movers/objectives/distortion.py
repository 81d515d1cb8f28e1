"""How far cells are from their original shapes, and what keeps them valid: the part that all functionals share.

.. math::
    \\varepsilon \\sum_K |K_0| \\Bigl( \\frac{\\|J\\|_F^d}{d^{d/2} \\det J} - 1 \\Bigr)

J is the Jacobian from a corner simplex of the original cell to the moved one; the term is averaged over a cell's
corners. It is at least 0, and infinite for a flat corner; where corners do not say all, `Interior` does. The measure is
that of Knupp (2001) and of Huang (2001) for the identity metric.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meshmove.communicator import SERIAL, Communicator
from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.geometry.quality import simplex_volumes
from meshmove.geometry.sliding import Shells
from meshmove.movers.laplacian import corner_weights

from .edge_limit import EdgeLimit
from .interior import Interior
from .rules import cross
from .volumes import VolumeLimit

__all__ = ["Distortion"]


class Distortion:
    """The distortion of a mesh's corner simplices, and limits to what its boundary may do.

    Parameters
    ----------
    mesh
        The reference mesh.
    distortion
        The weight epsilon.
    curved_edges
        Edges (e, 2) of curved boundaries, whose stretching is limited (see `EdgeLimit`).
    shells
        Boundaries whose volume is kept (see `VolumeLimit`).
    across
        The processes that share the mesh, of which `mesh` has the cells of this one.
    """

    def __init__(
        self,
        mesh: CellMesh,
        distortion: float,
        curved_edges: NDArray[np.int64] | None = None,
        shells: Shells | None = None,
        across: Communicator = SERIAL,
    ) -> None:
        self.distortion, self.across = distortion, across
        self.dim, self.n_points = mesh.dim, mesh.n_points
        simplices, owner = mesh.corners
        self._nodes = np.ascontiguousarray(simplices.T)  # (dim+1, s)
        self._flat = self._nodes.ravel()
        self._owner = None if len(owner) == mesh.n_cells else owner  # None: one simplex a cell
        self.n_cells = mesh.n_cells
        volume = simplex_volumes(mesh.points, simplices)
        self._sign = np.sign(volume)
        corners = np.concatenate([np.full(len(b), len(b.kind.corners)) for b in mesh.blocks])
        self._weight = np.abs(volume) * corner_weights(mesh)  # share of the cell's volume
        self.volume = self._per_cell(self._weight)  # |K0|
        self._share = self.volume[owner] / corners[owner]
        self._to_jac = 1 / (volume * (2 if self.dim == 2 else 6))  # of the determinant of the edges
        self._metric = self._inverse_metric(mesh.points)
        self._whole, cells = (float(v) for v in across.sum(np.array([self.volume.sum(), mesh.n_cells])))
        self.limit = None
        if curved_edges is not None and len(curved_edges):
            self.limit = EdgeLimit(mesh.points, curved_edges, self._whole / cells)
        self.inside = Interior(mesh, self.volume)
        self.kept = None
        if shells is not None and len(shells):
            self.kept = VolumeLimit(shells, self._whole)

    # -- small pieces -----------------------------------------------------------------------------------------------

    def _per_cell(self, values: Array) -> Array:
        return values if self._owner is None else np.bincount(self._owner, values, self.n_cells)

    def _per_simplex(self, values: Array) -> Array:
        return values if self._owner is None else values[self._owner]

    def _corners(self, points: Array) -> Array:
        """Coordinates (dim, dim+1, s) of the vertices of every simplex."""
        self._x = np.ascontiguousarray(points.T).take(self._nodes, axis=1)
        return self._x

    def _edges(self, points: Array) -> Array:
        """Edge vectors (dim, dim, s) from vertex 0: e[c, k-1] to vertex k."""
        x = self._corners(points)
        return x[:, 1:] - x[:, :1]

    def _inverse_metric(self, points: Array) -> Array:
        """(E0^T E0)^-1 (dim, dim, s) of every reference simplex: |J|_F^2 = sum_kl metric_kl e_k . e_l."""
        e = self._edges(points)
        inverse = np.linalg.inv(np.einsum("cks,cls->skl", e, e))
        return np.ascontiguousarray(inverse.transpose(1, 2, 0))

    def _cofactors(self, e: Array) -> Array:
        """det grad N (dim, dim+1, s) of every vertex; they add up to zero."""
        out = np.empty((self.dim, self.dim + 1, e.shape[2]))
        if self.dim == 2:
            out[0, 1], out[0, 2] = e[1, 1], -e[1, 0]
            out[1, 1], out[1, 2] = -e[0, 1], e[0, 0]
        else:
            for k, (i, j) in enumerate(((1, 2), (2, 0), (0, 1))):
                out[:, k + 1] = cross(e[:, i], e[:, j])
        np.add.reduce(out[:, 1:], axis=1, out=out[:, 0])
        np.negative(out[:, 0], out=out[:, 0])
        return out

    def _determinant(self, e: Array, cof: Array) -> Array:
        """Of the edges (s,): positive or negative as the reference's."""
        return np.einsum("cs,cs->s", e[:, 0], cof[:, 1])

    def reach(self, points: Array, step: Array, left: tuple[float, ...] = (0.1,)) -> Array:
        """The largest t at which every triangle at points + t step keeps the shares `left` of its area; may be inf.

        In three dimensions inf: there the line search has to find out.
        """
        if self.dim == 3:
            return np.full(len(left), np.inf)
        (ax, bx), (ay, by) = self._edges(points)
        (ux, vx), (uy, vy) = self._edges(step)
        area = ax * by - ay * bx
        turn = np.sign(area)
        b, c = turn * (ax * vy - ay * vx + ux * by - uy * bx), turn * (ux * vy - uy * vx)
        out = []
        for share in left:  # (1 - share) |area| + b t + c t^2 = 0
            a = (1 - share) * np.abs(area)
            square = b * b - 4 * a * c
            root = np.sqrt(np.maximum(square, 0)) - b
            found = (square >= 0) & (root > 0)
            out.append((2 * a[found] / root[found]).min(initial=np.inf))
        return self.across.minimum(np.array(out))

    # -- the terms --------------------------------------------------------------------------------------------------

    def _distorted(self, e: Array, jac: Array) -> tuple[float, Array, Array, Array]:
        """The term; the vectors (dim, dim+1, s) of the vertices for which its slope by |J|_F is a multiple, that
        multiple (s,); and its slope by det J (s,)."""
        d = self.dim
        dual = np.empty((d, d + 1, e.shape[2]))
        np.einsum("kls,cls->cks", self._metric, e, out=dual[:, 1:])
        np.add.reduce(dual[:, 1:], axis=1, out=dual[:, 0])
        np.negative(dual[:, 0], out=dual[:, 0])
        norm2 = np.einsum("cks,cks->s", e, dual[:, 1:])
        shape = norm2 / (2 * jac) if d == 2 else norm2 * np.sqrt(norm2) / (27**0.5 * jac)
        scaled = self.distortion * self._share
        energy = float(scaled @ shape) - float(scaled.sum())
        scaled *= shape
        return energy, dual, scaled * d / np.maximum(norm2, 1e-300), -scaled / jac

    def _scattered(self, force: Array) -> Array:
        """Sums (n, dim) at the nodes of what is at the vertices of simplices (dim, dim+1, s)."""
        out = np.empty((self.n_points, self.dim))
        for c, row in enumerate(force):
            out[:, c] = np.bincount(self._flat, row.ravel(), self.n_points)
        return out

    def _admitted(self, points: Array, jac: Array, soften: float = 0.0) -> tuple[float, Array | None]:
        """What `_limits` says where no cell of this process is inverted, as no softened one is; else (inf, None)."""
        lost = not soften and not jac.min(initial=np.inf) > 0
        if lost and self.across.alone:
            return np.inf, None
        excess, pushed = self._limits(points, soften)  # together: others may sum what shells enclose
        return (np.inf, None) if lost else (excess, pushed)

    def _limits(self, points: Array, soften: float = 0.0) -> tuple[float, Array | None]:
        """What the boundary and the inside of cells add, and its gradient (n, dim); (inf, None): a cell is lost."""
        energy, inner = self.inside(points, soften) if self.inside else (0.0, None)
        lost = bool(self.inside) and inner is None
        if lost and self.across.alone:
            return np.inf, None
        gradient = np.zeros((self.n_points, self.dim)) if inner is None else inner
        for limit in (self.limit, self.kept):
            if limit is not None:
                excess, force = limit(points)
                energy += excess
                gradient += force
        return (np.inf, None) if lost else (energy, gradient)
