"""Values and derivatives of finite element functions at points, also on curved cells and just outside of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
import skfem
from numpy.typing import ArrayLike, NDArray

from meshmove.geometry import CellMesh, FieldError, PointLocator
from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.domains.domain import as_points
from meshmove.solvers.pde import UnitProblem

__all__ = ["Finder", "PiecewisePolynomial", "function_of"]

NEWTON = 8  #: steps that invert the map of a curved cell; its bulge is a perturbation of a linear map
WALK = 6  #: cells that a search passes from the straight triangle that holds a point to the curved one
STEP = 1e-3  #: of the differences that give second derivatives, in reference coordinates
#: the side of a triangle that is opposite to each of its corners
OPPOSITE = np.array([1, 2, 0])


class Finder:
    """Cells and reference coordinates of points, for a basis of scikit-fem."""

    def __init__(self, basis: skfem.CellBasis) -> None:
        self.mesh, self.mapping = basis.mesh, basis.mapping
        self.triangles = not isinstance(self.mesh, skfem.MeshQuad)

    @cached_property
    def _locator(self) -> PointLocator:
        mesh = self.mesh
        vertices, cells = np.unique(mesh.t, return_inverse=True)
        kind = "triangle" if self.triangles else "quad"
        return PointLocator(CellMesh.single(mesh.p[:, vertices].T, cells.reshape(mesh.t.shape).T, kind))

    def cells(self, x: Array) -> Ids:
        """Numbers (n,) of the cells that hold points (2, n), as if they were straight, or are closest."""
        return self._locator.find(x).cells

    def find(self, x: Array) -> tuple[Ids, Array]:
        """Cells (n,) and the points' reference coordinates (2, n) in them."""
        tind = np.array(self.cells(x))
        local = self._local(x, tind)
        for _ in range(WALK if self.triangles and isinstance(self.mesh, skfem.MeshTri2) else 0):
            shares = np.stack([1 - local.sum(axis=0), *local])
            out = np.flatnonzero(shares.min(axis=0) < -1e-9)
            facet = self.mesh.t2f[OPPOSITE[shares[:, out].argmin(axis=0)], tind[out]]
            beyond = self.mesh.f2t[:, facet]
            other = np.where(beyond[0] == tind[out], beyond[1], beyond[0])
            out, other = out[other >= 0], other[other >= 0]
            new = self._local(x[:, out], other)
            better = np.minimum(1 - new.sum(axis=0), new.min(axis=0)) > shares[:, out].min(axis=0)
            if not better.any():
                break
            tind[out[better]], local[:, out[better]] = other[better], new[:, better]
        return tind, local

    def _local(self, x: Array, tind: NDArray) -> Array:
        """Reference coordinates (2, n) of points in cells, by Newton's method: one step for straight triangles."""
        local, left = np.full(x.shape, 1 / 3), np.arange(len(tind))
        for _ in range(NEWTON):
            here, cells = local[:, left, None], tind[left]
            miss = x[:, left] - self.mapping.F(here, tind=cells)[:, :, 0]
            step = np.einsum("ijn,jn->in", self.mapping.invDF(here, tind=cells)[..., 0], miss)
            local[:, left] += step
            left = left[np.abs(step).max(axis=0) >= 1e-13]
            if not len(left):
                break
        return local


class PiecewisePolynomial:
    """A finite element function of a problem as a field in unit coordinates: value, dX, dY, dXX, dYY and further ones.

    Called with points (2, n) of the problem's own coordinates it is their values. Second derivatives are those within
    the cell that holds a point; outside of the mesh all are those of the polynomial of the closest cell.
    """

    def __init__(self, unit: UnitProblem, basis: skfem.CellBasis, dofs: Array) -> None:
        self.unit, self.basis, self.dofs = unit, basis, dofs

    @cached_property
    def finder(self) -> Finder:
        return Finder(self.basis)

    def __call__(self, x: Array) -> Array:
        tind, local = self.finder.find(as_points(x))
        return self._at(tind, local)[0]

    def jets(self, X: Array) -> Array:
        """Derivatives (terms, n) up to second order in unit coordinates, in the order of the problem's terms."""
        tind, local = self.finder.find(self.unit.to_physical(X))
        value, first = self._at(tind, local)
        second = self._hessian(tind, local)
        known = {(0, 0): value, (1, 0): first[0], (0, 1): first[1]}
        known |= {(2, 0): second[0, 0], (0, 2): second[1, 1], (1, 1): (second[0, 1] + second[1, 0]) / 2}
        return np.stack([known[along] for along in self.unit.along]) * self.unit.powers[:, None]

    def mixed(self, X: Array) -> Array:
        """The mixed derivative dXY (n,) within the cells, which differences across an interface would miss."""
        tind, local = self.finder.find(self.unit.to_physical(X))
        second = self._hessian(tind, local)
        return (second[0, 1] + second[1, 0]) / 2 * self.unit.half.prod()

    def _at(self, tind: Ids, local: Array) -> tuple[Array, Array]:
        """Values (n,) and gradients (2, n) of the cells' functions."""
        value, slope = np.zeros(len(tind)), np.zeros((2, len(tind)))
        for i in range(self.basis.Nbfun):
            shape = self.basis.elem.gbasis(self.basis.mapping, local[:, :, None], i, tind=tind)[0]
            weight = self.dofs[self.basis.element_dofs[i, tind]]
            value += weight * np.asarray(shape)[:, 0]
            slope += weight * np.asarray(shape.grad)[:, :, 0]
        return value, slope

    def _hessian(self, tind: Ids, local: Array) -> Array:
        """Second derivatives (2, 2, n): differences of the gradient along the reference coordinates, pulled back."""
        along = []
        for axis in (0, 1):
            step = np.zeros((2, 1))
            step[axis] = STEP
            ahead, back = (self._at(tind, local + k * step)[1] for k in (1, -1))
            along.append((ahead - back) / (2 * STEP))
        inverse = self.basis.mapping.invDF(local[:, :, None], tind=tind)[..., 0]
        return np.einsum("jin,jkn->ikn", np.stack(along), inverse)


def function_of(basis: skfem.CellBasis, dofs: ArrayLike) -> Callable[[Array], Array]:
    """The function with these degrees of freedom, of points (2, n) with values (n,).

    Outside of the mesh it is the polynomial of the closest cell.

    Raises
    ------
    FieldError
        Not one number for each degree of freedom of the basis.

    >>> basis = skfem.Basis(skfem.MeshTri().refined(2), skfem.ElementTriP2())
    >>> f = function_of(basis, basis.doflocs[0] ** 2)
    >>> f(np.array([[0.3, 0.9], [0.2, 0.1]])).round(12)
    array([0.09, 0.81])
    """
    dofs = np.asarray(dofs, float)
    if dofs.shape != (basis.N,):
        raise FieldError(f"Expected {basis.N} degrees of freedom, as the basis has (got shape {dofs.shape})")
    finder = Finder(basis)

    def function(x: Array) -> Array:
        x = as_points(x)
        tind, local = finder.find(x)
        out = np.zeros(x.shape[1])
        for i in range(basis.Nbfun):
            shape = basis.elem.gbasis(basis.mapping, local[:, :, None], i, tind=tind)[0]
            out += dofs[basis.element_dofs[i, tind]] * np.asarray(shape)[:, 0]
        return out

    return function
