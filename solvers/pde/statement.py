"""`Statement`: a linear problem as solvers read it: a domain, an operator, a source, and rows on the boundary."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from meshmove.geometry.domains import Domain

from .functions import Array, Function, evaluate, shown
from .sides import Side

if TYPE_CHECKING:
    from .unit import UnitProblem

__all__ = ["TERMS", "Statement"]

#: the derivatives that an operator is made of, in the order of all coefficient arrays; where it has a mixed derivative
#: "uxy" is the sixth
TERMS = ("u", "ux", "uy", "uxx", "uyy")


@dataclass(frozen=True, eq=False, repr=False)
class Statement:
    """A linear problem of second order, read and checked: it does not change.

    `domain` in the plane, or in space and time; `coefficients`, floats or functions, in the order of `terms`; `source`;
    `sides`: what every piece of ``domain.boundary`` carries; `timed`: whether the second axis is time; `kind`:
    "elliptic", "parabolic", "hyperbolic", "first-order" or "algebraic".
    """

    domain: Domain
    coefficients: tuple[Function, ...]
    source: Function
    sides: tuple[Side, ...]
    timed: bool
    kind: str

    def with_data(self, source: Function, sides: tuple[Side, ...]) -> Statement:
        """The same operator on the same domain with other data."""
        return Statement(self.domain, self.coefficients, source, sides, self.timed, self.kind)

    @property
    def is_constant(self) -> bool:
        """Whether all coefficients are numbers."""
        return not any(callable(c) for c in self.coefficients)

    def coefficients_at(self, x: Array) -> Array:
        """The coefficients (5, n), or (6, n) with a mixed derivative, at points (2, n), in the order of `terms`."""
        return np.stack(
            [evaluate(c, x, f"the coefficient {n}") for c, n in zip(self.coefficients, self.terms, strict=True)]
        )

    def source_at(self, x: Array) -> Array:
        """The source (n,) at points (2, n)."""
        return evaluate(self.source, x, "the source")

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the derivatives: `TERMS`, with t for y in time problems, and the mixed derivative where there is."""
        if self.mixed:
            return (*TERMS, "uxy")
        return tuple(t.replace("y", "t") for t in TERMS) if self.timed else TERMS

    @property
    def mixed(self) -> bool:
        """Whether the equation has a mixed derivative."""
        return len(self.coefficients) > len(TERMS)

    @cached_property
    def unit(self) -> UnitProblem:
        """The same problem in coordinates [-1, 1]^2."""
        from .unit import UnitProblem  # it is made of a statement

        return UnitProblem(self)

    @property
    def equation(self) -> str:
        """The equation as text, the highest derivative in time first."""
        order = ("utt", "ut", "uxx", "ux", "u") if self.timed else ("uxx", "uxy", "uyy", "ux", "uy", "u")
        by_name = dict(zip(self.terms, self.coefficients, strict=True))
        text = ""
        for name in order:
            c = by_name.get(name, 0.0)
            if not callable(c) and c == 0:
                continue
            sign = "-" if not callable(c) and c < 0 else "+"
            size = shown(c) if callable(c) else shown(abs(c))
            term = name if size == "1" else f"{size} {name}"
            text += f" {sign} {term}" if text else f"{'-' if sign == '-' else ''}{term}"
        return f"{text} = {shown(self.source)}"

    def __repr__(self) -> str:
        return f"Statement({self.kind}: {self.equation})"
