"""What is known on the boundary, and the axes of problems in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meshmove.geometry.given import as_float
from meshmove.geometry.given import names as names_of
from meshmove.geometry.given import shown as short

from .functions import Function, ProblemError, checked, shown

__all__ = ["Condition", "Dirichlet", "Interval", "Neumann", "Robin", "TimeInterval"]


@dataclass(frozen=True, repr=False)
class Dirichlet:
    """The value on a boundary: u = value.

    Parameters
    ----------
    value
        A number, or a function of points x (2, n) with values (n,).

    Raises
    ------
    ProblemError
        The value is neither.

    >>> Dirichlet(1)
    Dirichlet(1)
    """

    value: Function = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", checked(self.value, "a Dirichlet value"))

    def __repr__(self) -> str:
        return f"Dirichlet({shown(self.value)})"


@dataclass(frozen=True, repr=False)
class Neumann:
    """The normal derivative on a boundary: du/dn = value, n the outward unit normal.

    It is the derivative of u itself along the normal, not the flux with the operator's coefficients.

    Parameters
    ----------
    value
        A number, or a function of points x (2, n) with values (n,).

    Raises
    ------
    ProblemError
        The value is neither.

    >>> Neumann()
    Neumann(0)
    """

    value: Function = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", checked(self.value, "a Neumann value"))

    def __repr__(self) -> str:
        return f"Neumann({shown(self.value)})"


@dataclass(frozen=True, repr=False)
class Robin:
    """A mixture of value and normal derivative on a boundary: alpha u + beta du/dn = value, n the outward unit normal.

    Parameters
    ----------
    alpha, beta, value
        Numbers, or functions of points x (2, n) with values (n,); beta is nowhere zero.

    Raises
    ------
    ProblemError
        One is neither, or beta is the number 0.

    >>> Robin(alpha=2.0, value=20.0)
    Robin(2 u + 1 du/dn = 20)
    """

    alpha: Function
    beta: Function = 1.0
    value: Function = 0.0

    def __post_init__(self) -> None:
        for name in ("alpha", "beta", "value"):
            object.__setattr__(self, name, checked(getattr(self, name), f"{name} of a Robin condition"))
        if self.beta == 0:
            raise ProblemError("Expected beta other than zero in a Robin condition (got 0); Dirichlet holds a value")

    def __repr__(self) -> str:
        return f"Robin({shown(self.alpha)} u + {shown(self.beta)} du/dn = {shown(self.value)})"


#: what is known on a boundary
Condition = Dirichlet | Neumann | Robin


def _ordered(lower: float, upper: float, what: str, words: tuple[str, str]) -> tuple[float, float]:
    low, high = as_float(lower), as_float(upper)
    if not np.isfinite([low, high]).all():
        raise ProblemError(f"Expected {what} between two finite numbers (got {short(lower)}, {short(upper)})")
    if not low < high:
        raise ProblemError(f"Expected {words[0]} < {words[1]} for {what} (got {lower!r}, {upper!r})")
    return low, high


@dataclass(frozen=True, repr=False)
class Interval:
    """Space in one dimension, lower <= x <= upper; together with a `TimeInterval` it is a domain.

    Parameters
    ----------
    lower, upper
        The two ends.
    names
        Their names, which carry the conditions.

    Raises
    ------
    ProblemError
        The ends are not in order, or the names are not two different ones.

    >>> Interval(0, 2)
    Interval(0, 2)
    """

    lower: float
    upper: float
    names: tuple[str, str] = ("left", "right")

    def __post_init__(self) -> None:
        lower, upper = _ordered(self.lower, self.upper, "an interval", ("lower", "upper"))
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)
        names = names_of(self.names, "names for the ends of an interval", ProblemError)
        good = len(names) == 2 and names[0] != names[1]
        if not good or {"start", "end"} & set(names):
            raise ProblemError(
                f"Expected two different names for the ends of an interval, none of them 'start' or 'end', "
                f"which are the first and last time (got {self.names!r})"
            )
        object.__setattr__(self, "names", names)

    def __repr__(self) -> str:
        named = "" if self.names == ("left", "right") else f", names={self.names!r}"
        return f"Interval({self.lower:g}, {self.upper:g}{named})"


@dataclass(frozen=True, repr=False)
class TimeInterval:
    """Time, start <= t <= end.

    Raises
    ------
    ProblemError
        The two are not in order.

    >>> TimeInterval(0, 0.5)
    TimeInterval(0, 0.5)
    """

    start: float
    end: float

    def __post_init__(self) -> None:
        start, end = _ordered(self.start, self.end, "a time interval", ("start", "end"))
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "end", end)

    def __repr__(self) -> str:
        return f"TimeInterval({self.start:g}, {self.end:g})"
