"""Transfer by interpolation: the old field, evaluated at the new nodes."""

from __future__ import annotations

from numpy.typing import ArrayLike, NDArray

from meshmove.geometry.errors import FieldError
from meshmove.geometry.given import real
from meshmove.geometry.location import PointLocator, locator_of
from meshmove.geometry.mesh import CellMesh

__all__ = ["interpolate"]


def interpolate(
    mesh: CellMesh, values: ArrayLike, points_new: ArrayLike, locator: PointLocator | None = None
) -> NDArray:
    """The piecewise (multi)linear field of nodal values, at other points.

    Exact for linear fields and never outside the range of the old values, but it does not keep integrals: see
    `conservative`. Points on the boundary, or outside by rounding or more, take the value of the closest point.

    Parameters
    ----------
    mesh
        The mesh that the values belong to.
    values
        Values at its vertices, (n,) or (n, k).
    points_new
        Where they are wanted, one row a point as in the mesh, (m, dim).
    locator
        A `PointLocator` of `mesh`, to use it again.

    Returns
    -------
    Values (m,) or (m, k).

    Raises
    ------
    FieldError
        Values or points of another shape, or not finite.

    Examples
    --------
    >>> mesh = CellMesh.single([[0, 0], [1, 0], [1, 1], [0, 1]], [[0, 1, 2, 3]], "quad")
    >>> interpolate(mesh, [0, 1, 3, 2], [[0.5, 0.5], [1, 0.25]])
    array([1.5, 1.5])
    """
    wanted = f"an array of shape (m, {mesh.dim}), one row a point"
    points = real(points_new, "points", wanted)
    if points.ndim != 2 or points.shape[1] != mesh.dim:
        raise FieldError(f"Expected points as {wanted} (got {points.shape})")
    return locator_of(mesh, locator).interpolate(values, points.T)
