"""`UnitProblem`: a problem in the coordinates of the square [-1, 1]^2, as rows of equations and as a picture."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.arrays import Ids
from meshmove.geometry.given import count

from ..functions import Array, ProblemError, evaluate
from ..sides import DIRICHLET, ROBIN, VELOCITY, Row
from ..terms import Along
from .corners_and_holes import Corner, Hole, corners_of, holes_of
from .frame import UnitFrame
from .picture import raster
from .sampling import lengths, points_along, scattered, walked
from .shared import shared

if TYPE_CHECKING:
    from ..statement import Statement

__all__ = ["BoundaryRows", "InteriorRows", "UnitProblem"]


#: points of one sample
MOST = 10_000_000


class InteriorRows(NamedTuple):
    """The equation at points: ``(coefficients * (u, uX, uY, uXX, uYY, ...)).sum(0) = source``.

    `points` (2, n), `coefficients` (terms, n), `source` (n,), and `weights` (n,), which sum to
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


class UnitProblem(UnitFrame):
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

    def __init__(self, pde: Statement) -> None:
        super().__init__(pde.domain)
        self.pde = pde

    @cached_property
    def powers(self) -> Array:
        """What coefficients are divided by, (terms,), in the order of the problem's terms."""
        return np.array([term.power(self.half) for term in self.pde.table])

    @property
    def along(self) -> tuple[Along, ...]:
        """How often u is differentiated along X and along Y in each term."""
        return tuple(term.along for term in self.pde.table)

    @property
    def area(self) -> float:
        """Area in unit coordinates."""
        return self.pde.domain.area / float(self.half.prod())

    @property
    def perimeter(self) -> float:
        """Length of the boundary that carries conditions, in unit coordinates."""
        return float(self.lengths[[bool(side.rows) for side in self.pde.sides]].sum())

    # ---- the operator
    @property
    def constants(self) -> Array | None:
        """Coefficients (terms,) in unit coordinates, or None where they vary."""
        if not self.pde.is_constant:
            return None
        return np.array(self.pde.coefficients, float) / self.powers

    @cached_property
    def means(self) -> Array:
        """Coefficients (terms,) in unit coordinates, their means over the domain where they vary."""
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
        """
        n = count(n, "a positive number of interior points", low=1, high=MOST, error=ProblemError)
        domain = self.pde.domain
        make = partial(scattered, domain, self, n, seed, density)
        X, share = make() if density else shared(domain, ("interior", n, seed), make)
        x = self.to_physical(X)
        coefficients = self.pde.coefficients_at(x) / self.powers[:, None]
        return InteriorRows(X, coefficients, self.pde.source_at(x), share * self.area / share.sum())

    def boundary(self, n: int, seed: int = 0) -> BoundaryRows:
        """The conditions at about n points of the exact boundary, evenly by arc length in unit coordinates.

        Straight sides and whole curves get some twenty points even where they are short; points at the first time of
        a second-order problem carry two rows, its value and its velocity. The last time has none.
        """
        n = count(n, "a positive number of boundary points", low=1, high=MOST, error=ProblemError)
        sides = [i for i, side in enumerate(self.pde.sides) if side.rows]
        if not sides:
            none = np.empty(0)
            return BoundaryRows(np.empty((2, 0)), np.empty((3, 0)), none, np.empty(0, int), np.empty(0, str), none)
        x, normal, piece, weights = shared(
            self.pde.domain, ("boundary", n, seed, *sides), lambda: self._along(n, seed, sides)
        )
        return self._rows(piece, x, normal, weights)

    def _along(self, n: int, seed: int, sides: list[int]) -> tuple[Array, Array, Ids, Array]:
        """Points and normals (2, m) on some sides, the pieces (m,) that they are on, and the length that each has."""
        length = self.lengths[sides]
        least = np.where([self.pde.domain.boundary.pieces[i].straight for i in sides], 20, 6)
        least = np.minimum(least, max(2, 2 * n // len(sides)))
        many = np.maximum(np.ceil(n * length / length.sum()).astype(int), least)
        shift = np.random.default_rng(seed).random(len(sides)) * 0.8 + 0.1 if seed else np.full(len(sides), 0.5)
        piece = np.repeat(sides, many)
        start = np.repeat(np.cumsum(many) - many, many)
        fraction = (np.arange(len(piece)) - start + np.repeat(shift, many)) / np.repeat(many, many)
        x, normal = points_along(self.pde.domain.boundary, self, piece, fraction)
        return x, normal, piece, np.repeat(length / many, many)

    def boundary_by(self, index: Callable[[Array], Array], rows: float, seed: int = 0) -> BoundaryRows:
        """The conditions, so many rows on each cell of a grid that the boundary goes through, and 20 on each piece.

        Parameters
        ----------
        index
            From points (2, n) in unit coordinates to what they are counted in: cells of the grid have length 1.
        """
        outline, pieces, parts = self.pde.domain.boundary, [], []
        rng = np.random.default_rng(seed)
        for i in (i for i, side in enumerate(self.pde.sides) if side.rows):

            def path(s: Array, i: int = i) -> Array:
                return index(self.to_unit(points_along(outline, self, np.full(len(s), i), s)[0]))

            s, come = walked(path, 0.4)
            n = max(int(np.ceil(rows * come[-1])), 20)
            edges = np.interp(np.linspace(0, come[-1], n + 1), come, s)
            shift = rng.random() * 0.8 + 0.1 if seed else 0.5
            fraction = np.interp((np.arange(n) + shift) * come[-1] / n, come, s)
            pieces.append(np.full(n, i))
            parts.append(np.stack([fraction, np.diff(edges) * self.lengths[i]]))
        if not pieces:
            return self.boundary(1)
        piece, (fraction, weights) = np.concatenate(pieces), np.concatenate(parts, axis=1)
        x, normal = points_along(outline, self, piece, fraction)
        return self._rows(piece, x, normal, weights)

    @cached_property
    def lengths(self) -> Array:
        """Lengths of the boundary's pieces in unit coordinates, (pieces,)."""
        return lengths(self.pde.domain.boundary, self)

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

    @property
    def largest_term(self) -> float:
        """The largest term of the operator, by mean coefficients, for a wave as long as the domain."""
        k = np.pi / 2
        return float((np.abs(self.means[:5]) * np.array([1, k, k, k**2, k**2])).max())

    # ---- the picture
    def raster(self, n: int) -> Array:
        """Six channels (6, n, n) over [-1, 1]^2 that show the problem, see `meshmove.solvers.pde.unit.picture`."""
        return raster(self, n)

    # ---- the shape
    @cached_property
    def holes(self) -> tuple[Hole, ...]:
        """Bounded components of the complement, in unit coordinates."""
        return holes_of(self.pde, self)

    @cached_property
    def corners(self) -> tuple[Corner, ...]:
        """Boundary points at which the solution of an elliptic problem has no bounded gradient."""
        return corners_of(self.pde, self)

    def __repr__(self) -> str:
        c, h = self.center, self.half
        return f"UnitProblem({self.pde!r}, x = ({c[0]:g}, {c[1]:g}) + ({h[0]:g}, {h[1]:g}) X)"
