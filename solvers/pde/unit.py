"""`UnitProblem`: a problem in the coordinates of the square [-1, 1]^2, as rows of equations and as a picture."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.domains.domain import as_points

from ._functions import Array, ProblemError, evaluate
from ._sides import DIRICHLET, ROBIN, VELOCITY, Row
from .shape import Corner, Hole, corners_of, holes_of

if TYPE_CHECKING:
    from .linear import LinearPDE

__all__ = ["BoundaryRows", "InteriorRows", "UnitProblem"]

Ids = NDArray[np.int64]

#: boundary samples in the length of a pixel of a raster
PER_PIXEL = 6
#: real roots of g^(d+1) = g + 1, whose powers make the additive recurrence in d = 2 and 3 dimensions
_ROOTS = (1.32471795724474602596, 1.22074408460575947536)


class InteriorRows(NamedTuple):
    """The equation at points: ``(coefficients * (u, uX, uY, uXX, uYY)).sum(0) = source``.

    `points` (2, n), `coefficients` (5, n), or (6, n) where it has uXY, `source` (n,), and `weights` (n,), which sum to
    the area: the sum of weights times squared residuals is the squared L2 norm of the residual over the unit domain.
    """

    points: Array
    coefficients: Array
    source: Array
    weights: Array


class BoundaryRows(NamedTuple):
    """The conditions at points: ``(coefficients * (u, uX, uY)).sum(0) = values``.

    `points` (2, n), `coefficients` (3, n), `values` (n,), `kinds` (n,): 0 Dirichlet, 1 Neumann, 2 initial velocity,
    3 Robin, `names` (n,) of the boundaries, `weights` (n,), the arc length in unit coordinates that a row stands for.
    """

    points: Array
    coefficients: Array
    values: Array
    kinds: Ids
    names: NDArray[np.str_]
    weights: Array


class UnitProblem:
    r"""The problem in unit coordinates X, x = center + half X, where half is half the bounding box.

    With U(X) = u(x) the derivatives are u_x = U_X / half_0, u_xx = U_XX / half_0^2 and so on, so the coefficients are
    divided by powers of half; sources and values stay as they are. Neumann rows are n_0 U_X / half_0 +
    n_1 U_Y / half_1 = value with the physical normal n. In time problems Y is the time.

    Attributes
    ----------
    pde
        The problem in its own coordinates.
    center, half
        (2,) each.

    >>> from meshmove.geometry import Rectangle
    >>> from meshmove.solvers.pde import Dirichlet, LinearPDE
    >>> pde = LinearPDE(Rectangle((0, 0), (4, 2)), uxx=-1, uyy=-1, source=1, conditions={"rectangle": Dirichlet()})
    >>> pde.unit.half, pde.unit.constants
    (array([2., 1.]), array([ 0.  ,  0.  ,  0.  , -0.25, -1.  ]))
    """

    def __init__(self, pde: LinearPDE) -> None:
        self.pde = pde
        low, high = np.array(pde.domain.bounds)
        self.center: Array = 0.5 * (low + high)
        self.half: Array = 0.5 * (high - low)

    # ---- coordinates
    @property
    def powers(self) -> Array:
        """What coefficients of (u, ux, uy, uxx, uyy) are divided by, (5,), or (6,) where there is uxy."""
        hx, hy = self.half
        return np.array([1.0, hx, hy, hx**2, hy**2, hx * hy][: len(self.pde.coefficients)])

    def to_unit(self, x: Array) -> Array:
        """Points (2, n) in unit coordinates."""
        return (as_points(x) - self.center[:, None]) / self.half[:, None]

    def to_physical(self, X: Array) -> Array:
        """Points (2, n) of unit coordinates where they are."""
        return as_points(X) * self.half[:, None] + self.center[:, None]

    @property
    def area(self) -> float:
        """Area in unit coordinates."""
        return self.pde.domain.area / float(self.half.prod())

    @property
    def perimeter(self) -> float:
        """Length of the boundary that carries conditions, in unit coordinates."""
        return float(self._lengths[[bool(side.rows) for side in self.pde.sides]].sum())

    # ---- the operator
    @property
    def constants(self) -> Array | None:
        """Coefficients (5,) in unit coordinates, or None where they vary."""
        if not self.pde.is_constant:
            return None
        return np.array(self.pde.coefficients, float) / self.powers

    @cached_property
    def means(self) -> Array:
        """Coefficients (5,) in unit coordinates, their means over the domain where they vary."""
        fixed = self.constants
        return self.interior(512).coefficients.mean(axis=1) if fixed is None else fixed

    def contains(self, X: Array) -> NDArray[np.bool_]:
        """Whether points (2, n) in unit coordinates are in the domain."""
        return self.pde.domain.contains(self.to_physical(X))

    # ---- rows
    def interior(self, n: int, seed: int = 0, density: Callable[[Array], Array] | None = None) -> InteriorRows:
        """The equation at n points of low discrepancy inside the exact domain.

        Parameters
        ----------
        n
            How many.
        seed
            Shifts the sequence: points of different seeds are distinct.
        density
            Positive function of X (2, m) that the density of points follows; uniform by default.

        References
        ----------
        Roberts, The unreasonable effectiveness of quasirandom sequences, 2018 (additive recurrence).
        """
        if n < 1:
            raise ProblemError(f"Expected a positive number of interior points (got {n})")
        X, share = self._scattered(int(n), seed, density)
        x = self.to_physical(X)
        coefficients = self.pde.coefficients_at(x) / self.powers[:, None]
        return InteriorRows(X, coefficients, self.pde.source_at(x), share * self.area / share.sum())

    def _scattered(self, n: int, seed: int, density: Callable[[Array], Array] | None) -> tuple[Array, Array]:
        """Points (2, n), and what share of the area each stands for, up to a factor."""
        outline = self.pde.domain.boundary
        step = _ROOTS[density is not None] ** -np.arange(1.0, 3.0 if density is None else 4.0)
        shift = np.random.default_rng(seed).random(len(step))
        found: list[Array] = []
        have, first, top, block = 0, 1, 0.0, int(4.4 * n / self.area) + 16
        while have < n:
            trial = np.mod(shift[:, None] + step[:, None] * np.arange(first, first + block), 1)
            trial = trial[:, outline.encloses(self.to_physical(2 * trial[:2] - 1))]
            share = np.ones(trial.shape[1])
            if density is not None:
                rho = np.asarray(density(2 * trial[:2] - 1), float)
                top = top or float(rho.max(initial=0.0))
                level = np.clip(rho / top, 0.02, 1.0)  # no part of the domain is left out
                kept = trial[2] < level
                trial, share = trial[:, kept], 1 / level[kept]
            found.append(np.concatenate([2 * trial[:2] - 1, share[None]]))
            have += len(share)
            first, block = first + block, min(2 * block, 1 << 20)
        out = np.concatenate(found, axis=1)[:, :n]
        return out[:2], out[2]

    def boundary(self, n: int, seed: int = 0) -> BoundaryRows:
        """The conditions at about n points of the exact boundary, evenly by arc length in unit coordinates.

        Straight sides and whole curves get some twenty points even where they are short; points at the first time of
        a second-order problem carry two rows, its value and its velocity. The last time has none.
        """
        if n < 1:
            raise ProblemError(f"Expected a positive number of boundary points (got {n})")
        sides = [i for i, side in enumerate(self.pde.sides) if side.rows]
        if not sides:
            none = np.empty(0)
            return BoundaryRows(np.empty((2, 0)), np.empty((3, 0)), none, np.empty(0, int), np.empty(0, str), none)
        length = self._lengths[sides]
        least = np.where([self.pde.domain.boundary.pieces[i].straight for i in sides], 20, 6)
        least = np.minimum(least, max(2, 2 * n // len(sides)))
        count = np.maximum(np.ceil(n * length / length.sum()).astype(int), least)
        shift = np.random.default_rng(seed).random(len(sides)) * 0.8 + 0.1 if seed else np.full(len(sides), 0.5)
        piece = np.repeat(sides, count)
        start = np.repeat(np.cumsum(count) - count, count)
        fraction = (np.arange(len(piece)) - start + np.repeat(shift, count)) / np.repeat(count, count)
        x, normal = self._on(piece, fraction)
        return self._rows(piece, x, normal, np.repeat(length / count, count))

    @cached_property
    def _lengths(self) -> Array:
        """Lengths of the pieces in unit coordinates, (pieces,)."""
        pieces = self.pde.domain.boundary.pieces
        s = np.linspace(0, 1, 33)
        lengths = np.empty(len(pieces))
        for i, p in enumerate(pieces):
            X = p.point(s[[0, -1]] if p.straight else s) / self.half[:, None]
            lengths[i] = np.hypot(*np.diff(X, axis=1)).sum()
        return lengths

    def _on(self, piece: Ids, fraction: Array) -> tuple[Array, Array]:
        """Points and physical normals at fractions of the arc length of pieces."""
        boundary, s = self.pde.domain.boundary, fraction.copy()
        for i in np.unique(piece):
            curve = boundary.pieces[i]
            if not curve.straight:
                s[piece == i] = self._along(i, fraction[piece == i])
        return boundary.evaluate(piece, s)

    def _along(self, i: int, fraction: Array) -> Array:
        """Parameters of a curved piece at fractions of its arc length in unit coordinates."""
        s = np.linspace(0, 1, 65)
        X = self.pde.domain.boundary.pieces[i].point(s) / self.half[:, None]
        length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(X, axis=1)))])
        return np.interp(fraction, length / length[-1], s)

    def _rows(self, piece: Ids, x: Array, normal: Array, weights: Array) -> BoundaryRows:
        parts = []
        groups: dict[tuple, list[int]] = {}  # pieces that share a condition are evaluated together
        for i in np.unique(piece):
            groups.setdefault(self.pde.sides[i].rows, []).append(int(i))
        for rows, members in groups.items():
            at = np.flatnonzero(np.isin(piece, members))
            names = np.array([self.pde.sides[i].name for i in piece[at]])
            for row in rows:
                parts.append(
                    BoundaryRows(
                        self.to_unit(x[:, at]),
                        self._operator(row, x[:, at], normal[:, at]),
                        evaluate(row.value, x[:, at], row.what),
                        np.full(len(at), row.kind),
                        names,
                        weights[at],
                    )
                )
        return BoundaryRows(*(np.concatenate(c, axis=-1) for c in zip(*parts, strict=True)))

    def _operator(self, row: Row, x: Array, normal: Array) -> Array:
        zero, one = np.zeros(normal.shape[1]), np.ones(normal.shape[1])
        if row.kind == DIRICHLET:
            return np.stack([one, zero, zero])
        if row.kind == VELOCITY:
            return np.stack([zero, zero, one / self.half[1]])
        if row.kind == ROBIN:
            zero = evaluate(row.share, x, row.what)
        return np.stack([zero, normal[0] / self.half[0], normal[1] / self.half[1]])

    # ---- the picture
    def raster(self, n: int) -> Array:
        """Six channels (6, n, n) over [-1, 1]^2, pixel centres at -1 + 1/n, ..., 1 - 1/n; row 0 has the lowest Y.

        Channels: Dirichlet mask, Neumann mask, Dirichlet values, Neumann values, source, inside. A pixel belongs to a
        boundary that passes through it, and has the mean of the values along what is in it. Neumann values are
        derivatives along the unit direction of the row's derivative in X; an initial velocity is -dU/dY, the
        derivative along the outward normal. The source is 0 outside.
        """
        if n < 2:
            raise ProblemError(f"Expected at least two pixels a side (got {n})")
        self._check_drawable()
        out = np.zeros((6, n * n))
        line = (2 * np.arange(n) + 1) / n - 1
        X = np.stack([np.tile(line, n), np.repeat(line, n)])
        inside = self.contains(X)
        out[5] = inside
        out[4, inside] = self.pde.source_at(self.to_physical(X[:, inside]))
        rows = self.boundary(int(PER_PIXEL * n / 2 * self.perimeter))  # many samples in every pixel on the way
        column, row = np.clip((rows.points + 1) * (n / 2), 0, n - 1).astype(int)
        pixel = row * n + column
        for channel, at in enumerate((rows.kinds == DIRICHLET, rows.kinds != DIRICHLET)):
            size = np.hypot(rows.coefficients[1, at], rows.coefficients[2, at]) if channel else 1.0
            sign = np.where(rows.kinds[at] == VELOCITY, -1.0, 1.0)
            count = np.bincount(pixel[at], minlength=n * n)
            total = np.bincount(pixel[at], sign * rows.values[at] / size, minlength=n * n)
            out[channel] = count > 0
            out[2 + channel] = total / np.maximum(count, 1)
        return out.reshape(6, n, n)

    def _check_drawable(self) -> None:
        """The picture, and the network that reads it, know five terms and two kinds of conditions."""
        robin = dict.fromkeys(side.name for side in self.pde.sides if any(row.kind == ROBIN for row in side.rows))
        what = ["the mixed derivative uxy"] if self.pde.mixed else []
        what += [f"Robin conditions on {', '.join(map(repr, robin))}"] if robin else []
        if what:
            raise ProblemError(
                f"Expected an equation and conditions that the network reads: u, ux, uy, uxx, uyy, Dirichlet, Neumann "
                f"(got {' and '.join(what)}); project(pde), or solve(pde, project=True), solves it without the network"
            )

    # ---- the shape
    @cached_property
    def holes(self) -> tuple[Hole, ...]:
        """Bounded components of the complement, in unit coordinates."""
        return holes_of(self)

    @cached_property
    def corners(self) -> tuple[Corner, ...]:
        """Boundary points at which the solution of an elliptic problem has no bounded gradient."""
        return corners_of(self)

    def __repr__(self) -> str:
        c, h = self.center, self.half
        return f"UnitProblem({self.pde!r}, x = ({c[0]:g}, {c[1]:g}) + ({h[0]:g}, {h[1]:g}) X)"
