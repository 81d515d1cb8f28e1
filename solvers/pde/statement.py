"""`Statement`: a linear problem as solvers read it: a domain, an operator, a source, and rows on the boundary."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from meshmove.geometry.domains import Domain

from .functions import Array, Function, evaluate, shown
from .sides import Side
from .terms import Term, terms_of

if TYPE_CHECKING:
    from .regions import Region
    from .unit import UnitProblem

__all__ = ["Statement"]


@dataclass(frozen=True, eq=False, repr=False)
class Statement:
    """A linear problem, read and checked: it does not change.

    `domain` in the plane, or in space and time; `coefficients`, floats or functions, in the order of `terms`; `source`;
    `sides`: what every piece of ``domain.boundary`` carries; `timed`: whether the second axis is time; `kind`:
    "elliptic", "parabolic", "hyperbolic", "first-order" or "algebraic"; `extra`: names of its terms beyond `TERMS`;
    `regions`: the parts of the domain between which the conductivity jumps, if it does.
    """

    domain: Domain
    coefficients: tuple[Function, ...]
    source: Function
    sides: tuple[Side, ...]
    timed: bool
    kind: str
    extra: tuple[str, ...] = ()
    regions: tuple[Region, ...] = ()

    def with_data(self, source: Function, sides: tuple[Side, ...]) -> Statement:
        """The same operator on the same domain with other data."""
        return Statement(self.domain, self.coefficients, source, sides, self.timed, self.kind, self.extra, self.regions)

    @property
    def frozen(self) -> Statement:
        """What a solution of this problem solves, with as little as can be that depends on the solution: this."""
        return self

    @property
    def is_constant(self) -> bool:
        """Whether all coefficients are numbers."""
        return not any(callable(c) for c in self.coefficients)

    def coefficients_at(self, x: Array) -> Array:
        """The coefficients (terms, n) at points (2, n), in the order of `terms`."""
        return np.stack(
            [evaluate(c, x, f"the coefficient {n}") for c, n in zip(self.coefficients, self.terms, strict=True)]
        )

    def source_at(self, x: Array) -> Array:
        """The source (n,) at points (2, n)."""
        return evaluate(self.source, x, "the source")

    @cached_property
    def table(self) -> tuple[Term, ...]:
        """Its terms: those of every operator, and the others that it has."""
        return terms_of(self.extra)

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the derivatives: `TERMS`, with t for y in time problems, and those of `extra`."""
        return tuple((self.timed and term.in_time) or term.name for term in self.table)

    @property
    def mixed(self) -> bool:
        """Whether the equation has a mixed derivative."""
        return any(all(term.along) for term in self.table)

    @cached_property
    def unit(self) -> UnitProblem:
        """The same problem in coordinates [-1, 1]^2."""
        from .unit import UnitProblem  # it is made of a statement

        return UnitProblem(self)

    @property
    def equation(self) -> str:
        """The equation as text, the highest derivative in time first."""

        def rank(row: tuple[Term, str, Function]) -> tuple[int, int]:
            (a, b), order = row[0].along, row[0].order
            return (-b, -a) if self.timed else (-order, -a)

        text = ""
        for _, name, c in sorted(zip(self.table, self.terms, self.coefficients, strict=True), key=rank):
            if not callable(c) and c == 0:
                continue
            sign = "-" if not callable(c) and c < 0 else "+"
            size = shown(c) if callable(c) else shown(abs(c))
            term = name if size == "1" else f"{size} {name}"
            text += f" {sign} {term}" if text else f"{'-' if sign == '-' else ''}{term}"
        return f"{text} = {shown(self.source)}"

    def __repr__(self) -> str:
        return f"Statement({self.kind}: {self.equation})"
