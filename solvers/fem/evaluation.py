"""Values of finite element functions at points, also on curved cells and just outside of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import skfem
from numpy.typing import ArrayLike, NDArray

from meshmove.geometry import CellMesh, FieldError, PointLocator
from meshmove.geometry.arrays import Array
from meshmove.geometry.domains.domain import as_points

__all__ = ["function_of"]

NEWTON = 8  #: steps that invert the map of a curved cell; its bulge is a perturbation of a linear map


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
    mesh = basis.mesh
    kind = "quad" if isinstance(mesh, skfem.MeshQuad) else "triangle"
    vertices, cells = np.unique(mesh.t, return_inverse=True)
    locator = PointLocator(CellMesh.single(mesh.p[:, vertices].T, cells.reshape(mesh.t.shape).T, kind))

    def function(x: Array) -> Array:
        x = as_points(x)
        tind = locator.find(x).cells
        local = _local(basis, x, tind)
        out = np.zeros(x.shape[1])
        for i in range(basis.Nbfun):
            shape = basis.elem.gbasis(basis.mapping, local[:, :, None], i, tind=tind)[0]
            out += dofs[basis.element_dofs[i, tind]] * np.asarray(shape)[:, 0]
        return out

    return function


def _local(basis: skfem.CellBasis, x: Array, tind: NDArray) -> Array:
    """Reference coordinates (2, n) of points in cells, by Newton's method (exact at once for straight triangles)."""
    mapping = basis.mapping
    local = np.full(x.shape, 1 / 3)
    for _ in range(NEWTON):
        miss = x - mapping.F(local[:, :, None], tind=tind)[:, :, 0]
        step = np.einsum("ijn,jn->in", mapping.invDF(local[:, :, None], tind=tind)[..., 0], miss)
        local = local + step
        if np.abs(step).max(initial=0.0) < 1e-13:
            break
    return local
