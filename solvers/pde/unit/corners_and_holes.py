"""Holes and re-entrant corners of a domain, in the coordinates of its unit problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from meshmove.geometry.arrays import Array
from meshmove.geometry.domains.meshing.gmsh_engine import shells
from meshmove.geometry.domains.meshing.sizes import joined_ends

from ..sides import DIRICHLET

if TYPE_CHECKING:
    from ..statement import Statement
    from .frame import UnitFrame

__all__ = ["Corner", "Hole", "corners_of", "holes_of"]


#: openings this far (radians) beyond the regular one count: polylines that draw a curve have no corners
SHARP = 0.15


@dataclass(frozen=True, eq=False)
class Hole:
    """A bounded component of the complement.

    `center` (2,) in X, inside the hole, `radius` of the largest circle around it inside the hole, `axes` (2,) and
    `angle` (radians) of the ellipse with its area and second moments, `name` of its (first) boundary.
    """

    center: Array
    radius: float
    axes: Array
    angle: float
    name: str


@dataclass(frozen=True, eq=False)
class Corner:
    """A boundary point at which solutions have an unbounded gradient.

    In the plane z = scale * (X - at) the principal part is a multiple of the Laplacian there, and the domain is the
    sector start < angle < start + opening. `kinds` are those of the sides at `start` and at `start + opening`,
    0 Dirichlet, 1 Neumann. Solutions behave like r^(k pi / opening), or r^((k - 1/2) pi / opening) where the kinds
    differ, k = 1, 2, ... `at` (2,), `scale` (2,) with scale.prod() = 1. `reach`: distance in X to the nearest piece
    that does not end here.
    """

    at: Array
    scale: Array
    start: float
    opening: float
    kinds: tuple[int, int]
    reach: float

    @property
    def exponent(self) -> float:
        """The lowest power of r."""
        return float(np.pi / self.opening * (1 if self.kinds[0] == self.kinds[1] else 0.5))


def holes_of(pde: Statement, frame: UnitFrame) -> tuple[Hole, ...]:
    boundary = pde.domain.boundary
    ids, points = joined_ends(boundary)
    found = []
    for shell in shells(points, ids.T):
        for loop in shell[1:]:
            outline = [
                boundary.pieces[i].point(np.linspace(0, 1, 2 if boundary.pieces[i].straight else 33)[:-1]) for i in loop
            ]
            found.append(_hole(frame.to_unit(np.concatenate(outline, axis=1)), boundary.pieces[loop[0]].name))
    return tuple(found)


def _hole(p: Array, name: str) -> Hole:
    import shapely

    polygon = shapely.Polygon(p.T)
    area, center, second = _moments(p)
    if not polygon.contains(shapely.Point(center)):
        center = np.array(shapely.maximum_inscribed_circle(polygon).coords[0])
    radius = polygon.exterior.distance(shapely.Point(center))
    values, vectors = np.linalg.eigh(second / area)
    axes = 2 * np.sqrt(np.maximum(values[::-1], 1e-300))
    axes *= np.sqrt(area / (np.pi * axes.prod()))
    return Hole(center, float(radius), axes, float(np.arctan2(vectors[1, 1], vectors[0, 1])), name)


def _moments(p: Array) -> tuple[float, Array, Array]:
    """Area, centroid and central second moments of a polygon in either direction."""
    middle = p.mean(axis=1, keepdims=True)
    a = p - middle
    b = np.roll(a, -1, axis=1)
    cross = a[0] * b[1] - a[1] * b[0]
    area = cross.sum() / 2
    mean = ((a + b) * cross).sum(axis=1) / (6 * area)
    second = np.einsum("in,jn,n->ij", a, a, cross) + np.einsum("in,jn,n->ij", b, b, cross)
    second += np.einsum("in,jn,n->ij", a + b, a + b, cross)
    second = second / 24 - area * np.outer(mean, mean)
    return abs(float(area)), mean + middle[:, 0], second * np.sign(area)


def corners_of(pde: Statement, frame: UnitFrame) -> tuple[Corner, ...]:
    """Corners of elliptic problems: openings beyond pi, beyond pi/2 where Dirichlet and Neumann sides meet."""
    boundary = pde.domain.boundary
    if pde.kind != "elliptic":
        return ()
    ids, points = joined_ends(boundary)
    found = []
    for loop in (loop for shell in shells(points, ids.T) for loop in shell):
        for before, after in zip(np.roll(loop, 1), loop, strict=True):
            corner = _corner(pde, frame, int(before), int(after))
            if corner is not None:
                found.append(corner)
    return tuple(found)


def _corner(pde: Statement, frame: UnitFrame, before: int, after: int) -> Corner | None:
    """The corner at which one piece ends and the next begins; the domain lies left of both."""
    boundary = pde.domain.boundary
    arriving, leaving = boundary.pieces[before], boundary.pieces[after]
    at = leaving.point(np.array([0.0]))
    back = -arriving.tangent(np.array([1.0]))
    ahead = leaving.tangent(np.array([0.0]))
    a, b = np.abs(pde.coefficients_at(at)[3:5, 0])
    if pde.extra or not (a > 0 and b > 0):
        return None
    scale = np.array([frame.half[0] / np.sqrt(a), frame.half[1] / np.sqrt(b)])
    scale /= np.sqrt(scale.prod())
    stretch = scale / frame.half
    start = float(np.arctan2(ahead[1, 0] * stretch[1], ahead[0, 0] * stretch[0]))
    end = float(np.arctan2(back[1, 0] * stretch[1], back[0, 0] * stretch[0]))
    opening = float(np.mod(end - start, 2 * np.pi)) or 2 * np.pi
    rows = [pde.sides[i].rows for i in (after, before)]
    if not all(rows):
        return None
    first, second = (0 if r[0].kind == DIRICHLET else 1 for r in rows)
    if opening <= (np.pi if first == second else np.pi / 2) + SHARP:
        return None
    X = frame.to_unit(at)
    others = [i for i in range(len(boundary)) if i not in (before, after)]
    s = np.linspace(0, 1, 33)
    reach = min(
        (float(np.hypot(*(frame.to_unit(boundary.pieces[i].point(s)) - X)).min()) for i in others), default=np.inf
    )
    return Corner(X[:, 0], scale, start, opening, (first, second), reach)
