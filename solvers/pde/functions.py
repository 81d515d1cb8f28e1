"""Numbers and functions of the points, evaluated alike and with errors that name the point."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from meshmove.geometry.arrays import Array
from meshmove.geometry.errors import MeshmoveError
from meshmove.geometry.given import as_float, called
from meshmove.geometry.given import shown as short

__all__ = ["Array", "Function", "NonlinearError", "ProblemError", "checked", "evaluate", "is_number", "shown"]

Function = float | Callable[[Array], ArrayLike]


class ProblemError(MeshmoveError, ValueError):
    """A problem is incomplete, contradicts itself or is not well-posed."""


class NonlinearError(ProblemError, TypeError):
    """A coefficient or source depends on the solution: the operator would not be linear."""


def is_number(f: Any) -> bool:
    """Whether f is a real number; arrays of no dimension count.

    >>> is_number(2), is_number(np.array(2.0)), is_number("2"), is_number(np.sin)
    (True, True, False, False)
    """
    if isinstance(f, bool | np.bool_):
        return False
    return isinstance(f, Real) or (isinstance(f, np.ndarray) and f.ndim == 0 and f.dtype.kind in "fiu")


def checked(f: Any, what: str) -> Function:
    """A number as a float, or a function of the points alone as it is.

    Raises
    ------
    ProblemError
        Neither a finite number nor a function.
    NonlinearError
        The function asks for more than the points.

    >>> checked(3, "the source")
    3.0
    """
    if is_number(f):
        value = as_float(f)
        if not np.isfinite(value):
            raise ProblemError(f"Expected a finite number for {what} (got {short(f)})")
        return value
    if not callable(f):
        raise ProblemError(
            f"Expected a number or a function of points x (2, n) for {what} (got {short(f)}); "
            "formulas are functions, such as lambda x: np.sin(x[0])"
        )
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):  # built-in functions do not tell
        return f
    needed = [
        p.name for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    needed += [p.name for p in parameters if p.default is p.empty and p.kind is p.KEYWORD_ONLY]
    if needed in (["x", "y"], ["x", "t"]):
        raise ProblemError(
            f"Expected {what} as a function of points x (2, n) alone (got one of {', '.join(needed)}): x[0] is "
            f"x, x[1] is {needed[1]}, as in lambda x: np.sin(x[0]) * x[1]"
        )
    if len(needed) > 1:
        raise NonlinearError(
            f"Expected a linear operator, {what} a function of the points x alone (got one of {', '.join(needed)}). "
            "A term that depends on u and its gradient is the reaction= of a SemilinearPDE"
        )
    if not list(parameters):
        raise ProblemError(f"Expected {what} as a function of the points x (2, n) (got one without parameters)")
    return f


def evaluate(f: Function, x: Array, what: str) -> Array:
    """Values (n,) at points (2, n).

    Raises
    ------
    ProblemError
        Values of another shape, or not finite; the message names the first such point.

    >>> evaluate(lambda x: x[0] * x[1], np.array([[2.0, 3.0], [5.0, 7.0]]), "the source")
    array([10., 21.])
    """
    n = x.shape[1]
    if not callable(f):
        return np.full(n, float(f))
    value = called(f, x.copy(), what, ProblemError)
    if value.dtype.kind not in "fiub":
        raise ProblemError(f"Expected real numbers from {what} (got an array of {value.dtype})")
    if value.shape not in ((n,), (1, n), ()):
        raise ProblemError(
            f"Expected {n} values, one for each of the points x (2, {n}), from {what} (got shape {value.shape})"
        )
    out = np.array(np.broadcast_to(value.reshape(-1), n), float)
    bad = np.flatnonzero(~np.isfinite(out))
    if len(bad):
        at = ", ".join(f"{c:.6g}" for c in x[:, bad[0]])
        raise ProblemError(
            f"Expected finite values from {what} (got {out[bad[0]]} at the point ({at})"
            + (f", and at {len(bad) - 1} of {n} more)" if len(bad) > 1 else ")")
        )
    return out


def shown(f: Function) -> str:
    """A number in few digits, or the name of a function.

    >>> shown(0.5), shown(np.sin), shown(lambda x: x[0])
    ('0.5', 'sin(x)', 'f(x)')
    """
    if not callable(f):
        return f"{f:g}"
    name = getattr(f, "__name__", type(f).__name__)
    return "f(x)" if name == "<lambda>" else f"{name}(x)"
