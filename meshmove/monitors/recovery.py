"""Gradients and Hessians of nodal fields by polynomial preserving recovery.

At each vertex a full quadratic is fitted, in the least-squares sense, to the values on the patch around it, and
differentiated there (Zhang & Naga, A new finite element gradient recovery method, SIAM J. Sci. Comput. 26, 2005).
The patch is the vertex and its neighbours, grown ring by ring along the mesh while it does not determine a quadratic
well; so it never reaches across a gap or into another component. Both derivatives are exact for quadratic fields
wherever some patch determines a quadratic, and for linear fields everywhere.

Nor does a patch reach across an interface, between regions or along named facets inside of the mesh: a field may have
a kink there, which is no curvature. A vertex on an interface has derivatives on each of its sides.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix

from meshmove.geometry import CellMesh, FieldError, Sides
from meshmove.geometry.arrays import Array
from meshmove.geometry.errors import first_ids

from .patches import operators

__all__ = ["Recovery", "recover_gradient", "recover_hessian"]


class Recovery:
    """Recovery operators of a mesh, built once and applied to any number of nodal fields.

    Parameters
    ----------
    mesh
        Cells of any kind, in 2-D or 3-D. Vertices that no cell uses get zero derivatives, vertices on interfaces the
        mean over the sides (those of each side: `sided`).
    sides
        The mesh cut apart along its interfaces, where that is known already.

    >>> from meshmove.geometry import CellMesh
    >>> x, y = np.random.default_rng(0).random((2, 50))
    >>> from scipy.spatial import Delaunay
    >>> mesh = CellMesh.single(np.c_[x, y], Delaunay(np.c_[x, y]).simplices, "triangle")
    >>> operators = Recovery(mesh)
    >>> bool(np.allclose(operators.gradient(3 * x - y), [[3], [-1]]))
    True
    >>> bool(np.allclose(operators.hessian(x**2 + x * y)[0], [[2], [1]]))
    True
    """

    def __init__(self, mesh: CellMesh, sides: Sides | None = None) -> None:
        self.dim = mesh.dim
        self.n_points = mesh.n_points
        self.sides = Sides.of(mesh) if sides is None else sides
        self._pairs = [(a, b) for a in range(self.dim) for b in range(a, self.dim)]
        #: of the mesh cut apart, for values (s, ...) of the sides; the recovery itself where there is no interface
        self.sided = self if self.sides.whole else Recovery(self.sides.mesh)
        if self.sides.whole:
            indptr, indices, weights = operators(mesh, self._pairs)
            shape = (self.n_points, self.n_points)
            self._matrices = [csr_matrix((w, indices, indptr), shape=shape) for w in weights]
        else:
            self._matrices = [self.sides.averaging @ m @ self.sides.copying for m in self.sided._matrices]

    @property
    def gradient_matrices(self) -> list[csr_matrix]:
        """One sparse (n, n) matrix for each partial derivative."""
        return self._matrices[: self.dim]

    @property
    def hessian_matrices(self) -> list[csr_matrix]:
        """One sparse (n, n) matrix for each second derivative: xx, xy, yy or xx, xy, xz, yy, yz, zz."""
        return self._matrices[self.dim :]

    def gradient(self, values: ArrayLike) -> Array:
        """Gradient (dim, n) at the vertices of nodal values (n,); (dim, n, k) of k fields (n, k).

        Raises
        ------
        FieldError
            The values are not finite, or not one for each vertex.
        """
        u = self._checked(values)
        return np.stack([g @ u for g in self.gradient_matrices])

    def hessian(self, values: ArrayLike) -> Array:
        """Hessian (dim, dim, n) at the vertices of nodal values (n,); (dim, dim, n, k) of k fields (n, k).

        Sharper on layers than `gradient(gradient(values).T)`, which is smoother where the field is well resolved.

        Raises
        ------
        FieldError
            The values are not finite, or not one for each vertex.
        """
        u = self._checked(values)
        out = np.empty((self.dim, self.dim, *u.shape))
        for (a, b), matrix in zip(self._pairs, self.hessian_matrices, strict=True):
            out[a, b] = out[b, a] = matrix @ u
        return out

    def _checked(self, values: ArrayLike) -> Array:
        u = np.asarray(values, float)
        if u.ndim not in (1, 2) or len(u) != self.n_points:
            raise FieldError(
                f"Expected one value for each of the {self.n_points} vertices (got an array of shape {u.shape}). "
                "Pass nodal values (n,) or (n, k) in the order of the mesh's points."
            )
        if not np.isfinite(u).all():
            bad = np.unique(np.argwhere(~np.isfinite(u))[:, 0])
            raise FieldError(
                f"Expected finite values (got NaN or infinity at vertices {first_ids(bad)}). "
                "Check the solver's convergence, or replace these values."
            )
        # the rows of the operators sum to zero only up to rounding: a large constant must not show
        return u - u[:1]


def recover_gradient(mesh: CellMesh, values: ArrayLike) -> Array:
    """Gradient (dim, n) at the vertices of nodal values (n,); exact for quadratic fields. See `Recovery`.

    >>> mesh = CellMesh.single([[0, 0], [1, 0], [1, 1], [0, 1]], [[0, 1, 2, 3]], "quad")
    >>> recover_gradient(mesh, [0, 2, 5, 3]).round(12).tolist()
    [[2.0, 2.0, 2.0, 2.0], [3.0, 3.0, 3.0, 3.0]]
    """
    return Recovery(mesh).gradient(values)


def recover_hessian(mesh: CellMesh, values: ArrayLike) -> Array:
    """Hessian (dim, dim, n) at the vertices of nodal values (n,); exact for quadratic fields. See `Recovery`.

    >>> x, y = (g.ravel() for g in np.meshgrid([0, 1, 2], [0, 1, 2]))
    >>> cells = [[i, i + 1, i + 4, i + 3] for i in (0, 1, 3, 4)]
    >>> mesh = CellMesh.single(np.c_[x, y], cells, "quad")
    >>> recover_hessian(mesh, x**2 + 3 * x * y)[:, :, 4].round(12).tolist()
    [[2.0, 3.0], [3.0, 0.0]]
    """
    return Recovery(mesh).hessian(values)
