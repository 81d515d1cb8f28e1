"""Primitive shapes: rectangle, disk, ellipse, polygon, triangle."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from meshmove.geometry.arrays import Array

from ..errors import DomainError
from ..given import as_float, as_list, names, number, real, shown
from .boundary import SNAP, Boundary, as_points
from .domain import Domain
from .pieces import Arc, Point, Segment

__all__ = ["Disk", "Ellipse", "Polygon", "Rectangle", "Triangle"]


def _show(value: Any) -> str:
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, tuple):
        return f"({', '.join(map(_show, value))}{',' if len(value) == 1 else ''})"
    return repr(value)


def _call(shape: Domain, *values: Any, **named: Any) -> str:
    words = [_show(v) for v in values] + [f"{k}={_show(v)}" for k, v in named.items()]
    return f"{type(shape).__name__}({', '.join(words)})"


def _point(value: ArrayLike, what: str) -> Point:
    x = real(value, what, "two finite numbers (x, y)", DomainError)
    if x.shape != (2,) or not np.isfinite(x).all():
        raise DomainError(f"Expected {what} as two finite numbers (x, y) (got {shown(value)})")
    return float(x[0]), float(x[1])


def _positive(value: float, what: str) -> float:
    return number(value, f"a positive {what}", error=DomainError)


def _name(value: str) -> str:
    if not isinstance(value, str) or not value:
        raise DomainError(f"Expected a boundary name as a non-empty string (got {value!r})")
    return value


class _Sides(Domain):
    """What shapes with straight sides share: vertices, and a name for all sides or one for each."""

    name: str
    names: tuple[str, ...] | None
    vertices: tuple[Point, ...]  #: corners, in either direction

    def _check(self) -> None:
        _name(self.name)
        vertices = np.array(self.vertices)
        if self.names is not None:
            found = names(self.names, "the names of sides", DomainError)
            if len(found) != len(vertices):
                raise DomainError(f"Expected one name for each of the {len(vertices)} sides (got {found!r})")
            object.__setattr__(self, "names", found)
        extent = np.linalg.norm(np.ptp(vertices, axis=0))
        short = np.flatnonzero(np.linalg.norm(np.roll(vertices, -1, axis=0) - vertices, axis=1) <= SNAP * extent)
        if len(short):
            raise DomainError(
                f"Expected distinct vertices (got vertex {short[0]} and the next one both at "
                f"{_show(self.vertices[short[0]])}); leave one out"
            )

    def _build(self) -> Boundary:
        corners = self.vertices
        names = self.names or (self.name,) * len(corners)
        sides = [Segment(a, b, n) for a, b, n in zip(corners, (*corners[1:], corners[0]), names, strict=True)]
        if _shoelace(np.array(corners)) < 0:  # given clockwise: keep the names of the sides
            sides = [side.reversed() for side in sides]
        return Boundary(tuple(sides))

    def _shown_names(self) -> dict[str, Any]:
        return {"names": self.names} if self.names else {"name": self.name}


def _shoelace(v: Array) -> float:
    x, y = (v - v.mean(0)).T
    return 0.5 * float(x @ np.roll(y, -1) - y @ np.roll(x, -1))


@dataclass(frozen=True, repr=False)
class Rectangle(_Sides):
    """The axis-parallel rectangle between two opposite corners.

    Parameters
    ----------
    lower, upper
        Lower left and upper right corner.
    name
        Name of the whole boundary.
    names
        Instead, one for each side: bottom, right, top, left.

    Raises
    ------
    DomainError
        If `upper` is not above and right of `lower`.

    >>> Rectangle((-1, -1), (1, 1), name="outer")
    Rectangle((-1, -1), (1, 1), name='outer')
    >>> Rectangle((0, 0), (2, 1), names=("bottom", "right", "top", "left")).boundary_names
    ('bottom', 'right', 'top', 'left')
    """

    lower: Point
    upper: Point
    name: str = "rectangle"
    names: tuple[str, ...] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lower", _point(self.lower, "the lower left corner"))
        object.__setattr__(self, "upper", _point(self.upper, "the upper right corner"))
        if not (self.lower[0] < self.upper[0] and self.lower[1] < self.upper[1]):
            raise DomainError(
                f"Expected the upper corner above and right of the lower one "
                f"(got lower {_show(self.lower)}, upper {_show(self.upper)}); are they swapped?"
            )
        self._check()

    @property
    def vertices(self) -> tuple[Point, ...]:  # type: ignore[override]
        (x0, y0), (x1, y1) = self.lower, self.upper
        return (x0, y0), (x1, y0), (x1, y1), (x0, y1)

    def signed_distance(self, x: ArrayLike) -> Array:
        x = as_points(x)
        low, high = np.array(self.lower)[:, None], np.array(self.upper)[:, None]
        d = np.maximum(low - x, x - high)
        return np.minimum(d.max(0), 0) + np.hypot(*np.maximum(d, 0))

    def __repr__(self) -> str:
        return _call(self, self.lower, self.upper, **self._shown_names())


@dataclass(frozen=True, repr=False)
class Polygon(_Sides):
    """A polygon without holes (take those away with ``-``), its vertices in either direction.

    Parameters
    ----------
    vertices
        Corners, (n, 2); the last is joined to the first.
    name
        Name of the whole boundary.
    names
        Instead, one for each side, the side from vertex i to vertex i + 1 at i.

    Raises
    ------
    DomainError
        If there are fewer than three vertices, two in one place, or sides that meet.

    >>> Polygon([(0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)], name="L").area
    3.0
    """

    vertices: tuple[Point, ...]
    name: str = "polygon"
    names: tuple[str, ...] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        given = as_list(self.vertices, "vertices (x, y)", DomainError)
        if len(given) < 3:
            raise DomainError(f"Expected at least three vertices (got {len(given)})")
        corners = tuple(_point(v, f"vertex {i}") for i, v in enumerate(given))
        if corners[0] == corners[-1]:  # closed rings, as shapely and GeoJSON write them
            corners = corners[:-1]
        object.__setattr__(self, "vertices", corners)
        self._check()
        import shapely

        # in units of its extent, where GEOS has the digits
        v = np.array(corners)
        if len(v) < 3 or not shapely.Polygon((v - v.min(0)) / np.ptp(v, axis=0).max()).is_valid:
            raise DomainError(_crossing_message(v))

    def __repr__(self) -> str:
        corners = [_show(v) for v in self.vertices]
        if len(corners) > 6:
            corners = [*corners[:3], "...", corners[-1]]
        return f"Polygon([{', '.join(corners)}], {_call(self, **self._shown_names()).partition('(')[2]}"


def _crossing_message(v: Array) -> str:
    import shapely

    if len(v) < 3 or np.linalg.svd(v - v.mean(0), compute_uv=False)[1] <= SNAP * np.ptp(v, axis=0).max():
        return f"Expected a polygon with an interior (got {len(v)} vertices on one line)"
    reason = shapely.is_valid_reason(shapely.Polygon(v))
    return f"Expected sides that do not cross or touch (got: {reason}); are the vertices in order along the boundary?"


@dataclass(frozen=True, repr=False)
class Triangle(_Sides):
    """The triangle with corners a, b, c; `names` are those of the sides ab, bc, ca.

    >>> Triangle((0, 0), (1, 0), (0, 1)).area
    0.5
    """

    a: Point
    b: Point
    c: Point
    name: str = "triangle"
    names: tuple[str, ...] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for corner in "abc":
            object.__setattr__(self, corner, _point(getattr(self, corner), f"corner {corner}"))
        self._check()
        v = np.array(self.vertices)
        if abs(_shoelace(v)) <= SNAP * np.linalg.norm(np.ptp(v, axis=0)) ** 2:
            raise DomainError(f"Expected corners that are not on one line (got {_show(self.vertices)})")

    @property
    def vertices(self) -> tuple[Point, ...]:  # type: ignore[override]
        return self.a, self.b, self.c

    def __repr__(self) -> str:
        return _call(self, self.a, self.b, self.c, **self._shown_names())


def _quarters(center: Point, axes: Point, angle: float, name: str) -> Boundary:
    turns = np.arange(5) * (np.pi / 2)
    arcs = [Arc(center, axes, angle, float(t0), float(t1), name) for t0, t1 in zip(turns[:-1], turns[1:], strict=True)]
    return Boundary(tuple(arcs))


@dataclass(frozen=True, repr=False)
class Disk(Domain):
    """The disk around a centre.

    >>> hole = Disk((0.6, -0.6), 0.2, name="hole")
    >>> hole
    Disk((0.6, -0.6), 0.2, name='hole')
    >>> hole.signed_distance([[0.6, 1.6], [-0.6, -0.6]])
    array([-0.2,  0.8])
    """

    center: Point
    radius: float
    name: str = "disk"

    def __post_init__(self) -> None:
        object.__setattr__(self, "center", _point(self.center, "the centre"))
        object.__setattr__(self, "radius", _positive(self.radius, "radius"))
        _name(self.name)

    def _build(self) -> Boundary:
        return _quarters(self.center, (self.radius, self.radius), 0.0, self.name)

    def signed_distance(self, x: ArrayLike) -> Array:
        return np.hypot(*(as_points(x) - np.array(self.center)[:, None])) - self.radius

    def __repr__(self) -> str:
        return _call(self, self.center, self.radius, name=self.name)


@dataclass(frozen=True, repr=False)
class Ellipse(Domain):
    """The ellipse around a centre with semi-axes (a, b), turned by `angle` (radians, counter-clockwise).

    >>> round(Ellipse((0, 0), (2, 1), angle=0.3).area / np.pi, 12)
    2.0
    """

    center: Point
    axes: Point
    angle: float = 0.0
    name: str = "ellipse"

    def __post_init__(self) -> None:
        object.__setattr__(self, "center", _point(self.center, "the centre"))
        a, b = _point(self.axes, "the semi-axes")
        object.__setattr__(self, "axes", (_positive(a, "semi-axis"), _positive(b, "semi-axis")))
        angle = as_float(self.angle)
        if not np.isfinite(angle):
            raise DomainError(f"Expected a finite angle in radians (got {shown(self.angle)}); pass the name as name=")
        object.__setattr__(self, "angle", angle)
        _name(self.name)

    def _build(self) -> Boundary:
        return _quarters(self.center, self.axes, self.angle, self.name)

    def __repr__(self) -> str:
        return _call(self, self.center, self.axes, angle=self.angle, name=self.name)
