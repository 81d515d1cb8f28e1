"""The functional E of node positions whose minimiser equidistributes the monitor with the least distortion.

.. math::
    E(x) = \\sum_K |K_0| \\left[ \\tfrac12 (\\log q_K)^2
           + \\varepsilon \\Bigl( \\frac{\\|J\\|_F^d}{d^{d/2} \\det J} - 1 \\Bigr) \\right],
    \\qquad q_K = \\frac{\\int_K m\\,dx}{\\theta |K_0|}

The first term is the residual of the Monge-Ampère equation m det(I + D^2 phi) = theta in logarithmic form, the second
the `Distortion`, which never lets a cell invert.
"""

from __future__ import annotations

from copy import copy

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from meshmove.communicator import SERIAL, Communicator, box_of
from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.geometry.sliding import Shells
from meshmove.movers.density import Density
from meshmove.movers.laplacian import assemble

from .distortion import Distortion
from .rules import rule_of

__all__ = ["Functional"]


class Functional(Distortion):
    """E and its gradient for one mesh and one monitor.

    Parameters
    ----------
    mesh
        The reference mesh.
    density
        The monitor function.
    distortion
        The weight epsilon of the distortion term.
    rule
        Where the monitor is sampled: "vertices" (cheap; right for monitors given by nodal values) or "interior"
        (dim+1 points in every corner simplex, exact for quadratic monitors), or "fine" (degree 5, for monitors that
        are thin beside a cell: between few points they can hide).
    component
        Label of each cell (n_cells,): theta is taken for each component by itself.
    curved_edges
        Edges (e, 2) of curved boundaries, whose stretching is limited (see `EdgeLimit`).
    shells
        Boundaries whose volume is kept (see `VolumeLimit`).
    across
        See `Distortion`.
    """

    def __init__(
        self,
        mesh: CellMesh,
        density: Density,
        distortion: float = 0.01,
        rule: str = "interior",
        component: NDArray[np.int64] | None = None,
        curved_edges: NDArray[np.int64] | None = None,
        shells: Shells | None = None,
        across: Communicator = SERIAL,
    ) -> None:
        super().__init__(mesh, distortion, curved_edges, shells, across)
        self.density, self.rule = density, rule
        parts = 1 if component is None else int(across.maximum(component.max(initial=0))) + 1
        self._component = component if parts > 1 else None
        self._parts = parts
        self._total = across.sum(self._by_part(self.volume))
        self._box = tuple(x[:, None] for x in box_of(mesh.points, across))
        self._rule, self._rule_weight = rule_of(self.dim, rule)

    def of(self, density: Density) -> Functional:
        """E of another monitor on the same cells: what depends on the reference mesh alone is kept."""
        other = copy(self)
        other.density = density
        return other

    # -- sums over components -----------------------------------------------------------------------------------------

    def _by_part(self, values: Array) -> Array:
        """Sums (parts,) of values of this process's cells, over each component."""
        if self._component is None:
            return values.sum(keepdims=True)
        return np.bincount(self._component, values, self._parts)

    def _of_cells(self, sums: Array) -> Array:
        """Of each cell what there is of its component; of one component the one number, (1,)."""
        return sums if self._component is None else sums[self._component]

    # -- small pieces -----------------------------------------------------------------------------------------------

    def balance(self, points: Array) -> tuple[Array, Array]:
        """q_K (n_cells,), and det J of every corner simplex (s,), also where cells are inverted."""
        return self.across.settled(lambda: self._balance(points))

    def _balance(self, points: Array) -> tuple[Array, Array]:
        e = self._edges(points)
        cof = self._cofactors(e)
        jac = self._determinant(e, cof) * self._to_jac
        if self.rule == "vertices":
            m = self._vertex_mean(self.density.value(points.T))
        else:
            m = self._averaged(self.density.value(self._sample(astray=True)))
        mass = self._per_cell(m * jac * self._weight)
        with np.errstate(divide="ignore", invalid="ignore"):  # a wholly inverted mesh has no mean
            theta = self._of_cells(self.across.sum(self._by_part(mass)) / self._total)
            return mass / (theta * self.volume), jac

    def linearised(self, points: Array) -> tuple[NDArray, NDArray, Array, csr_matrix]:
        """Derivative of log q_K by node components as triplets (cell, node * dim + component, value), and the
        distortion's Laplacian (n, n) at the moved positions, scaled by epsilon."""
        d = self.dim
        e = self._edges(points)
        cof = self._cofactors(e)
        det = self._determinant(e, cof)
        m, dm = self.density.value_and_gradient(points.T if self.rule == "vertices" else self._sample())
        if self.rule == "vertices":
            m, dm = self._vertex_mean(m), dm.take(self._nodes, axis=1) / (d + 1)  # (s,), (dim, dim+1, s)
        else:
            m, dm = self._averaged(m), self._by_vertex(dm)
        grads = cof.swapaxes(0, 1) / det  # (dim+1, dim, s)
        part = m * det * self._to_jac * self._weight
        share = part / self._per_simplex(self._per_cell(part))
        values = (grads + np.moveaxis(dm, 0, 1) / m) * share
        owner = np.arange(self.n_cells) if self._owner is None else self._owner
        rows = np.broadcast_to(owner, values.shape)
        columns = self._nodes[:, None] * d + np.arange(d)[None, :, None]
        local = np.einsum("ics,jcs->ijs", grads, grads * (self.distortion * self._share))
        laplacian = assemble(self._nodes, local, self.n_points)
        return rows.ravel(), columns.ravel(), values.ravel(), laplacian

    def _sample(self, astray: bool = False) -> Array:
        """Sample points (dim, q s) of the simplices last visited by `_edges`.

        Where cells may be inverted (`astray`) they are kept in the mesh's box: the monitor need not exist beyond.
        """
        x = np.stack([(self._rule @ x).ravel() for x in self._x])
        return np.clip(x, *self._box, out=x) if astray else x

    def _vertex_mean(self, m: Array) -> Array:
        """Means (s,) over the vertices of simplices of values (n,) at the nodes."""
        return np.add.reduce(m.take(self._nodes)) / (self.dim + 1)

    def _averaged(self, m: Array) -> Array:
        """Means (s,) over simplices of values at their sample points."""
        return self._rule_weight @ m.reshape(len(self._rule), -1)

    def _by_vertex(self, dm: Array) -> Array:
        """How those means change as a vertex carries the sample points along: (dim, dim+1, s)."""
        shares = (self._rule * self._rule_weight[:, None]).T
        return np.stack([shares @ slope.reshape(len(self._rule), -1) for slope in dm])

    # -- the functional ---------------------------------------------------------------------------------------------

    def __call__(self, points: Array, soften: float = 0.0) -> tuple[float, Array | None]:
        """E and dE/dx (n, dim) at node positions (n, dim); (inf, None) where a cell is not valid.

        With `soften` > 0 every det J is replaced by (det J + sqrt(det J^2 + 4 soften^2)) / 2, which is positive: a
        smooth extension of E to inverted cells that pushes them back (Escobar et al. 2003).
        """
        return self.across.settled(lambda: self._evaluated(points, soften))

    def _evaluated(self, points: Array, soften: float) -> tuple[float, Array | None]:
        d = self.dim
        e = self._edges(points)
        cof = self._cofactors(e)
        jac = self._determinant(e, cof) * self._to_jac
        slope: Array | float = 1.0  # d(softened det)/d det
        if soften:
            root = np.sqrt(jac * jac + 4 * soften * soften)
            # the two forms are equal; each is free of cancellation on its side
            jac = np.where(jac > 0, (jac + root) / 2, 2 * soften * soften / (root + np.abs(jac)))
            slope = jac / root
        excess, pushed = self._admitted(points, jac, soften)
        if pushed is None and self.across.alone:
            return np.inf, None
        with np.errstate(all="ignore" if pushed is None else None):  # of no use, but others are to hear of it
            energy, dual, to_dual, to_jac = self._distorted(e, jac)

        # Monge-Ampère residual
        nodal = None
        if self.rule == "vertices":
            m_node, dm_node = self.density.value_and_gradient(points.T)
            m = self._vertex_mean(m_node)
        else:
            x = self._sample(astray=soften > 0)
            m_all, dm_all = self.density.value_and_gradient(x)
            if soften:
                dm_all = dm_all * (x == self._sample())  # no slope where the box holds a point back
            m, dm_vertex = self._averaged(m_all), self._by_vertex(dm_all)
        share = jac * self._weight
        part = m * share
        mass = self._per_cell(part)
        *total, lost = self.across.sum(np.append(self._by_part(mass), pushed is None))
        if lost or pushed is None:
            return np.inf, None
        log_q = np.log(mass / (self._of_cells(total / self._total) * self.volume))
        pull = self.volume * log_q
        *pulls, energy = self.across.sum(np.append(self._by_part(pull), energy + excess + 0.5 * float(pull @ log_q)))
        pull = self._per_simplex(pull / mass - self._of_cells(np.divide(pulls, total)))
        to_jac += pull * part / jac
        to_det = to_jac * slope * self._to_jac
        to_m = pull * share

        if self.rule == "vertices":
            nodal = np.bincount(self._flat, np.tile(to_m / (d + 1), d + 1), self.n_points)
        force = dual  # (dim, dim+1, s)
        force *= to_dual
        force += to_det * cof
        if nodal is None:
            force += to_m * dm_vertex
        gradient = self._scattered(force)
        if nodal is not None:
            gradient += (nodal * dm_node).T
        return float(energy), self.across.accumulate(gradient + pushed)
