r"""A model of the second derivative of a predicted error: what a displacement strains cells relative to their shape.

Where cells are of the shape and size that a field asks for, the error J_K of each changes alike with the strain that a
displacement delta means to it, as seen from the cell itself: with F the map from an ideal simplex (equilateral, or the
corner of a cube) to the moved one, F^-1 dF. So the model is

.. math::
    \sum_K \frac{J_K}{\sum J} \, c \, \|F_K^{-1} \nabla_\xi \delta\|^2
    + \frac{g}{|\Omega|} \int |\nabla \delta|^2 dx ,

the second term on the reference mesh, since cells without error have to hold, too. Long cells give way along and not
across. The plain Laplacian treats all of them alike, and descent with it is done long before it has converged: on
40x40 triangles 20 steps with this lower the error as far as 60 or more with that.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse import bsr_matrix, csr_matrix, diags, identity

from meshmove.communicator import SERIAL, Communicator, box_of
from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.geometry.quality import barycentric
from meshmove.geometry.sliding import Slide
from meshmove.movers.laplacian import Inverses, corner_weights, factorised, inverse, stiffness
from meshmove.movers.lift import SPRING

__all__ = ["Strains"]

#: c and g of the model. With 6 for 12 searches along lines take a fifth more; with 3 or 30 for 10 some fields gain less
STRAIN, HOLD = 12.0, 10.0
#: stiffness of a node that no cell has
NOTHING = 1e-12


class Strains:
    """The model on a mesh; what depends on the reference alone is made once.

    Parameters
    ----------
    mesh
        The reference mesh.
    slide
        What its boundary nodes may do.
    across, inverses
        The processes that share the mesh, and what inverts a matrix that is the sum of theirs.
    """

    def __init__(
        self, mesh: CellMesh, slide: Slide, across: Communicator = SERIAL, inverses: Inverses = inverse
    ) -> None:
        self._across, self._inverses = across, inverses
        self._dim, self._n = mesh.dim, mesh.n_points
        simplices, self._owner = mesh.corners
        self._nodes = np.ascontiguousarray(simplices.T)
        self._corners = np.bincount(self._owner)[self._owner]
        self._ideal = _regular(mesh.dim) if len(simplices) == mesh.n_cells else np.eye(mesh.dim)
        inner = np.linalg.inv(self._ideal)
        gradients = np.concatenate([-inner.sum(axis=0, keepdims=True), inner])
        self._products = gradients @ gradients.T
        laplacian, mass = stiffness(mesh, corner_weights(mesh))
        laplacian.sort_indices()
        self._indices, self._indptr = laplacian.indices, laplacian.indptr
        hold = HOLD / float(across.sum(np.array(mass.sum())))
        self._held = hold * laplacian.data
        low, high = box_of(mesh.points, across)
        extent = np.linalg.norm(high - low)
        both = across.accumulate(laplacian.diagonal()) * across.accumulate(mass)
        frame, spring = slide.frame, SPRING / extent * np.sqrt(both)  # as in `Lift`
        back = np.where(slide.locked(frame), 0, slide.held_back(frame)).max(axis=1)
        least = np.zeros((self._n, mesh.dim))  # of all processes together: at a node that they share, once
        across.own(least)[:] = NOTHING
        self._drawn = hold * np.where(back < 1e-9, 0, spring * back).repeat(mesh.dim) + least.ravel()
        keys = np.repeat(np.arange(self._n), np.diff(self._indptr)) * self._n + self._indices
        self._slots = np.searchsorted(keys, (self._nodes[:, None] * self._n + self._nodes).ravel())

    def inverse(self, shares: Array, slide: Slide, points: Array) -> Callable[[Array], Array]:
        """Solver for the model at node positions (n, dim) on admissible steps, the cells having `shares` of J."""
        matrix = self._matrix(shares, points)
        slide.refresh(points)
        if not self._across.serial:
            return self._in_pieces(matrix, slide)
        basis = slide.basis()
        transposed = basis.T.tocsr()
        solve = factorised((transposed @ matrix @ basis).tocsc())
        return lambda force: (basis @ solve(transposed @ force.ravel())).reshape(force.shape)

    def _in_pieces(self, matrix: csr_matrix, slide: Slide) -> Callable[[Array], Array]:
        """The same where processes have parts of the matrix: on all steps, of which others than admissible are apart.

        Processes that share a node would have to agree on a basis of its admissible directions; on the projector they
        do.
        """
        across, (n, d) = self._across, (self._n, self._dim)
        columns = np.stack([slide.tangent(np.tile(axis, (n, 1))) for axis in np.eye(d)], axis=2)
        allowed = bsr_matrix((columns, np.arange(n), np.arange(n + 1)), shape=(n * d, n * d)).tocsr()
        diagonal = matrix.diagonal().reshape(n, d)
        size, count = across.sum(np.array([diagonal.sum(), len(across.own(diagonal)) * d]))
        own = np.zeros((n, d))
        across.own(own)[:] = size / count
        system = allowed @ matrix @ allowed + (identity(n * d) - allowed) @ diags(own.ravel())
        solve = self._inverses(csr_matrix(system), np.zeros(n * d), d)
        return lambda force: slide.tangent(across.update(solve(slide.tangent(force).ravel()).reshape(n, d)))

    def _matrix(self, shares: Array, points: Array) -> csr_matrix:
        """(n dim, n dim)"""
        d = self._dim
        gradients, _ = barycentric(np.ascontiguousarray(points.T).take(self._nodes, axis=1))
        inner = np.einsum("ak,cks->acs", self._ideal, gradients[:, 1:])
        weight = STRAIN * shares[self._owner] / self._corners
        data = np.empty((len(self._indices), d, d))
        for a in range(d):
            for b in range(a, d):
                metric = np.einsum("cs,cs->s", inner[:, a], inner[:, b]) * weight
                local = (self._products[:, :, None] * metric).ravel()
                data[:, a, b] = data[:, b, a] = np.bincount(self._slots, local, len(data))
            data[:, a, a] += self._held
        blocks = bsr_matrix((data, self._indices, self._indptr), shape=(self._n * d, self._n * d))
        return blocks.tocsr() + diags(self._drawn)


def _regular(dim: int) -> Array:
    """Edges (dim, dim) of a regular simplex, a column each."""
    if dim == 2:
        return np.array([[1, 0.5], [0, np.sqrt(3) / 2]])
    return np.array([[1, 0.5, 0.5], [0, np.sqrt(3) / 2, np.sqrt(3) / 6], [0, 0, np.sqrt(2 / 3)]])
