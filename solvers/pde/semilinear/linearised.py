r"""The linear problem of one step of Newton's method, around a function u_0:

    L u + r_u u + r_p . grad u = f - r + r_u u_0 + r_p . grad u_0,    r and its derivatives at u_0, grad u_0.

What a function u_0 misses of this problem around itself is what it misses of L u + r(u) = f.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..functions import Array, evaluate
from ..statement import Statement
from .reaction import NotFiniteError

if TYPE_CHECKING:
    from .problem import SemilinearPDE

__all__ = ["Linearised", "Start"]


class Start(Protocol):
    """A function of points x (2, n) with its value and gradient, (3, n) or more rows: ``jets(x)``."""

    def jets(self, x: Array) -> Array: ...


@dataclass
class _Around:
    """Value, gradient, reaction and its derivatives; those at the last points are kept, for all coefficients ask."""

    problem: SemilinearPDE
    start: Start
    _at: Array | None = field(default=None, repr=False)
    _known: tuple[Array, Array, Array] | None = field(default=None, repr=False)

    def __call__(self, x: Array) -> tuple[Array, Array, Array]:
        """State (3, n), reaction (n,) and its derivatives (1 or 3, n)."""
        if self._known is None or self._at is None or self._at.shape != x.shape or not np.array_equal(self._at, x):
            state, reaction = np.asarray(self.start.jets(x))[:3], self.problem.reaction
            self._known = state, reaction.values(state, x), reaction.slopes(state, x)
            self._at = x.copy()
        return self._known

    def source(self, x: Array) -> Array:
        state, r, slopes = self(x)
        _finite(r, state[0], x, "reaction")
        _finite(slopes.sum(axis=0), state[0], x, "the derivative of reaction")
        return self.problem.linear.source_at(x) - r + (slopes * state[: len(slopes)]).sum(axis=0)

    def frozen(self, x: Array) -> Array:
        """f - r."""
        state, r, _ = self(x)
        _finite(r, state[0], x, "reaction")
        return self.problem.linear.source_at(x) - r

    def coefficient(self, i: int, x: Array) -> Array:
        """Of the i-th term of the linear problem."""
        linear = self.problem.linear
        state, r, slopes = self(x)
        _finite(r, state[0], x, "reaction")
        _finite(slopes[i], state[0], x, "the derivative of reaction")
        return evaluate(linear.coefficients[i], x, f"the coefficient {linear.terms[i]}") + slopes[i]


def _finite(values: Array, u: Array, x: Array, what: str) -> None:
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        i, more = bad[0], f", and at {len(bad) - 1} of {len(values)} more" if len(bad) > 1 else ""
        raise NotFiniteError(
            f"Expected finite values from {what} (got {values[i]} for u = {u[i]:.6g} at the point ({x[0, i]:.6g}, "
            f"{x[1, i]:.6g}){more}): give a start=, or bound u in reaction, as in np.log(np.maximum(u, 1e-9))"
        )


@dataclass(frozen=True, eq=False, repr=False)
class Linearised(Statement):
    """A semilinear problem around a function: linear, with its own coefficients and source."""

    around: SemilinearPDE | None = None
    known: _Around | None = None

    @property
    def frozen(self) -> Statement:
        """L u = f - r(u_0): the same where u = u_0, and without jumps where the derivative of r jumps."""
        assert self.around is not None and self.known is not None
        return self.around.linear.with_data(self.known.frozen, self.sides)

    @classmethod
    def of(cls, problem: SemilinearPDE, start: Start) -> Linearised:
        """Around a function given by its value and gradient."""
        p, at = problem.linear, _Around(problem, start)
        changed = tuple(partial(at.coefficient, i) for i in range(problem.reaction.count))
        return cls(
            p.domain,
            changed + p.coefficients[len(changed) :],
            at.source,
            p.sides,
            p.timed,
            p.kind,
            p.extra,
            around=problem,
            known=at,
        )

    def __repr__(self) -> str:
        return repr(self.around)
