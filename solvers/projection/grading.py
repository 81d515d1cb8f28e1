r"""Where cells should be small: knots along each axis that share the error evenly.

What a cell does not resolve of u is looked for in two ways: the jumps of the splines' highest derivative,
h^d [u^(d)] ~ h^(d+1) u^(d+1), recovered from the solution itself; and its residual divided by the operator's symbol
for waves as long as the cell, |L u - f| / sum_i |c_i| h^-i, which also sees sources that no spline does. Mean squares
e^2 of both over the strips of cells along an axis are what a density of knots is made of. Cells of length h have
errors h^(d+1) G, whose mean square is least for a density ~ G^(2/(2d+3)) (de Boor, Good approximation by splines with
variable knots, 1973): so a density rho becomes

    (e^2 rho^(2d+2))^p,   p = 1/(2d + 3),

and rho e^(2p) with a larger p as long as the steep parts are not resolved, and e does not yet fall like h^(d+1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from meshmove.geometry.arrays import Array
from meshmove.solvers.pde import UnitProblem
from meshmove.solvers.pde.unit import InteriorRows

from .features.knots import Knots
from .features.splines import Splines

if TYPE_CHECKING:
    from .grids import Projection

__all__ = ["counted", "fewer", "indicators", "moved", "placed", "regraded"]

#: lengths of neighbours differ by about this factor at most
_NEIGHBOURS = 1.7
#: the power of e^2 by which a density grows where layers are looked for
_SEEKING = 0.15
#: differences of e^2 below this, relative to the largest of both axes, are none
_LEAST = 1e-10


def indicators(unit: UnitProblem, now: Projection, scattered: InteriorRows) -> tuple[Array, Array]:
    """Mean squares of what is not resolved of u, over the strips of cells along X and along Y.

    Parameters
    ----------
    scattered
        The equation at further points, which may see a source between those of the fit.
    """
    x, y = (_jumps(now, axis) for axis in (0, 1))
    by_residual = _residuals(unit, now, scattered)
    return x + by_residual[0], y + by_residual[1]


def _jumps(now: Projection, axis: int) -> Array:
    """Mean square (cells,) of h^d times the jumps of the d-th derivative along an axis at the ends of the cells."""
    splines = now.field.splines
    assert splines is not None
    d, knots = splines.degree, _knots(splines)
    nx, ny = splines.cells
    table, inside = now.equation.table(now.field.weights[: splines.size]), now.equation.inside
    whole: Any = inside.reshape(ny, inside.shape[0] // ny, nx, inside.shape[1] // nx).all(axis=(1, 3))
    across = splines.line(1 - axis, splines.nodes(1 - axis, np.zeros(1)))[0]
    lines = across @ (table if axis == 0 else table.T)  # (cells across, functions along)
    whole = whole if axis == 0 else whole.T
    h = knots[axis].lengths
    local = np.lib.stride_tricks.sliding_window_view(lines, d + 1, axis=1)
    leading = (local * knots[axis].leading(d)).sum(axis=-1) / h**d
    jumps = np.diff(leading, axis=1) * np.sqrt(h[1:] * h[:-1]) ** d
    share = knots[1 - axis].lengths[:, None] * (whole[:, 1:] & whole[:, :-1])
    mean = (jumps**2 * share).sum(axis=0) / np.maximum(share.sum(axis=0), 1e-300)
    return np.maximum(np.concatenate([mean[:1], mean]), np.concatenate([mean, mean[-1:]]))


def _residuals(unit: UnitProblem, now: Projection, scattered: InteriorRows) -> list[Array]:
    splines, equation, rows = now.field.splines, now.equation, now.conditions
    assert splines is not None
    n = equation.points.shape[1]
    missed = now.system.residual
    there = (scattered.coefficients * now.field.jets(scattered.points)).sum(axis=0) - scattered.source
    X = np.concatenate([equation.points, scattered.points], axis=1)
    r = np.concatenate([missed[:n] / equation.weights, there])
    c = np.abs(np.concatenate([equation.coefficients, scattered.coefficients], axis=1))
    h = _edges(splines, X)
    symbol = sum(ci / (h[0] ** a * h[1] ** b) for ci, (a, b) in zip(c, unit.along, strict=True))
    e = r / np.maximum(symbol, 1e-300)
    # conditions: a row stands for its length times the shorter edge of its cell
    short = _edges(splines, rows.points).min(axis=0)
    on = missed[n:] * rows.lengths / rows.arcs * np.where(rows.slopes, short, 1.0)
    X, e = np.concatenate([X, rows.points], axis=1), np.concatenate([e, on])
    area = np.concatenate([h[0] * h[1], rows.arcs * short])
    cell, out = splines.cell(X), []
    for axis, along in enumerate(splines.cells):
        whole = np.bincount(cell[axis], area, minlength=along)
        out.append(np.bincount(cell[axis], area * e**2, minlength=along) / np.maximum(whole, 1e-300))
    return out


def _edges(splines: Splines, X: Array) -> Array:
    """Lengths (2, n) of the cells that points are in."""
    return np.stack(
        [splines.shares(a)[i] * (2 / n) for a, (i, n) in enumerate(zip(splines.cell(X), splines.cells, strict=True))]
    )


def regraded(knots: tuple[Knots, Knots], squares: tuple[Array, Array], cells: tuple[int, int]) -> tuple[Knots, Knots]:
    """So many cells, smaller where e^2 is larger: a step towards layers that are not resolved yet."""
    least = _LEAST * max(float(squares[0].max()), float(squares[1].max()), 1e-300)
    out = []
    for k, e2, n in zip(knots, squares, cells, strict=True):
        density = np.maximum(e2, least) ** _SEEKING / k.lengths
        out.append(placed(k, density * (n / (density * k.lengths).sum()), n))
    return out[0], out[1]


def counted(
    knots: tuple[Knots, Knots], squares: tuple[Array, Array], aim: float, low: int, growth: float, degree: int
) -> tuple[Knots, Knots]:
    """As many cells as an error of root mean square `aim` along each axis asks for, where errors fall like h^(d+1).

    At least `low` along an axis, and at most `growth` times as many as there are.
    """
    p, power = 1 / (2 * degree + 3), 2 * degree + 2
    out = []
    for k, e2 in zip(knots, squares, strict=True):
        density = (np.maximum(e2, (1e-2 * aim) ** 2) * k.lengths**-power) ** p
        density *= ((density * k.lengths).sum() / aim**2) ** (1 / power)
        density = _limited(density, k.lengths)
        n = int(np.clip(np.ceil((density * k.lengths).sum()), low, max(low, growth * k.cells)))
        out.append(placed(k, density, n))
    return out[0], out[1]


def placed(k: Knots, density: Array, n: int) -> Knots:
    """n cells that hold the same share of a density, given on the cells of k."""
    passed = np.concatenate([[0.0], np.cumsum(_limited(density, k.lengths) * k.lengths)])
    breaks = np.interp(np.linspace(0, passed[-1], n + 1), passed, k.breaks)
    breaks[0], breaks[-1] = -1.0, 1.0
    return Knots(breaks)


def _limited(density: Array, lengths: Array) -> Array:
    """The least density above one whose cells, 1/density long, grow by `_NEIGHBOURS` from one to the next at most."""
    middle = np.cumsum(lengths) - 0.5 * lengths
    apart = np.log(_NEIGHBOURS) * np.abs(middle[:, None] - middle)
    return 1 / (1 / density + apart).min(axis=1)


def fewer(knots: tuple[Knots, Knots], share: float) -> tuple[Knots, Knots]:
    """The same grading with a share of the cells."""
    out = []
    for k in knots:
        n = max(int(share * k.cells), 2)
        out.append(Knots(np.interp(np.linspace(0, k.cells, n + 1), np.arange(k.cells + 1), k.breaks)))
    return out[0], out[1]


def moved(one: tuple[Knots, Knots], other: tuple[Knots, Knots]) -> float:
    """The largest factor between the densities of two gradings."""
    out = 1.0
    for a, b in zip(one, other, strict=True):
        s = np.concatenate([a.nodes(np.zeros(1)), b.nodes(np.zeros(1))])
        ratio = a.lengths[a.cell(s)] * a.cells / (b.lengths[b.cell(s)] * b.cells)
        out = max(out, float(ratio.max()), float(1 / ratio.min()))
    return out


def _knots(splines: Splines) -> tuple[Knots, Knots]:
    """The cells of splines along both axes, also where they are even."""
    return splines.knots or (Knots.even(splines.cells[0]), Knots.even(splines.cells[1]))
