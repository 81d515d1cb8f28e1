r"""Problems in time on a box: second-order finite elements in space, Radau IIA of order 5 in time.

    E(t) y' = A(t) y + b(t),  stages  E_i k_i - dt sum_j a_ij A_i k_j = A_i y + b_i,  t_i = t + c_i dt,

with y = u, or (u, u_t) for equations of second order in time. Dirichlet values are algebraic rows 0 = u - g(t). The
method is L-stable and its last stage is the new value, so those rows and data that do not match at the first time
do no harm. Reference: Hairer and Wanner, Solving Ordinary Differential Equations II, Springer 1996, section IV.8.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import skfem
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline
from scipy.sparse import block_diag, bmat, csc_matrix, csr_matrix, diags, identity
from scipy.sparse.linalg import splu

from meshmove.solvers.pde.functions import Array, evaluate
from meshmove.solvers.pde.sides import DIRICHLET, ROBIN, VELOCITY, Row
from meshmove.solvers.pde.statement import Statement

__all__ = ["march"]

_R = np.sqrt(6.0)
STAGES = np.array([(4 - _R) / 10, (4 + _R) / 10, 1.0])
RADAU = np.array(
    [
        [(88 - 7 * _R) / 360, (296 - 169 * _R) / 1800, (-2 + 3 * _R) / 225],
        [(296 + 169 * _R) / 1800, (88 + 7 * _R) / 360, (-2 - 3 * _R) / 225],
        [(16 - _R) / 36, (16 + _R) / 36, 1 / 9],
    ]
)
FINER = 4  #: cells in space for each of the wanted size; a cell in time is two steps


class _System(NamedTuple):
    mass: Any
    matrix: Any
    load: Array


def march(pde: Statement, size: float) -> Callable[[Array], Array]:
    """The solution as a function of points (2, n), with cells of `size` relative to half the sides of the box."""
    (x0, t0), (x1, t1) = pde.domain.bounds
    cells = int(np.ceil(2 / size))
    basis = skfem.Basis(skfem.MeshLine(np.linspace(x0, x1, FINER * cells + 1)), skfem.ElementLineP2(), intorder=6)
    nodes = np.asarray(basis.doflocs)[0]
    space = _Space(pde, basis, nodes)
    times = np.linspace(t0, t1, 2 * cells + 1)
    y = space.start(t0)
    levels = [y[: basis.N]]
    factors = None
    for t, dt in zip(times[:-1], np.diff(times), strict=True):
        if factors is None or not pde.is_constant or space.changes:
            stages = [space.system(t + c * dt) for c in STAGES]
            blocks = [
                [(s.mass if i == j else 0 * s.mass) - dt * RADAU[i, j] * s.matrix for j in range(3)]
                for i, s in enumerate(stages)
            ]
            factors = splu(csc_matrix(bmat(blocks)))
        else:
            stages = [s._replace(load=space.load(t + c * dt)) for s, c in zip(stages, STAGES, strict=True)]
        k = factors.solve(np.concatenate([s.matrix @ y + s.load for s in stages])).reshape(3, -1)
        y = y + dt * (RADAU[2] @ k)
        levels.append(y[: basis.N])
    order = np.argsort(nodes)
    spline = RectBivariateSpline(nodes[order], times, np.stack(levels, axis=1)[order], kx=3, ky=3)
    return lambda x: spline.ev(x[0], x[1])


class _Space:
    """The equation discretised in space at a time."""

    def __init__(self, pde: Statement, basis: skfem.CellBasis, nodes: Array) -> None:
        self.pde, self.basis, self.nodes = pde, basis, nodes
        self.second = callable(pde.coefficients[4]) or pde.coefficients[4] != 0
        self.ends = np.array([nodes.argmin(), nodes.argmax()])
        self._upright = [_upright(pde, float(nodes[e])) for e in self.ends]
        # conditions of different kinds one after the other on one end
        self.changes = any(
            len({(row.kind, row.share) for _, _, row in side}) > 1 or callable(side[0][2].share)
            for side in self._upright
        )
        self._points = np.asarray(basis.global_coordinates())[0]

    def row(self, end: int, t: float) -> Row:
        """The condition at an end (0 or 1) and a time."""
        side = self._upright[end]
        return next((row for low, high, row in side if low <= t <= high), side[-1][2])

    def start(self, t: float) -> Array:
        """Values at the first time, and velocities of a second-order problem."""
        x = np.stack([self.nodes, np.full_like(self.nodes, t)])
        out = np.zeros((2, len(self.nodes)))
        for piece, side in zip(self.pde.domain.boundary.pieces, self.pde.sides, strict=True):
            if side.time != "start":
                continue
            low, high = np.sort(piece.ends[0])
            slack = 1e-9 * (self.nodes.max() - self.nodes.min())
            here = (self.nodes >= low - slack) & (self.nodes <= high + slack)
            for row in side.rows:
                out[int(row.kind == VELOCITY), here] = evaluate(row.value, x[:, here], row.what)
        return out.ravel() if self.second else out[0]

    def _fields(self, t: float) -> tuple[Array, Array, Array]:
        shape = self._points.shape
        x = np.stack([self._points.ravel(), np.full(self._points.size, t)])
        c = self.pde.coefficients_at(x).reshape(5, *shape)
        slope = np.zeros(shape)
        if callable(a := self.pde.coefficients[3]):
            step = np.array([[1e-5 * self.pde.unit.half[0]], [0.0]])
            high, low = (evaluate(a, x + k * step, "the coefficient uxx") for k in (1, -1))
            slope = ((high - low) / (2 * step[0])).reshape(shape)
        return c, slope, evaluate(self.pde.source, x, "the source").reshape(shape)

    def system(self, t: float) -> _System:
        c, slope, _ = self._fields(t)

        @skfem.BilinearForm
        def operator(u, v, w):
            return -w.a * u.grad[0] * v.grad[0] + (w.c * u.grad[0] + w.e * u) * v

        stiff = operator.assemble(self.basis, a=c[3], c=c[1] - slope, e=c[0]).tocsr()
        for k, end in enumerate(self.ends):
            row = self.row(k, t)
            if row.kind == ROBIN:  # du/dn is the value less share times u
                at = np.array([[self.nodes[end]], [t]])
                share = self.pde.coefficients_at(at)[3, 0] * evaluate(row.share, at, row.what)[0]
                stiff = stiff - csr_matrix(([share], ([end], [end])), shape=stiff.shape)
        weighted = skfem.BilinearForm(lambda u, v, w: w.c * u * v)
        held = np.array([e for k, e in enumerate(self.ends) if self.row(k, t).kind == DIRICHLET], int)
        free = np.ones(self.basis.N)
        free[held] = 0.0
        keep, fix = diags(free), diags(1 - free)
        if not self.second:
            mass = keep @ weighted.assemble(self.basis, c=c[2])
            return _System(mass.tocsr(), (fix - keep @ stiff).tocsr(), self.load(t))
        eye = identity(self.basis.N, format="csr")
        mass = block_diag([eye, keep @ weighted.assemble(self.basis, c=c[4])], format="csr")
        damping = keep @ weighted.assemble(self.basis, c=c[2])
        matrix = bmat([[None, eye], [fix - keep @ stiff, -damping]], format="csr")
        return _System(mass, matrix, self.load(t))

    def load(self, t: float) -> Array:
        c, _, f = self._fields(t)
        load = skfem.LinearForm(lambda v, w: w.f * v).assemble(self.basis, f=f)
        for k, end in enumerate(self.ends):
            row = self.row(k, t)
            at = np.array([[self.nodes[end]], [t]])
            value = evaluate(row.value, at, row.what)[0]
            if row.kind == DIRICHLET:
                load[end] = -value
            else:
                load[end] -= self.pde.coefficients_at(at)[3, 0] * value
        return np.concatenate([np.zeros(self.basis.N), load]) if self.second else load


def _upright(pde: Statement, x: float) -> list[tuple[float, float, Row]]:
    """The conditions on the side at x: from which time to which, in order."""
    slack = 1e-7 * pde.domain.boundary.extent
    found = []
    for piece, side in zip(pde.domain.boundary.pieces, pde.sides, strict=True):
        ends: NDArray[np.float64] = piece.ends
        if not side.time and (np.abs(ends[0] - x) <= slack).all():
            low, high = np.sort(ends[1])
            found.append((float(low), float(high), side.rows[0]))
    return sorted(found, key=lambda part: part[0])
