r"""Newton's method on one grid: least squares of the residual of L u + r(u) = f and of what the conditions miss.

Each step solves the linear problem around the last function, u + d. It is shortened until the next one, with the
operator as it is, is smaller than it: |d'| < |d|, d' = -J(u)^+ R(u + s d), the test that looks at the error of u and
not at residuals, which layers make large and meaningless (Deuflhard, Newton Methods for Nonlinear Problems, Springer
2011, 3.3: natural monotonicity, with its prediction of s). Where that comes to a stop, elliptic problems are
relaxed in time first (6.4), and others walked to from one that the start u_0 solves (5.1):  R(u) = (1 - t) R(u_0), t
from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from meshmove.geometry.arrays import Array
from meshmove.solvers.pde.semilinear import NotFiniteError, SemilinearPDE
from meshmove.solvers.pde.terms import BASE, Along

from ..boundary_rows import Conditions
from ..features.splines import Splines
from ..field import Expansion, Field
from ..grids import Feature, Projection, fit, fitted, rows_of
from ..quadrature import Quadrature, quadrature
from .budget import Budget
from .state import Found, Known, State, Step

__all__ = ["OnGrid"]

_STEPS = 25  # at most
_SHORTEST = 1e-2  # share of a step
_SETTLED = 1e-3  # relative changes below this are those of a grid that does not resolve the solution, but has it
_ROUNDS, _IN_TIME, _BETWEEN = 12, 6, 10  # rounds of steps in time, how many at a time, and of Newton's method between
_CALM, _WILD, _LONGER = 0.1, 1.0, 0.5  # relative changes after which steps in time grow, and that are taken back
_SLOW = 0.3  # of the last change: what does not fall below this converges linearly
_FIRST, _LEAST, _WALKED = 0.25, 0.06, 60  # steps in t, and all linear solves on the way


class OnGrid:
    """A semilinear problem on the cells of splines.

    Parameters
    ----------
    features
        Singular functions beside the splines.
    start
        The function around which conditions get their weights, and diffusion is added.
    smeared
        Whether to add as much diffusion as makes layers as wide as a cell.
    floor
        The least L2 norm that changes are compared with: of u, where that is more.
    budget
        What linear solves are counted in; when it is spent, no further ones are begun.
    """

    def __init__(
        self,
        problem: SemilinearPDE,
        splines: Splines,
        features: Sequence[Feature],
        start: Field,
        *,
        seed: int = 0,
        smeared: bool = False,
        floor: float = 0.0,
        budget: Budget | None = None,
    ) -> None:
        self.problem, self.splines, self.features, self.seed = problem, splines, features, seed
        self.floor, self.budget = max(floor, 1e-300), budget or Budget()
        self.unit = problem.unit
        self.diffusion: Array | None = None
        self.empty = quadrature(self.unit, splines)
        self.offset: tuple[Array, Array] | None = None
        around = self._equation(start.jets(self.empty.points))
        if smeared:
            around = around.smeared()
            self.diffusion = around.coefficients[3:5]
        self.rows: Conditions = rows_of(self.unit, around, seed)

    # ---- the problem around a function
    def _equation(self, jets: Array) -> Quadrature:
        x, powers = self.unit.to_physical(self.empty.points), self.unit.powers[:, None]
        linear = self.problem.around(Known(jets[:5] / powers[:5]))
        coefficients = linear.coefficients_at(x) / powers
        if self.diffusion is not None:
            coefficients[3:5] = self.diffusion
        return replace(self.empty, coefficients=coefficients, source=linear.source_at(x))

    def around(self, field: Field) -> State:
        """The equation around a function, and what that misses."""
        jets = self._jets(field)
        equation, rows = self._equation(jets), self.rows
        inside = ((equation.coefficients * jets).sum(axis=0) - equation.source) * equation.weights
        edge = (rows.coefficients * field.jets(rows.points)).sum(axis=0) - rows.values
        if self.offset is not None:
            inside, edge = inside - self.offset[0], edge - self.offset[1]
        return State(field, equation, jets[0], inside, edge)

    def target(self, state: State) -> Projection:
        """The solution of the linear problem."""
        self.budget.spend(self.splines, self.features)
        equation, rows = state.equation, self.rows
        if self.offset is not None:
            equation = replace(equation, source=equation.source + self.offset[0] / equation.weights)
            rows = rows._replace(values=rows.values + self.offset[1])
        return fitted(equation, rows, self.features)

    def represented(self, field: Field) -> Expansion:
        """The function of this grid that is nearest to another, with the conditions of the problem."""
        powers = self.unit.powers[0]
        value = self.problem.with_value(lambda x: field.jets(self.unit.to_unit(x))[0] / powers)
        return fit(value.unit, self.splines, self.features, seed=self.seed).field

    def _has(self, field: Field) -> bool:
        return isinstance(field, Expansion) and field.splines is self.splines

    # ---- Newton's method
    def solve(self, start: Field, within: float, most: int = _STEPS) -> Found:
        """Steps, so many at most, until one changes u by less than `within` of its size, or none helps."""
        state, last, change = self.around(start), None, float("inf")
        for step in range(1, most + 1):
            target = self.target(state)
            moved = self._moved(target, state, last)
            if moved is None and not self._has(state.field):
                state, last = self.around(self.represented(state.field)), None
                continue
            if moved is None:
                change = self._size(state, self._values(target.field) - state.values)
                return self._found(state, target, change < _SETTLED, step, change)
            before = change
            state, last, change = moved
            # unresolved, least squares converge linearly: what is left is far less than what the grid misses
            slow = _SLOW * before < change < _SETTLED
            if (change < within or slow) and last.share == 1:
                return self._found(state, target, True, step, change, before)
            if self.budget.spent:
                break
        return self._found(state, target, change < _SETTLED, step, change)

    def relax(self, start: Field, within: float) -> Found:
        """Steps in time, u_t + L u + r(u) = f, which lead to what is stable, and then those of Newton's method."""
        state, steps, change = self.around(self.represented(start)), 0, float("inf")
        sign = -np.sign(np.median(state.equation.coefficients[3:5].sum(axis=0)))
        rate = float(np.abs(state.equation.coefficients[0] - self.empty.coefficients[0]).max())
        for _ in range(_ROUNDS):
            for _ in range(_IN_TIME):
                moved = self._tried(self._in_time(state, sign * rate).field)
                far = self._size(state, moved.values - state.values) if moved is not None else np.inf
                rate *= _LONGER if far < _CALM else 2.0
                state = moved if moved is not None and far < _WILD else state
            before, found = change, self.solve(state.field, within, _BETWEEN)
            steps, change = steps + _IN_TIME + found.steps, found.change
            if found.converged or not change < before or self.budget.spent:
                break
        return found._replace(steps=steps)

    def _in_time(self, state: State, rate: float) -> Projection:
        """The implicit step of length 1/|rate| from a function."""
        self.budget.spend(self.splines, self.features)
        equation = state.equation
        coefficients = equation.coefficients.copy()
        coefficients[0] += rate
        slowed = replace(equation, coefficients=coefficients, source=equation.source + rate * state.values)
        return fitted(slowed, self.rows, self.features)

    def walk(self, start: Field, within: float) -> Found:
        """From the problem that the start solves to this one."""
        here, t, step, steps = self.represented(start), 0.0, _FIRST, 0
        self.offset = None
        first = self.around(here)
        while t < 1 and step > _LEAST and steps < _WALKED and not self.budget.spent:
            ahead = min(t + step, 1.0)
            self.offset = (1 - ahead) * first.inside, (1 - ahead) * first.edge
            found = self.solve(here, within if ahead == 1 else _SETTLED)
            steps += found.steps
            if found.converged:
                here, t, step = found.projection.field, ahead, 2 * step
            else:
                step /= 2
        self.offset = None
        return found._replace(steps=steps, converged=t >= 1)

    def _moved(self, target: Projection, state: State, last: Step | None) -> tuple[State, Step, float] | None:
        """The next function, what is known of the step to it, and the size of what is left to do relative to u."""
        whole = self._values(target.field) - state.values
        share = 1.0  # how far the operator changed in the last step says how long this one may be
        if last is not None and self._has(state.field):
            bent = self._size(state, last.after - whole) * self._size(state, whole)
            share = min(
                1.0, last.share * self._size(state, last.step) * self._size(state, last.after) / max(bent, 1e-300)
            )
        length = self._size(state, whole)
        while share > _SHORTEST:
            trial = self._tried(target.field if share == 1 else self._blended(target.field, state.field, share))
            if trial is not None:
                correction = target.system.solve(-np.concatenate([trial.inside, trial.edge]))
                after = self._values(replace(target.field, weights=correction))
                shorter = self._size(state, after)
                most = 0.5 * share**2 * length / max(self._size(state, after - (1 - share) * whole), 1e-300)
                if shorter < length or length == 0:
                    return self._corrected(trial, correction, Step(whole, after, share))
            else:
                most = 0.5 * share
            if share == 1 and not self._has(state.field):
                return None
            share = min(most, 0.5 * share)
        return None

    def _corrected(self, trial: State, correction: Array, step: Step) -> tuple[State, Step, float]:
        """After a whole step the simplified one is taken, too: its size is what is left to do."""
        change = self._size(trial, step.after)
        if step.share == 1:
            field = trial.field
            assert isinstance(field, Expansion)
            better = self._tried(replace(field, weights=field.weights + correction))
            if better is not None and better.merit <= trial.merit:
                return better, step, change
        return trial, step, change

    def _tried(self, field: Field) -> State | None:
        try:
            return self.around(field)
        except NotFiniteError:
            return None

    def _values(self, field: Field) -> Array:
        return self._jets(field, BASE[:1])[0]

    def _jets(self, field: Field, along: Sequence[Along] | None = None) -> Array:
        """Derivatives at the points of the grid, those of the equation or the value alone: where the function is one
        of this grid's own, as tensor products.
        """
        if not self._has(field):
            return field.jets(self.empty.points)
        assert isinstance(field, Expansion)
        size = self.splines.size
        out = self.empty.jets(field.weights[:size], along)
        if len(field.weights) > size:
            rest = Expansion(None, field.features, field.weights[size:], field.along).jets(self.empty.points)
            out += rest[: len(out)]
        return out

    @staticmethod
    def _blended(whole: Expansion, old: Field, share: float) -> Expansion:
        assert isinstance(old, Expansion)
        return replace(whole, weights=old.weights + share * (whole.weights - old.weights))

    def _found(
        self, state: State, target: Projection, converged: bool, steps: int, change: float, before: float = np.inf
    ) -> Found:
        own = state.field if self._has(state.field) else self.represented(state.field)
        assert isinstance(own, Expansion)
        target.system.residual = -np.concatenate([state.inside, state.edge])
        now = Projection(own, (), target.system, state.equation, self.rows)
        return Found(now, converged, steps, change, change / before)

    def _size(self, state: State, values: Array) -> float:
        """Of values at the points, relative to the size of the function, or to the floor where that is more."""
        w = state.equation.weights
        return float(np.linalg.norm(w * values)) / max(float(np.linalg.norm(w * state.values)), self.floor)
