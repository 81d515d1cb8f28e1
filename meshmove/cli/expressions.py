"""Functions of the coordinates as text, such as ``tanh(30*(x-1))``: parsed, never evaluated as Python."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.errors import FieldError

__all__ = ["Expression"]

#: longer ones are no formulas; the parser's recursion is bounded with it
LONGEST = 400
COORDINATES = ("x", "y", "z")
CONSTANTS = {"pi": np.pi, "e": np.e}
_WITH_ONE = "sin cos tan arcsin arccos arctan sinh cosh tanh exp log log10 sqrt cbrt abs sign floor ceil".split()
_WITH_TWO = "arctan2 hypot minimum maximum heaviside".split()
FUNCTIONS: dict[str, tuple[Callable[..., Any], int]] = {
    **{name: (getattr(np, name), 1) for name in _WITH_ONE},
    **{name: (getattr(np, name), 2) for name in _WITH_TWO},
    "asin": (np.arcsin, 1),
    "acos": (np.arccos, 1),
    "atan": (np.arctan, 1),
    "atan2": (np.arctan2, 2),
    "min": (np.minimum, 2),
    "max": (np.maximum, 2),
    "where": (np.where, 3),
}
_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_UNARY: dict[type, Callable[[Any], Any]] = {ast.USub: operator.neg, ast.UAdd: operator.pos}


class Expression:
    """A function f(x) of points (dim, n), from text.

    It knows the coordinates x, y and z, the distance r to the origin, the constants pi and e, numbers, ``+ - * / % **``
    (``^`` is a power, too), comparisons, and the functions of `FUNCTIONS`.

    Raises
    ------
    FieldError
        The text is no such formula; on being called: it speaks of z in the plane.

    Examples
    --------
    >>> import numpy as np
    >>> Expression("1 + r^2 + where(x < 1, 0, y)")(np.array([[3.0], [4.0]])).tolist()
    [30.0]
    """

    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > LONGEST:
            raise FieldError(f"Expected a formula of at most {LONGEST} letters (got {len(text)})")
        try:
            self._body = ast.parse(text.strip().replace("^", "**"), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise FieldError(
                f"Expected a formula of x, y, z and r, such as 'tanh(30*(x-1))' (got {text!r}: {_reason(error)})"
            ) from None
        self._value(self._body, {name: np.ones(1) for name in (*COORDINATES, "r")})

    @staticmethod
    def like(text: str) -> bool:
        """Whether a text means a formula and not a name: there is more in it than one word, or it is a coordinate."""
        return text in (*COORDINATES, "r") or any(c in text for c in "+-*/%^()<>") and not text.isidentifier()

    def __call__(self, x: NDArray) -> NDArray[np.float64]:
        names = dict(zip(COORDINATES, x, strict=False))
        names["r"] = np.sqrt((x**2).sum(axis=0))
        values = self._value(self._body, names)
        return np.broadcast_to(np.asarray(values, float), x.shape[1:]).copy()

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def _value(self, node: ast.AST, names: dict[str, NDArray]) -> Any:
        try:
            with np.errstate(all="ignore"):  # what is not finite is reported with the nodes where it is so
                return self._evaluated(node, names)
        except (RecursionError, OverflowError) as error:
            raise self._wrong(_reason(error)) from None

    def _evaluated(self, node: ast.AST, names: dict[str, NDArray]) -> Any:
        match node:
            case ast.Constant(value=int() | float() as value) if type(value) in (int, float):
                return np.float64(value)
            case ast.Name(id=name):
                return self._named(name, names)
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
                return _UNARY[type(op)](self._evaluated(operand, names))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return _BINARY[type(op)](self._evaluated(left, names), self._evaluated(right, names))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _BINARY:
                return _BINARY[type(op)](self._evaluated(left, names), self._evaluated(right, names))
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                function, count = self._function(name)
                if len(args) != count:
                    raise self._wrong(f"{name} takes {count} argument{'s' * (count > 1)}, here it has {len(args)}")
                return function(*(self._evaluated(a, names) for a in args))
        raise self._wrong(f"it holds {ast.unparse(node)!r}")

    def _named(self, name: str, names: dict[str, NDArray]) -> Any:
        if name in CONSTANTS:
            return CONSTANTS[name]
        if name in names:
            return names[name]
        if name in COORDINATES:
            raise self._wrong(f"the mesh is plane, it has no {name}")
        raise self._wrong(f"it holds {name!r}{_near(name, [*COORDINATES, 'r', *CONSTANTS, *FUNCTIONS])}")

    def _function(self, name: str) -> tuple[Callable[..., Any], int]:
        if name not in FUNCTIONS:
            raise self._wrong(f"there is no function {name!r}{_near(name, list(FUNCTIONS))}")
        return FUNCTIONS[name]

    def _wrong(self, why: str) -> FieldError:
        return FieldError(f"Expected a formula of x, y, z, r and functions such as tanh (got {self.text!r}: {why})")


def _near(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"


def _reason(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return error.msg
    return "a number is too large" if isinstance(error, OverflowError) else "it is nested too deeply"
