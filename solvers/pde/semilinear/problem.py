"""`SemilinearPDE`: a linear operator, a term r(u, x) or r(u, x, grad u) beside it, a domain and its data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from meshmove.geometry.domains import Domain

from ..conditions import Interval
from ..functions import Function, ProblemError
from ..linear import LinearPDE
from ..sides import DIRICHLET
from ..statement import Statement
from ..unit import UnitProblem
from ..well_posed import check_posed
from .linearised import Linearised, Start
from .reaction import Reaction

__all__ = ["SemilinearPDE"]


class _Part(LinearPDE):
    """The linear terms; with Neumann conditions alone the constant is for the reaction to tell."""

    def check(self) -> None:
        check_posed(self, constants_known=True)


class SemilinearPDE:
    r"""A semilinear equation of second order: linear terms, and a reaction that may depend on u and its gradient.

        L u + r(u, x) = source,     or     L u + r(u, x, grad u) = source

    Second derivatives stand in L alone, with coefficients that do not depend on u. `project` solves it by Newton's
    method, each step of which is a linear problem. There may be several solutions, or none: which one is found depends
    on the start.

    Parameters
    ----------
    domain
        As for `LinearPDE`.
    reaction
        r: a function of u (n,) and x (2, n), or of u, x and the gradient (2, n), with values (n,), written for NumPy or
        for torch. In time problems row 1 of the gradient is the derivative in time.
    derivative
        Of the same arguments: dr/du (n,), or (3, n), by u, ux and uy, where reaction takes a gradient. By default it is
        found: see `Reaction`.
    terms
        What else `LinearPDE` takes: ``u``, ``ux``, ``uxx``, ``divergence``, ``source``, ``conditions``, ``time``, ...

    Attributes
    ----------
    linear
        The statement of the linear terms, with the domain, conditions and source.
    reaction
        A `Reaction`.

    Raises
    ------
    ProblemError
        As of `LinearPDE`; without linear terms; with a conductivity that jumps; or the reaction takes other arguments.

    References
    ----------
    Deuflhard, Newton Methods for Nonlinear Problems, Springer 2011.

    >>> import numpy as np
    >>> from meshmove.geometry import Rectangle
    >>> from meshmove.solvers import Dirichlet, SemilinearPDE
    >>> square = Rectangle((0, 0), (1, 1), name="rim")
    >>> SemilinearPDE(square, uxx=-1, uyy=-1, reaction=lambda u, x: -np.exp(u), conditions={"rim": Dirichlet()})
    SemilinearPDE(elliptic: -uxx - uyy + r(u, x) = 0; rim: Dirichlet(0))
    """

    def __init__(
        self,
        domain: Domain | Interval | Any,
        *,
        reaction: Callable[..., Any],
        derivative: Callable[..., Any] | None = None,
        **terms: Any,
    ) -> None:
        self.reaction = Reaction(reaction, derivative)
        self.linear = _Part(domain, **terms)
        if self.linear.regions:
            raise ProblemError(
                "Expected a smooth conductivity in a semilinear problem (got one that jumps between "
                f"{len(self.linear.regions)} regions, where splines have no kinks)"
            )
        if self.linear.kind in ("first-order", "algebraic"):
            raise ProblemError(
                f"Expected linear terms of second order beside the reaction (got {self.linear.equation}): they say "
                "which conditions there are"
            )

    @property
    def domain(self) -> Domain:
        """The domain in the plane, or in space and time."""
        return self.linear.domain

    @property
    def unit(self) -> UnitProblem:
        """The linear part in the coordinates [-1, 1]^2."""
        return self.linear.unit

    @property
    def kind(self) -> str:
        """ "elliptic", "parabolic" or "hyperbolic", by the second derivatives."""
        return self.linear.kind

    def around(self, start: Start) -> Linearised:
        """The linear problem that Newton's method solves next, at a function given by its value and gradient."""
        return Linearised.of(self, start)

    def with_value(self, value: Function) -> Statement:
        """The problem u = value, with the values that this one has on the boundary."""
        p = self.linear
        none = (1.0,) + (0.0,) * (len(p.table) - 1)
        sides = tuple(s._replace(rows=tuple(r for r in s.rows if r.kind == DIRICHLET)) for s in p.sides)
        return Statement(p.domain, none, value, sides, p.timed, "algebraic", p.extra)

    @property
    def equation(self) -> str:
        """The equation as text."""
        left, right = self.linear.equation.rsplit(" = ", 1)
        return f"{left} + r(u, x{', grad u' if self.reaction.needs_gradient else ''}) = {right}"

    def __repr__(self) -> str:
        return (
            repr(self.linear).replace("LinearPDE", "SemilinearPDE", 1).replace(self.linear.equation, self.equation, 1)
        )
