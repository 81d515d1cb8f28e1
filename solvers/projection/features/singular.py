r"""What a problem's corners and small holes ask of the features: powers of r cut off smoothly, Laurent series.

Re and Im of the powers of `Analytic`. Where the operator is a constant multiple of the Laplacian in z, they solve the
homogeneous equation: they reach everywhere, and cost rows on the boundary only. Otherwise they are cut off by
(1 - s^2)^4, s = |z - a|/radius < 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.arrays import Array
from meshmove.solvers.pde import Corner, Hole, UnitProblem

from .analytic import Analytic

__all__ = ["Local", "corner_features", "hole_features"]


#: powers of r beyond this are left to the smooth features
_HIGHEST, _HIGHEST_CUT = 2.6, 2.1
_ORDER = 4
#: radius of the cut-off in unit coordinates
_RADIUS = 0.5


@dataclass(frozen=True)
class Local:
    """Analytic features around one point, cut off at a distance measured in their own plane (infinite: not cut).

    `homogeneous` says that they solve the homogeneous equation.
    """

    features: Analytic
    radius: float
    homogeneous: bool = False

    @property
    def size(self) -> int:
        """Number of columns."""
        return self.features.size

    def _offset(self, X: Array) -> Array:
        a = self.features.a[0]
        return self.features.scale[:, :1] * X - np.array([[a.real], [a.imag]])

    def support(self, X: Array) -> NDArray[np.int64]:
        """Indices of the points (2, n) at which the columns are not zero."""
        return np.flatnonzero((self._offset(X) ** 2).sum(0) < self.radius**2)

    def jets(self, X: Array) -> Array:
        """Value, dX, dY, dXX, dYY of all columns at points of the support, (5, size, n)."""
        jets = self.features.jets(X)
        if np.isinf(self.radius):
            return jets
        s, d = self.features.scale[:, :1], self._offset(X) / self.radius
        t = np.maximum(1 - (d**2).sum(0), 0)
        slope = -2 * _ORDER * t ** (_ORDER - 1) * d * s / self.radius
        bend = (s / self.radius) ** 2 * (
            4 * _ORDER * (_ORDER - 1) * t ** (_ORDER - 2) * d**2 - 2 * _ORDER * t ** (_ORDER - 1)
        )
        value, cut = jets[0], t**_ORDER
        for first, second, falls, bends in zip(jets[1:3], jets[3:5], slope, bend, strict=True):
            second *= cut
            second += 2 * falls * first
            second += bends * value
            first *= cut
            first += falls * value
        value *= cut
        return jets


def _columns(scale: Array, a: complex, c: complex, cut: complex, entries: list[tuple[float, float, int]]) -> Analytic:
    power, phase, conjugate = np.array(entries, float).reshape(-1, 3).T
    at, end, ray = (np.full(len(power), number, np.complex128) for number in (a, c, cut))
    return Analytic(np.outer(scale, np.ones(len(power))), at, end, ray, power, phase, conjugate)


def _both(power: float, conjugate: int = 0) -> list[tuple[float, float, int]]:
    """Real and imaginary part."""
    return [(power, 0.0, conjugate), (power, -0.5 * np.pi, conjugate)]


def _broken(power: float) -> bool:
    return abs(power - round(power)) > 1e-6


def _pure(unit: UnitProblem) -> bool:
    """Whether the operator has constant coefficients, of second order only."""
    constants = unit.constants
    return constants is not None and not constants[:3].any()


def _at(unit: UnitProblem, corner: Corner) -> Local:
    scale = np.asarray(corner.scale)
    a = complex(*(scale * corner.at))
    cut = -np.exp(1j * (corner.start + 0.5 * corner.opening))
    pure = _pure(unit)
    radius, highest = (float("inf"), _HIGHEST) if pure else (_RADIUS, _HIGHEST_CUT)
    t = np.geomspace(1e-4, min(radius, 4.0 * scale.max()), 300)
    ray = np.stack([(a + t * cut).real, (a + t * cut).imag]) / scale[:, None]
    back = np.flatnonzero(unit.contains(ray) & (np.abs(ray) <= 1).all(0))
    c = a + 0.5 * t[back[0]] * cut if len(back) else complex(np.nan)
    shift = 0.0 if corner.kinds[0] == corner.kinds[1] else 0.5
    powers = [(k - shift) * np.pi / corner.opening for k in range(1, 9)]
    entries: list[tuple[float, float, int]] = []
    for p in sorted({round(p + m, 9) for p in powers for m in range(3)}):
        if p < highest and _broken(p):
            entries += _both(p)
    if not pure:
        entries += [e for p in powers if p + 1 < highest and _broken(p) for e in _both(round(p, 9), 1)]
    return Local(_columns(scale, a, c, cut, entries), radius, pure)


def corner_features(unit: UnitProblem) -> list[Local]:
    """Singular functions at the corners of an elliptic problem.

    A factor (z - a)/(z - c) takes the place of z - a where the ray that cuts the plane would meet the domain again;
    c is then in the middle of the part of the ray outside, as for the corners of a polygonal hole.
    """
    return [_at(unit, corner) for corner in unit.corners] + _resonant(unit)


def _resonant(unit: UnitProblem) -> list[Local]:
    """w log w at right angles between a Dirichlet and a Neumann side, where the first power meets linear data."""
    pde, boundary = unit.pde, unit.pde.domain.boundary
    if pde.kind != "elliptic" or pde.extra or len({row.kind for side in pde.sides for row in side.rows}) < 2:
        return []
    starts = np.concatenate([p.point(np.zeros(1)) for p in boundary.pieces], axis=1)
    ends = np.concatenate([p.point(np.ones(1)) for p in boundary.pieces], axis=1)
    found = []
    for k, side in enumerate(pde.sides):
        gap = np.hypot(*(ends - starts[:, k : k + 1]))
        other = int(gap.argmin())
        rows = side.rows, pde.sides[other].rows
        if other == k or gap[other] > 1e-7 * boundary.extent or not all(rows) or rows[0][0].kind == rows[1][0].kind:
            continue
        ahead = boundary.pieces[k].tangent(np.zeros(1))[:, 0]
        back = -boundary.pieces[other].tangent(np.ones(1))[:, 0]
        a2 = np.abs(pde.coefficients_at(starts[:, k : k + 1])[3:, 0])
        if a2.min() <= 0:
            continue
        stretch = 1 / np.sqrt(a2)
        start, end = (np.arctan2(v[1] * stretch[1], v[0] * stretch[0]) for v in (ahead, back))
        opening = float(np.mod(end - start, 2 * np.pi))
        if abs(opening - 0.5 * np.pi) < 0.15:
            scale = unit.half * stretch
            scale = scale / np.sqrt(scale.prod())
            a = complex(*(scale * unit.to_unit(starts[:, k : k + 1])[:, 0]))
            cut = -np.exp(1j * (start + 0.5 * opening))
            columns = _columns(scale, a, complex(np.nan), cut, _both(1.0, -1))
            found.append(Local(columns, float("inf") if _pure(unit) else _RADIUS, _pure(unit)))
    return found


def hole_features(unit: UnitProblem, below: float) -> list[Local]:
    """What smooth features of length `below` / 4 do not see of the holes.

    Around holes of radius less than `below`: logarithm and negative powers at the middle. Around ellipses whose foci
    are closer than that to their tips: powers of (z - f1)/(z - f2), with the segment between the foci as their cut.
    """
    if unit.pde.kind != "elliptic" or unit.pde.extra:
        return []
    curved = {p.name for p in unit.pde.domain.boundary.pieces if not p.straight}
    scale = 1 / np.sqrt(np.abs(unit.means[3:]).clip(1e-12))
    scale /= np.sqrt(scale.prod())
    found = []
    for hole in unit.holes:
        a, b = _stretched(hole, scale)
        focus = np.sqrt(max(abs(a) ** 2 - b**2, 0.0)) * a / abs(a)
        middle = complex(*(scale * hole.center))
        if hole.name in curved and b < 0.8 * abs(a) and abs(a) - abs(focus) < below:
            entries = [e for p in (0.5, -0.5, 1.5, -1.5) for e in _both(p)]
            columns = _columns(scale, middle + focus, middle - focus, 1.0 + 0j, entries)
            found.append(Local(columns, float("inf"), _pure(unit)))
        if hole.radius < below:
            entries = [(0.0, 0.0, 0), *(e for k in range(1, 5) for e in _both(-float(k)))]
            columns = _columns(scale, middle, complex(np.nan), 1.0 + 0j, entries)
            found.append(Local(columns, float("inf"), _pure(unit)))
    return found


def _stretched(hole: Hole, scale: Array) -> tuple[complex, float]:
    """The longer half axis, as a complex number, and the length of the shorter one, of a hole's ellipse in z."""
    turn = np.array([[np.cos(hole.angle), -np.sin(hole.angle)], [np.sin(hole.angle), np.cos(hole.angle)]])
    vectors, lengths, _ = np.linalg.svd(scale[:, None] * turn * hole.axes)
    return complex(*(vectors[:, 0] * lengths[0])), float(lengths[1])
