"""Planar meshes that are held in three coordinates: flattened to the plane, and displacements raised back."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from meshmove.geometry.arrays import Array

from .errors import UnsupportedMeshError

__all__ = ["PlaneFrame", "flatten"]


# Signs and axes of an oblique frame are chosen with these weights rather than by size alone: real planes have
# normals like (1, 1, 0), where a rule by size would be decided by rounding.
_SIGN = np.array([0.6112, 0.7327, 1.0])
_PREFERENCE = np.array([1.0, 1.0173, 1.0391])


@dataclass(frozen=True, eq=False)
class PlaneFrame:
    """Two orthonormal axes (2, 3) of a plane; `columns` names them where they are coordinate axes.

    `origin` (3,) is the place in space of the in-plane coordinates (0, 0).
    """

    axes: Array
    columns: tuple[int, int] | None = None
    origin: Array = field(default_factory=lambda: np.zeros(3))

    def project(self, points: ArrayLike) -> Array:
        """In-plane coordinates (n, 2) of points (n, 3)."""
        p = np.asarray(points, float)
        return p[:, self.columns].copy() if self.columns is not None else p @ self.axes.T

    def raise_(self, displacement: ArrayLike) -> Array:
        """Displacements (n, 2) in the plane as displacements (n, 3) in space; zero stays exactly zero.

        >>> points = np.array([[0, 5, 0], [1, 5, 0], [0, 5, 1.0]])
        >>> flatten(points)[1].raise_([[0.5, 2.0]])
        array([[0.5, 0. , 2. ]])
        """
        d = np.asarray(displacement, float)
        if self.columns is None:
            return d @ self.axes
        out = np.zeros((len(d), 3))
        out[:, self.columns] = d
        return out

    def place(self, points: ArrayLike) -> Array:
        """Where points (n, 2) of the plane are in space, (n, 3).

        >>> points = np.array([[0, 5, 0], [1, 5, 0], [0, 5, 1.0]])
        >>> flatten(points)[1].place([[0.5, 2.0]])
        array([[0.5, 5. , 2. ]])
        """
        return self.raise_(points) + self.origin

    def same_plane(self, other: PlaneFrame, tolerance: float) -> bool:
        """Whether two frames are of the same plane, their origins up to `tolerance` apart."""
        turned = np.abs(self.axes - other.axes).max()
        return bool(turned <= 1e-6 and np.linalg.norm(self.origin - other.origin) <= tolerance)


def flatten(points: ArrayLike) -> tuple[Array, PlaneFrame]:
    r"""Coordinates in the plane that all points share.

    A plane of constant x, y or z gives its other two columns as they are. Any other plane gets the frame
    :math:`a_1 \propto e_k - (n \cdot e_k) n,\; a_2 = n \times a_1`, where n is the last right singular vector of
    the centred points and e_k the coordinate axis furthest from n. The frame depends on the plane alone, not on
    where in it the points lie, so a mesh and its moved copy have the same in-plane coordinates.

    Parameters
    ----------
    points
        Coordinates (n, 3); all of them finite.

    Returns
    -------
    points2, frame
        In-plane coordinates (n, 2), and the `PlaneFrame` whose `raise_` brings displacements back to space.

    Raises
    ------
    UnsupportedMeshError
        The points leave their best plane by more than a millionth of their extent (or their storage precision).

    Examples
    --------
    >>> flatten([[0, 0, 7], [1, 0, 7], [0, 2, 7]])[0]
    array([[0., 0.],
           [1., 0.],
           [0., 2.]])
    """
    raw = np.asarray(points)
    p = raw.astype(np.float64)
    spread = np.ptp(p, axis=0)
    extent = float(np.linalg.norm(spread))
    stored = np.finfo(raw.dtype).eps if raw.dtype.kind == "f" else 0.0
    tolerance = max(1e-6 * extent, 8 * max(stored, np.finfo(float).eps) * float(np.abs(p).max()))
    flat = 2 - int(np.argmin(spread[::-1]))  # of several constant columns the last: z before y before x
    if spread[flat] <= tolerance:
        first, second = (c for c in range(3) if c != flat)
        origin = np.zeros(3)
        origin[flat] = (p[:, flat].min() + p[:, flat].max()) / 2
        frame = PlaneFrame(np.eye(3)[[first, second]], (first, second), origin)
        return frame.project(p), frame
    centred = p - p.mean(axis=0)
    normal = np.linalg.svd(centred, full_matrices=False)[2][2]
    off = float(np.abs(centred @ normal).max())
    if off > tolerance:
        raise UnsupportedMeshError(
            "Expected 2-D cells whose nodes lie in one plane (got a surface in 3-D: nodes lie up to "
            f"{off:.3g} off the best plane, {off / extent:.1%} of the extent). "
            "Curved surfaces are not moved; pass a plane mesh or a volume mesh"
        )
    normal = normal if normal @ _SIGN > 0 else -normal
    start = np.eye(3)[np.argmin(np.abs(normal) * _PREFERENCE)]
    first = start - (start @ normal) * normal
    first /= np.linalg.norm(first)
    frame = PlaneFrame(np.stack([first, np.cross(normal, first)]), origin=(p.mean(axis=0) @ normal) * normal)
    return frame.project(p), frame
